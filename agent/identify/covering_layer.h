// SPDX-License-Identifier: Apache-2.0
// Whether one directory of an overlay hides a path of those below it. Private to agent/identify.
#pragma once

#include <sys/stat.h>

#include <string>

#include "common/base/result.h"
#include "common/image/directory.h"

namespace assay::agent {

enum class Cover {
  kNone,
  kReplaced,  ///< it has something else there
  kDeleted,   ///< a whiteout, of the path or of a folder above it
  kFolder,    ///< a folder above it is opaque
};

/// `fd`: the directory's root. `seen`: what the merged root shows at `path`, where inode numbers
/// can be compared: then a replacement must be that. May be null. What cannot be read covers
/// nothing.
Cover cover_in(int fd, const std::string& path, image::Dialect dialect, const struct statx* seen);

/// For people: what a container, or a layer of its image, did to a path.
std::string text_of_run(Cover cover);
std::string text_of_layer(Cover cover, const std::string& layer);

/// A character device 0:0.
bool is_whiteout_device(const struct statx& status);
/// Whether the folder `fd` (O_PATH) has a POSIX access list. Errors: kUnavailable.
Result<bool> has_access_list(int fd);

}  // namespace assay::agent
