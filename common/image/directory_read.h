// SPDX-License-Identifier: Apache-2.0
// System calls of the tree walk, each with its buffer and its errors. For common/image and
// agent/identify.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace assay::image {

struct DirectoryName {
  std::string name;
  // What the directory says it is; it may have been replaced since.
  bool is_directory = false;
  bool is_file = false;
  bool is_unknown = false;  ///< the file system does not say
};

/// Reads whole directories with one buffer. Not thread-safe.
class DirectoryReader {
 public:
  DirectoryReader() : buffer_(1U << 16) {}
  /// All names but "." and "..". Errors: kLimitExceeded (more than `max_names`), kUnavailable.
  Result<std::vector<DirectoryName>> read(int fd, std::uint64_t max_names);

 private:
  std::vector<char> buffer_;
};

/// The target of the symlink `name` below `dir_fd`. Errors: kCorrupt (longer than PATH_MAX).
Result<std::string> read_link(int dir_fd, const char* name);

/// The names of the extended attributes of `name` below `fd`, not followed; "" is `fd` itself,
/// which then must be open for reading. Nothing where the file system has none.
Result<std::vector<std::string>> list_xattrs(int fd, const char* name);
Result<std::string> get_xattr(int fd, const char* name, const std::string& xattr);
/// The value of an attribute that holds one letter; '\0' when it holds anything else.
Result<char> get_xattr_letter(int fd, const std::string& xattr);

}  // namespace assay::image
