// SPDX-License-Identifier: Apache-2.0
// One path of one layer, the same whether it came from a tar or from a directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"

namespace assay::image {

/// The values are the type letters of the fingerprint format.
enum class EntryType : char {
  kDirectory = 'd',
  kFile = 'f',
  kSymlink = 'l',
  kCharDevice = 'c',
  kBlockDevice = 'b',
  kFifo = 'p',
  kSocket = 's',  // only in directories; tar cannot hold one
};

struct Xattr {
  std::string name;
  std::string value;
  auto operator<=>(const Xattr&) const = default;
};

struct Entry {
  std::string path;  ///< raw bytes, relative to the layer root, no "./", no leading or trailing "/"
  EntryType type = EntryType::kFile;
  std::uint32_t mode = 0;  ///< permission bits with setuid, setgid and sticky (07777)
  std::uint64_t uid = 0;   ///< as the image means it: already mapped back through a user namespace
  std::uint64_t gid = 0;
  std::uint64_t size = 0;          ///< bytes; files only
  std::int64_t mtime_s = 0;        ///< whole seconds since 1970, clamped; files and links only
  std::string link_target;         ///< symlinks only
  std::uint32_t device_major = 0;  ///< devices only
  std::uint32_t device_minor = 0;
  std::vector<Xattr> xattrs;              ///< sorted by name, ignored names already left out
  std::optional<FileDigest> file_digest;  ///< files only, when content was asked for
};

}  // namespace assay::image
