// SPDX-License-Identifier: Apache-2.0
// The attribute in which containers/storage and fuse-overlayfs keep a file's true owner, mode and
// type when the store's own must be others (force_mask, xattr_permissions). Private to
// common/image.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/result.h"
#include "common/image/entry.h"

namespace assay::image {

/// Its names, in the order in which fuse-overlayfs looks for them on a layer's root directory: the
/// first that is there decides for the whole layer.
/// Source: fuse-overlayfs 1.14 direct.c direct_load_data_source.
enum class OverrideName { kNone, kPrivileged, kContainers, kUser };
std::string_view to_string(OverrideName name);

struct OverrideStat {
  std::uint64_t uid = 0;  ///< the image's: no id map applies
  std::uint64_t gid = 0;
  std::uint32_t mode = 0;         ///< 07777
  std::optional<EntryType> type;  ///< none: as it is on disk
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
};

/// "UID:GID:MODE" with an octal mode, and in later versions of containers/storage ":TYPE" or
/// ":TYPE-MAJOR-MINOR" after it. Errors: kCorrupt.
/// Source: fuse-overlayfs utils.c override_mode; containers/storage pkg/idtools
/// parseOverrideXattr.
Result<OverrideStat> parse_override_stat(std::string_view text);

}  // namespace assay::image
