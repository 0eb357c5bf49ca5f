// SPDX-License-Identifier: Apache-2.0
#include "common/image/canonical.h"

#include <algorithm>
#include <array>
#include <limits>

#include "common/base/encoding.h"
#include "common/image/file_capability.h"
#include "common/image/root_form.h"

namespace assay::image {
namespace {

constexpr std::size_t kFlushBytes = 1U << 16;
constexpr std::int64_t kMaxSeconds = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;

// The four fields that every digest stream begins with.
void append_header(std::string& out, std::string_view kind, std::string_view coverage) {
  append_field(out, "assay-fingerprint");
  append_field(out, kFingerprintVersion);
  append_field(out, kind);
  append_field(out, coverage);
}

void append_nothing(std::string& out, int fields) {
  for (int i = 0; i < fields; ++i)
    append_field(out, std::string_view());
}

// path, type, mode, uid, gid, size, link: what shape and content have in common.
void append_common(std::string& out, std::string_view path, const Entry& entry) {
  const char type = static_cast<char>(entry.type);
  append_field(out, path);
  append_field(out, std::string_view(&type, 1));
  if (entry.type == EntryType::kDirectory) return append_nothing(out, 5);
  if (entry.type == EntryType::kSymlink) {
    append_nothing(out, 1);
  } else {
    append_field(out, entry.mode);
  }
  append_field(out, entry.uid);
  append_field(out, entry.gid);
  if (entry.type == EntryType::kFile) {
    append_field(out, entry.size);
  } else {
    append_nothing(out, 1);
  }
  append_field(out, entry.link_target);
}

void flush(Sha256Hasher& hasher, std::string& buffer, std::size_t limit) {
  if (buffer.size() <= limit) return;
  hasher.update(buffer);
  buffer.clear();
}

}  // namespace

bool is_device(const Entry& entry) {
  return entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
}

void canonicalize(Entry& entry) {
  const bool is_file = entry.type == EntryType::kFile;
  const bool is_link = entry.type == EntryType::kSymlink;
  entry.mode = is_link ? 0 : entry.mode & 07777;
  if (entry.type == EntryType::kDirectory) {
    entry.mode = 0;
    entry.uid = entry.gid = 0;
  }
  if (!is_file) entry.size = 0;
  if (!is_link) entry.link_target.clear();
  const bool is_time_valid = entry.mtime_s >= 0 && entry.mtime_s <= kMaxSeconds;
  if (!(is_file || is_link) || !is_time_valid) entry.mtime_s = 0;
  if (!is_device(entry)) entry.device_major = entry.device_minor = 0;
  if (entry.type == EntryType::kDirectory) entry.xattrs.clear();
  // No Linux file system keeps user.* on anything but files and directories (xattr(7)), and older
  // unpackers pass over empty values.
  std::erase_if(entry.xattrs, [&](const Xattr& xattr) {
    return is_ignored_xattr(xattr.name) || (!is_file && xattr.name.starts_with("user.")) ||
           xattr.value.empty();
  });
  for (Xattr& xattr : entry.xattrs)
    if (xattr.name == kCapabilityXattr && capability_root_id(xattr.value) == 0)
      xattr.value = with_capability_root_id(std::move(xattr.value), 0);
  std::ranges::sort(entry.xattrs);
}

void apply_link_header(Entry& entry, const Entry& header) {
  Entry wanted = header;
  wanted.type = entry.type;
  canonicalize(wanted);
  entry.mode = wanted.mode;
  entry.uid = wanted.uid;
  entry.gid = wanted.gid;
  entry.mtime_s = wanted.mtime_s;
  for (Xattr& xattr : wanted.xattrs) {
    const auto found = std::ranges::find(entry.xattrs, xattr.name, &Xattr::name);
    if (found != entry.xattrs.end()) {
      found->value = std::move(xattr.value);
    } else {
      entry.xattrs.push_back(std::move(xattr));
    }
  }
  std::ranges::sort(entry.xattrs);
}

bool is_docker_injected(std::string_view path, const Entry& entry) {
  constexpr std::array<std::string_view, 6> kDirectories = {"dev", "dev/pts", "dev/shm",
                                                            "etc", "proc",    "sys"};
  constexpr std::array<std::string_view, 5> kEmptyFiles = {".dockerenv", "dev/console", "etc/hosts",
                                                           "etc/hostname", "etc/resolv.conf"};
  switch (entry.type) {
    case EntryType::kDirectory:
      return std::ranges::find(kDirectories, path) != kDirectories.end();
    case EntryType::kFile:
      return entry.size == 0 && entry.xattrs.empty() && (entry.mode & 07000) == 0 &&
             std::ranges::find(kEmptyFiles, path) != kEmptyFiles.end();
    case EntryType::kSymlink:
      return path == "etc/mtab" && entry.link_target == "/proc/mounts";
    default:
      return false;
  }
}

RecordDigests::RecordDigests(Scope scope, Form form) : scope_(scope), form_(form) {
  const bool is_root = form == Form::kRoot;
  append_header(shape_buffer_, is_root ? "root-shape" : "shape",
                "path,type,mode,uid,gid,size,link,mtime");
  append_header(content_buffer_, is_root ? "root-content" : "content",
                is_root ? "path,type,mode,uid,gid,size,link,fsverity-sha256-4096,device,capability"
                        : "path,type,mode,uid,gid,size,link,fsverity-sha256-4096,device,xattrs");
}

void RecordDigests::add(std::string_view path, const Entry& entry, const FileDigest* digest) {
  if (form_ == Form::kRoot && is_left_out_of_root(path, entry.type)) return;
  ++records_;
  content_bytes_ += entry.size;
  const std::size_t start = shape_buffer_.size();
  append_common(shape_buffer_, path, entry);
  const std::size_t end = shape_buffer_.size();
  const bool has_time = entry.type == EntryType::kFile || entry.type == EntryType::kSymlink;
  if (has_time) {
    append_field(shape_buffer_, static_cast<std::uint64_t>(entry.mtime_s));
  } else {
    append_nothing(shape_buffer_, 1);
  }
  if (scope_ == Scope::kContent) {
    content_buffer_.append(shape_buffer_, start, end - start);
    append_field(content_buffer_, entry.type == EntryType::kFile && digest != nullptr
                                      ? digest->raw()
                                      : std::string_view());
    append_field(content_buffer_, is_device(entry) ? std::to_string(entry.device_major) + ":" +
                                                         std::to_string(entry.device_minor)
                                                   : std::string());
    append_xattrs(entry);
  }
  flush(shape_, shape_buffer_, kFlushBytes);
  flush(content_, content_buffer_, kFlushBytes);
}

// Stores that copy a root from one directory to another keep file capabilities and nothing else.
void RecordDigests::append_xattrs(const Entry& entry) {
  xattrs_.clear();
  for (const Xattr& xattr : entry.xattrs) {
    if (form_ == Form::kRoot && xattr.name != kCapabilityXattr) continue;
    append_field(xattrs_, xattr.name);
    append_field(xattrs_, xattr.value);
  }
  append_field(content_buffer_, xattrs_);
}

void RecordDigests::finish(ShapeDigest& shape, std::optional<ContentDigest>& content) {
  flush(shape_, shape_buffer_, 0);
  flush(content_, content_buffer_, 0);
  shape = ShapeDigest{shape_.finish().bytes};
  if (scope_ == Scope::kContent) content = ContentDigest{content_.finish().bytes};
}

RootFingerprint RecordDigests::finish_root() {
  RootFingerprint root;
  finish(root.shape, root.content);
  root.entries = records_;
  root.content_bytes = content_bytes_;
  return root;
}

DeletionsDigest deletions_digest(const Deletions& deletions) {
  std::string stream;
  append_header(stream, "deletions", "whiteouts,opaques");
  for (const std::string& path : deletions.whiteouts) {
    append_field(stream, "w");
    append_field(stream, path);
  }
  for (const std::string& path : deletions.opaques) {
    append_field(stream, "o");
    append_field(stream, path);
  }
  return DeletionsDigest{sha256(stream).bytes};
}

}  // namespace assay::image
