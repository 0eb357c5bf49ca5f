// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/image/node_record.h"
#include "common/image/safe_open.h"

namespace assay::image {
namespace {

constexpr std::size_t kNoSlot = static_cast<std::size_t>(-1);
// A page of a shared mapping that is dirty already changes without a new ctime until the kernel
// writes it back: after dirty_expire_centisecs and dirty_writeback_centisecs, 35 s together. Twice
// that, which also covers two changes within one tick of the clock.
constexpr std::int64_t kWriteBackSeconds = 70;

/// Labels that the host's policy puts on files by itself.
bool is_label(std::string_view name) {
  constexpr std::string_view kNames[] = {"security.selinux", "security.apparmor", "security.ima",
                                         "security.evm"};
  return name.starts_with("security.SMACK64") ||
         std::ranges::find(kNames, name) != std::end(kNames);
}

bool is_trusted(const Xattr& xattr) {
  return xattr.name.starts_with("trusted.");
}

XattrMark mark_of(std::vector<const Xattr*> xattrs) {
  XattrMark mark{};
  if (xattrs.empty()) return mark;
  std::ranges::sort(xattrs, {},
                    [](const Xattr* xattr) -> const std::string& { return xattr->name; });
  std::string fields;
  for (const Xattr* xattr : xattrs) {
    append_field(fields, xattr->name);
    append_field(fields, xattr->value);
  }
  const Sha256 digest = sha256(fields);
  std::memcpy(mark.data(), digest.bytes.data(), mark.size());
  return mark;
}

FileTime time_of(const statx_timestamp& time) {
  return {time.tv_sec, time.tv_nsec};
}

Error over() {
  return {ErrorCode::kLimitExceeded, "the layer is too large for a record of it"};
}

}  // namespace

NodeRecorder::NodeRecorder(WallTime now, const NodeRecord* before, const RecordLimits& limits)
    : now_(now), before_(before), limits_(limits) {}

void NodeRecorder::begin(Dialect dialect) {
  record_.dialect = dialect;
  record_.sees_trusted = can_see_trusted_xattrs();
}

RecordEntry NodeRecorder::entry(const std::string& path, const struct statx& status,
                                const std::vector<Xattr>& xattrs) {
  RecordEntry entry;
  entry.path = path;
  entry.mode = status.stx_mode;
  entry.uid = status.stx_uid;
  entry.gid = status.stx_gid;
  entry.size = status.stx_size;
  entry.mtime = time_of(status.stx_mtime);
  entry.ctime = time_of(status.stx_ctime);
  entry.inode = status.stx_ino;
  entry.links = status.stx_nlink;
  entry.device = (static_cast<std::uint64_t>(status.stx_rdev_major) << 32U) | status.stx_rdev_minor;
  std::vector<const Xattr*> trusted;
  std::vector<const Xattr*> others;
  for (const Xattr& xattr : xattrs)
    if (!is_label(xattr.name)) (is_trusted(xattr) ? trusted : others).push_back(&xattr);
  entry.xattrs = mark_of(std::move(others));
  entry.trusted = mark_of(std::move(trusted));
  return entry;
}

std::optional<FileDigest> NodeRecorder::known(const RecordEntry& file) const {
  if (limits_.reads_all) return std::nullopt;
  const RecordEntry* const old = before_ == nullptr ? nullptr : before_->find(file.path);
  if (old == nullptr || !old->digest || old->is_young) return std::nullopt;
  RecordEntry same = *old;
  same.digest.reset();
  if (!record_.sees_trusted || !before_->sees_trusted) same.trusted = file.trusted;
  return same == file ? old->digest : std::nullopt;
}

bool NodeRecorder::is_over() const {
  return record_.entries.size() > limits_.max_entries || bytes_ > limits_.max_bytes;
}

Result<void> NodeRecorder::add(RecordEntry entry) {
  return add(std::move(entry), kNoSlot);
}

Result<void> NodeRecorder::add(RecordEntry entry, std::size_t slot) {
  if (is_over()) return ok();
  if (slot != kNoSlot) ++files_read_;
  const bool is_read_now = slot != kNoSlot;
  const std::int64_t now =
      std::chrono::floor<std::chrono::seconds>(now_).time_since_epoch().count();
  entry.is_young = is_read_now && entry.ctime.seconds > now - kWriteBackSeconds;
  bytes_ += entry.path.size() + entry.link_target.size();
  record_.entries.push_back(std::move(entry));
  slots_.push_back(slot);
  return is_over() && limits_.ends_walk ? Result<void>(over()) : ok();
}

void NodeRecorder::finish(std::span<const FileDigest> digests) {
  auto& entries = record_.entries;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (slots_[i] < digests.size()) entries[i].digest = digests[slots_[i]];
  slots_ = {};
  std::ranges::sort(entries, {}, &RecordEntry::path);
}

Result<NodeRecord> NodeRecorder::take() {
  if (is_over()) return over();
  return std::move(record_);
}

}  // namespace assay::image
