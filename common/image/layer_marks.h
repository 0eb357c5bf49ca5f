// SPDX-License-Identifier: Apache-2.0
// How a directory says what it deletes, in each dialect. For common/image and agent/identify.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/image/directory.h"
#include "common/image/override_stat.h"

namespace assay::image {

/// What a name alone says in dialects that mark deletions by files.
enum class NameMark {
  kNone,
  kWhiteout,  ///< ".wh.NAME": NAME is deleted
  kOpaque,    ///< ".wh..wh..opq"
  kPrivate,   ///< other ".wh..wh.*": aufs's own bookkeeping
};
NameMark mark_of_name(Dialect dialect, std::string_view name);
/// The name that a kWhiteout deletes.
std::string_view name_below_whiteout(std::string_view name);

/// What the attributes of a directory say.
struct DirectoryMarks {
  bool is_opaque = false;
  bool has_redirect = false;
  bool has_xwhites = false;  ///< empty files in it may be whiteouts told by an attribute
};
/// Reads them from `fd`, open for reading.
Result<DirectoryMarks> read_directory_marks(Dialect dialect, int fd);

/// The prefix of overlayfs's attributes in this dialect, "" in others.
std::string_view overlay_prefix(Dialect dialect);
/// Whether character devices 0:0 are whiteouts.
bool has_device_whiteouts(Dialect dialect);
/// Whether some marks are attributes that only CAP_SYS_ADMIN shows.
bool needs_trusted_xattrs(Dialect dialect);

/// The override attribute that is used in the layer whose root directory is `fd` (fuse-overlayfs
/// only): the first of the three that the root carries.
Result<OverrideName> find_override(Dialect dialect, int fd);

/// Turns the attributes on disk into those that the image gave the file: the tool's own are left
/// out, and escaped ones ("user.containers.override_security.NAME") get their name back.
std::vector<Xattr> xattrs_of_image(Dialect dialect, OverrideName override,
                                   std::vector<Xattr> xattrs);

}  // namespace assay::image
