// SPDX-License-Identifier: Apache-2.0
// What was changed between two records of one layer directory.
#include <algorithm>

#include "common/base/encoding.h"
#include "common/image/node_record.h"

namespace assay::image {
namespace {

constexpr std::size_t kMaxPathBytes = 200;  // of one path that is named

/// Only what says that something was done to a path, not what follows from its neighbours.
class Comparison {
 public:
  Comparison(const RecordEntry& before, const RecordEntry& after, bool sees_trusted)
      : is_directory_(S_ISDIR(before.mode) && S_ISDIR(after.mode)) {
    look("type", (before.mode & S_IFMT) != (after.mode & S_IFMT));
    look("mode", (before.mode & 07777U) != (after.mode & 07777U));
    look("owner", before.uid != after.uid || before.gid != after.gid);
    look("content", before.digest && after.digest && before.digest != after.digest);
    look("link target", before.link_target != after.link_target);
    look("device", before.device != after.device);
    look("attributes",
         before.xattrs != after.xattrs || (sees_trusted && before.trusted != after.trusted));
    look("replaced", before.inode != after.inode);
    const bool is_resized = before.size != after.size;
    const bool is_linked = before.links != after.links;
    const bool is_dated = before.mtime != after.mtime;
    if (!is_directory_) {
      look("size", is_resized);
      look("time", is_dated);
      // Alone it says that another name came or went, in a store that links equal files, or in a
      // backup: what the file is did not change.
      if (!what_.empty()) look("links", is_linked);
    }
    is_touched_ = before.ctime != after.ctime || is_resized || is_linked || is_dated;
  }
  bool is_changed() const { return !what_.empty(); }
  bool is_only(std::string_view what) const { return what_ == what; }
  /// Nothing else.
  bool is_touched() const { return what_.empty() && is_touched_; }
  const std::string& what() const { return what_; }

 private:
  void look(std::string_view what, bool differs) {
    if (!differs) return;
    if (!what_.empty()) what_ += ", ";
    what_ += what;
  }
  const bool is_directory_;
  bool is_touched_ = false;
  std::string what_;
};

void name(RecordDifference& difference, const std::string& path, const std::string& what) {
  ++difference.changed;
  if (difference.named.size() < kMaxNamedChanges)
    difference.named.push_back("/" + escape_untrusted(path, kMaxPathBytes) + " (" + what + ")");
}

}  // namespace

RecordDifference compare(const NodeRecord& before, const NodeRecord& after) {
  RecordDifference difference;
  const bool sees_trusted = before.sees_trusted && after.sees_trusted;
  std::size_t other_owners = 0;
  auto old = before.entries.begin();
  auto now = after.entries.begin();
  while (old != before.entries.end() || now != after.entries.end()) {
    if (now == after.entries.end() || (old != before.entries.end() && old->path < now->path)) {
      name(difference, (old++)->path, "removed");
      continue;
    }
    if (old == before.entries.end() || now->path < old->path) {
      name(difference, (now++)->path, "added");
      continue;
    }
    const Comparison both(*old, *now, sees_trusted);
    if (both.is_changed()) name(difference, now->path, both.what());
    if (both.is_touched()) ++difference.touched;
    if (both.is_only("owner") && old->ctime == now->ctime) ++other_owners;
    ++old;
    ++now;
  }
  difference.is_other_view = other_owners != 0 && other_owners == before.entries.size() &&
                             other_owners == after.entries.size();
  return difference;
}

}  // namespace assay::image
