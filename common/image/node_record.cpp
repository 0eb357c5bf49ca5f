// SPDX-License-Identifier: Apache-2.0
#include "common/image/node_record.h"

#include <algorithm>
#include <cstring>

#include "common/image/record_bytes.h"

namespace assay::image {
namespace {

constexpr std::string_view kMagic = "assay-nr";
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kMaxPathBytes = 64U << 10;  // deeper paths are refused by the walk
constexpr std::uint64_t kMaxTargetBytes = 4096;     // PATH_MAX
constexpr std::uint64_t kMaxPlaceBytes = 4096;
// The least that one entry takes: flags, two lengths, ten numbers.
constexpr std::size_t kLeastEntryBytes = 13;

enum Flag : std::uint64_t {
  kHasXattrs = 1,
  kHasTrusted = 2,
  kHasDigest = 4,
  kIsYoung = 8,
  kHasTarget = 16,
  kHasDevice = 32,
  kAllFlags = 63,
};

std::string_view raw(const XattrMark& mark) {
  return {reinterpret_cast<const char*>(mark.data()), mark.size()};
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at < most && a[at] == b[at])
    ++at;
  return at;
}

std::uint64_t flags_of(const RecordEntry& entry) {
  std::uint64_t flags = 0;
  if (entry.xattrs != XattrMark{}) flags |= kHasXattrs;
  if (entry.trusted != XattrMark{}) flags |= kHasTrusted;
  if (entry.digest) flags |= kHasDigest;
  if (entry.is_young) flags |= kIsYoung;
  if (!entry.link_target.empty()) flags |= kHasTarget;
  if (entry.device != 0) flags |= kHasDevice;
  return flags;
}

void append_time(std::string& out, const FileTime& time, const FileTime& before) {
  // What overflows here comes back by the same overflow.
  append_signed(out, static_cast<std::int64_t>(static_cast<std::uint64_t>(time.seconds) -
                                               static_cast<std::uint64_t>(before.seconds)));
  append_varint(out, time.nanoseconds);
}

FileTime read_time(ByteReader& in, const FileTime& before) {
  FileTime time;
  time.seconds = static_cast<std::int64_t>(static_cast<std::uint64_t>(in.number()) +
                                           static_cast<std::uint64_t>(before.seconds));
  time.nanoseconds = static_cast<std::uint32_t>(in.varint());
  return time;
}

void append_entry(std::string& out, const RecordEntry& entry, const RecordEntry& before) {
  const std::size_t shared = common_prefix(entry.path, before.path);
  append_varint(out, flags_of(entry));
  append_varint(out, shared);
  append_text(out, std::string_view(entry.path).substr(shared));
  append_varint(out, entry.mode);
  append_varint(out, entry.uid);
  append_varint(out, entry.gid);
  append_varint(out, entry.size);
  append_time(out, entry.mtime, before.mtime);
  append_time(out, entry.ctime, before.ctime);
  append_signed(out, static_cast<std::int64_t>(entry.inode - before.inode));
  append_varint(out, entry.links);
  if (entry.device != 0) append_varint(out, entry.device);
  if (!entry.link_target.empty()) append_text(out, entry.link_target);
  if (entry.xattrs != XattrMark{}) out += raw(entry.xattrs);
  if (entry.trusted != XattrMark{}) out += raw(entry.trusted);
  if (entry.digest) out += entry.digest->raw();
}

void read_mark(ByteReader& in, XattrMark& mark) {
  const std::string_view bytes = in.raw(mark.size());
  if (in.is_ok()) std::memcpy(mark.data(), bytes.data(), mark.size());
}

/// Whatever is wrong shows in the reader.
RecordEntry read_entry(ByteReader& in, const RecordEntry& before, bool& is_sound) {
  RecordEntry entry;
  const std::uint64_t flags = in.varint();
  const std::uint64_t shared = in.varint();
  is_sound = flags <= kAllFlags && shared <= before.path.size();
  if (!is_sound) return entry;
  entry.path = before.path.substr(0, static_cast<std::size_t>(shared));
  entry.path += in.text(kMaxPathBytes - shared);
  entry.mode = static_cast<std::uint32_t>(in.varint());
  entry.uid = static_cast<std::uint32_t>(in.varint());
  entry.gid = static_cast<std::uint32_t>(in.varint());
  entry.size = in.varint();
  entry.mtime = read_time(in, before.mtime);
  entry.ctime = read_time(in, before.ctime);
  entry.inode = before.inode + static_cast<std::uint64_t>(in.number());
  entry.links = static_cast<std::uint32_t>(in.varint());
  if ((flags & kHasDevice) != 0) entry.device = in.varint();
  if ((flags & kHasTarget) != 0) entry.link_target = in.text(kMaxTargetBytes);
  if ((flags & kHasXattrs) != 0) read_mark(in, entry.xattrs);
  if ((flags & kHasTrusted) != 0) read_mark(in, entry.trusted);
  if ((flags & kHasDigest) != 0) {
    auto digest = FileDigest::from_raw(in.raw(sizeof(DigestBytes)));
    if (digest) entry.digest = *digest;
  }
  entry.is_young = (flags & kIsYoung) != 0;
  return entry;
}

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, std::string("not a record of a layer: ") + what};
}

Error too_large(const RecordLimits& limits) {
  return {ErrorCode::kLimitExceeded, "the layer is too large for a record: more than " +
                                         std::to_string(limits.max_entries) + " entries or " +
                                         std::to_string(limits.max_bytes) + " bytes"};
}

}  // namespace

const RecordEntry* NodeRecord::find(std::string_view path) const {
  const auto found = std::ranges::lower_bound(
      entries, path, {}, [](const RecordEntry& entry) { return std::string_view(entry.path); });
  return found == entries.end() || found->path != path ? nullptr : &*found;
}

Result<std::string> NodeRecord::encode(const RecordLimits& limits) const {
  std::string out(kMagic);
  append_varint(out, kVersion);
  append_varint(out, static_cast<std::uint64_t>(dialect));
  append_varint(out, sees_trusted ? 1 : 0);
  append_text(out, std::string_view(place).substr(0, kMaxPlaceBytes));
  append_varint(out, entries.size());
  const RecordEntry nothing;
  const RecordEntry* before = &nothing;
  for (const RecordEntry& entry : entries) {
    append_entry(out, entry, *before);
    before = &entry;
  }
  if (entries.size() > limits.max_entries || out.size() > limits.max_bytes)
    return too_large(limits);
  return out;
}

Result<NodeRecord> NodeRecord::decode(std::string_view bytes, const RecordLimits& limits) {
  if (bytes.size() > limits.max_bytes) return too_large(limits);
  if (!bytes.starts_with(kMagic)) return corrupt("it does not begin like one");
  ByteReader in(bytes.substr(kMagic.size()));
  if (in.varint() != kVersion)
    return Error{ErrorCode::kUnsupported, "a record of a layer of another version"};
  NodeRecord record;
  const std::uint64_t dialect = in.varint();
  if (dialect > static_cast<std::uint64_t>(Dialect::kFuseOverlay)) return corrupt("its dialect");
  record.dialect = static_cast<Dialect>(dialect);
  record.sees_trusted = in.varint() == 1;
  record.place = in.text(kMaxPlaceBytes);
  const std::uint64_t count = in.varint();
  if (count > limits.max_entries) return too_large(limits);
  if (!in.is_ok() || count > in.left() / kLeastEntryBytes) return corrupt("it is cut off");
  record.entries.reserve(static_cast<std::size_t>(count));
  const RecordEntry nothing;
  std::uint64_t names = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const RecordEntry& before = i == 0 ? nothing : record.entries.back();
    bool is_sound = false;
    RecordEntry entry = read_entry(in, before, is_sound);
    if (!is_sound || !in.is_ok()) return corrupt("an entry is cut off or out of range");
    if (i != 0 && entry.path <= before.path) return corrupt("its paths are not in order");
    names += entry.path.size() + entry.link_target.size();
    if (names > limits.max_bytes) return too_large(limits);  // shared prefixes can be made long
    record.entries.push_back(std::move(entry));
  }
  if (!in.is_at_end()) return corrupt("something follows its entries");
  return record;
}

}  // namespace assay::image
