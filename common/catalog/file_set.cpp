// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/file_set.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::catalog {
namespace {

constexpr std::string_view kMagic = "assay-fs";
constexpr std::size_t kHashBytes = 8;
constexpr std::size_t kEntryBytes = 2 * kHashBytes;
constexpr std::size_t kHeaderBytes = 16;  // magic, version, number of entries
constexpr std::uint64_t kEncodingVersion = 1;

std::uint64_t read_number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i)
    number = (number << 8U) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

void append_number(std::string& out, std::uint64_t number, std::size_t size) {
  for (std::size_t i = size; i-- > 0;)
    out.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint64_t leading_hash(std::string_view fields) {
  return read_number(sha256(fields).raw(), 0, kHashBytes);
}

std::string fields_of(std::string_view kind, std::string_view path) {
  std::string fields;
  append_field(fields, std::string_view("assay-file-set"));
  append_field(fields, kFileSetVersion);
  append_field(fields, kind);
  append_field(fields, path);
  return fields;
}

bool is_same_path(const FileSetEntry& a, const FileSetEntry& b) {
  return a.path == b.path;
}

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, "not a file set: " + what};
}

}  // namespace

std::uint64_t path_hash(std::string_view path) {
  return leading_hash(fields_of("path", path));
}

FileSetEntry file_set_entry(const FileFacts& facts) {
  std::string fields = fields_of("file", facts.path);
  append_field(fields, std::string_view(&facts.type, 1));
  append_field(fields, std::uint64_t{facts.mode});
  append_field(fields, facts.uid);
  append_field(fields, facts.gid);
  append_field(fields, facts.link_target);
  append_field(fields, facts.content != nullptr ? facts.content->raw() : std::string_view());
  return {path_hash(facts.path), leading_hash(fields)};
}

FileSet::FileSet(std::vector<FileSetEntry> entries) : entries_(std::move(entries)) {
  std::ranges::sort(entries_);
  entries_.erase(std::unique(entries_.begin(), entries_.end(), is_same_path), entries_.end());
  entries_.shrink_to_fit();
}

std::string FileSet::encode() const {
  std::string bytes(kMagic);
  bytes.reserve(kHeaderBytes + entries_.size() * kEntryBytes);
  append_number(bytes, kEncodingVersion, 4);
  append_number(bytes, entries_.size(), 4);
  for (const FileSetEntry& entry : entries_) {
    append_number(bytes, entry.path, kHashBytes);
    append_number(bytes, entry.file, kHashBytes);
  }
  return bytes;
}

FileSetDigest FileSet::digest() const {
  return FileSetDigest{sha256(encode()).bytes};
}

Result<FileSet> FileSet::decode(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic))
    return corrupt("it does not begin like one");
  if (read_number(bytes, kMagic.size(), 4) != kEncodingVersion)
    return Error{ErrorCode::kUnsupported,
                 "a file set of a later version: upgrade the program that reads it"};
  const std::uint64_t count = read_number(bytes, kMagic.size() + 4, 4);
  if (count > kMaxFileSetEntries)
    return Error{ErrorCode::kLimitExceeded,
                 "a file set has more than " + std::to_string(kMaxFileSetEntries) + " files"};
  if (bytes.size() != kHeaderBytes + count * kEntryBytes)
    return corrupt("it does not have the size that it says");
  FileSet set;
  set.entries_.reserve(count);
  for (std::size_t at = kHeaderBytes; at < bytes.size(); at += kEntryBytes) {
    const FileSetEntry entry{read_number(bytes, at, kHashBytes),
                             read_number(bytes, at + kHashBytes, kHashBytes)};
    if (!set.entries_.empty() && set.entries_.back().path >= entry.path)
      return corrupt("its entries are not sorted by path");
    set.entries_.push_back(entry);
  }
  return set;
}

FileSet FileSet::over(const FileSet& upper, const FileSet& lower) {
  FileSet merged;
  merged.entries_.reserve(upper.size() + lower.size());
  auto above = upper.entries_.begin();
  for (const FileSetEntry& below : lower.entries_) {
    while (above != upper.entries_.end() && above->path < below.path)
      merged.entries_.push_back(*above++);
    if (above == upper.entries_.end() || above->path != below.path)
      merged.entries_.push_back(below);
  }
  merged.entries_.insert(merged.entries_.end(), above, upper.entries_.end());
  return merged;
}

}  // namespace assay::catalog
