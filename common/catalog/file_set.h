// SPDX-License-Identifier: Apache-2.0
// The files of an image or of a root as a set of hashes: what is left to compare when no layer is
// left (docs/formats/file_set.md).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::catalog {

/// Part of every hash and of the encoding; bumped whenever one of them could change.
inline constexpr std::string_view kFileSetVersion = "1";
/// Of one set: 3.2 MB encoded. Over it there is no set, and it is said why.
inline constexpr std::size_t kMaxFileSetEntries = 200'000;

/// What a path holds, as far as it counts here; no mtime, no extended attributes.
struct FileFacts {
  std::string_view path;  ///< raw bytes, relative to the root
  char type = 'f';        ///< a letter of the fingerprint format
  std::uint32_t mode = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::string_view link_target;         ///< of links
  const FileDigest* content = nullptr;  ///< of files
};

/// One path. Hashes are the leading 8 bytes of SHA-256, read big-endian.
struct FileSetEntry {
  std::uint64_t path = 0;
  std::uint64_t file = 0;  ///< over the path and everything that counts of it
  auto operator<=>(const FileSetEntry&) const = default;
};

std::uint64_t path_hash(std::string_view path);
FileSetEntry file_set_entry(const FileFacts& facts);

/// Entries sorted by path hash, each path once. A value; 16 bytes an entry.
class FileSet {
 public:
  FileSet() = default;
  /// Sorts; of entries with one path hash the smallest stays.
  explicit FileSet(std::vector<FileSetEntry> entries);

  const std::vector<FileSetEntry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }

  /// The bytes of docs/formats/file_set.md.
  std::string encode() const;
  /// SHA-256 of encode().
  FileSetDigest digest() const;
  /// Errors: kUnsupported (another version), kLimitExceeded, kCorrupt (cut short, bytes left over,
  /// not sorted).
  static Result<FileSet> decode(std::string_view bytes);

  /// What a root shows when `upper` lies over `lower`, as far as nothing is deleted.
  static FileSet over(const FileSet& upper, const FileSet& lower);

  bool operator==(const FileSet&) const = default;

 private:
  std::vector<FileSetEntry> entries_;
};

}  // namespace assay::catalog
