// SPDX-License-Identifier: Apache-2.0
#include "cli/path_difference.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "common/base/encoding.h"

namespace assay::cli {
namespace {

using image::Entry;
using image::EntryType;
using image::PathChange;

constexpr std::size_t kMaxXattrBytes = 64;  // shown of one value

std::string_view word_of(EntryType type) {
  switch (type) {
    case EntryType::kDirectory:
      return "directory";
    case EntryType::kFile:
      return "file";
    case EntryType::kSymlink:
      return "symlink";
    case EntryType::kCharDevice:
      return "char-device";
    case EntryType::kBlockDevice:
      return "block-device";
    case EntryType::kFifo:
      return "fifo";
    case EntryType::kSocket:
      return "socket";
  }
  return "unknown";
}

std::string_view word_of(PathChange change) {
  switch (change) {
    case PathChange::kAdded:
      return "added";
    case PathChange::kRemoved:
      return "removed";
    case PathChange::kChanged:
      return "changed";
  }
  return "unknown";
}

std::string octal(std::uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof(text), "%04o", mode);
  return text;
}

Object to_object(const std::vector<image::Xattr>& xattrs) {
  Object object;
  for (const image::Xattr& xattr : xattrs)
    object.emplace_back(xattr.name, "0x" + to_hex(xattr.value.substr(0, kMaxXattrBytes)) +
                                        (xattr.value.size() > kMaxXattrBytes ? "…" : ""));
  return object;
}

/// All that is said of an entry, under the words of PathDifference::what.
Object to_object(const Entry& entry) {
  Object object{{"type", word_of(entry.type)}};
  if (entry.type == EntryType::kDirectory) return object;
  if (entry.type != EntryType::kSymlink) object.emplace_back("mode", octal(entry.mode));
  object.emplace_back("owner", std::to_string(entry.uid) + ":" + std::to_string(entry.gid));
  if (entry.type == EntryType::kFile) object.emplace_back("size", entry.size);
  if (entry.type == EntryType::kSymlink) object.emplace_back("link_target", entry.link_target);
  if (entry.type == EntryType::kFile || entry.type == EntryType::kSymlink)
    object.emplace_back("mtime", WallTime(std::chrono::seconds(entry.mtime_s)));
  if (entry.file_digest) object.emplace_back("content", *entry.file_digest);
  if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice)
    object.emplace_back(
        "device", std::to_string(entry.device_major) + ":" + std::to_string(entry.device_minor));
  if (!entry.xattrs.empty()) object.emplace_back("xattrs", to_object(entry.xattrs));
  return object;
}

/// Null for a side that has no such entry; of two that differ, only in what.
Value side_of(const Entry* entry, const image::PathDifference& difference) {
  if (entry == nullptr) return {};
  Object object = to_object(*entry);
  if (!difference.what.empty())
    std::erase_if(object, [&](const auto& member) {
      return std::ranges::find(difference.what, member.first) == difference.what.end();
    });
  return object;
}

}  // namespace

Value to_value(const image::PathDifference& difference) {
  const Entry* entry = difference.after != nullptr ? difference.after : difference.before;
  Array what;
  for (const std::string_view word : difference.what)
    what.emplace_back(word);
  return Object{{"path", difference.path},
                {"change", word_of(difference.change)},
                {"type", entry != nullptr ? word_of(entry->type) : std::string_view("deletion")},
                {"what", std::move(what)},
                {"before", side_of(difference.before, difference)},
                {"after", side_of(difference.after, difference)}};
}

}  // namespace assay::cli
