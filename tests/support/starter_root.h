// SPDX-License-Identifier: Apache-2.0
// The overlay root of starter's containers, and the ways in which a runtime may name its layers.
#pragma once

struct starter_root {
  const char* base;      // a folder with merged and, unless read_only, upper and work
  const char* lowerdir;  // as mount(2) takes it, relative to base
  const char* self;      // this program's file
  // NULL: as it is.  "fd": cwd=/proc/self/fd and bare numbers, as containers/storage does with many
  // layers.  "add": one lowerdir+ each, through fsopen(2).  "add-fd": the same, by descriptors.
  const char* lower_by;
  int read_only;
};

/// Mounts base/merged in this mount namespace and goes there; ends the program on a failure.
void starter_mount_root(const struct starter_root* root);

/// Makes the folder at hand the root (pivot_root).
void starter_enter_root(void);
