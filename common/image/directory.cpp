// SPDX-License-Identifier: Apache-2.0
#include "common/image/directory.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/encoding.h"
#include "common/image/directory_read.h"
#include "common/image/file_capability.h"
#include "common/image/file_digester.h"
#include "common/image/layer_marks.h"
#include "common/image/node_record.h"
#include "common/image/safe_open.h"

namespace assay::image {
namespace {

constexpr int kReadAttempts = 4;
constexpr std::pair<Dialect, std::string_view> kDialects[] = {
    {Dialect::kPlain, "plain"},
    {Dialect::kOverlay, "overlay"},
    {Dialect::kOverlayUser, "overlay-user"},
    {Dialect::kAufs, "aufs"},
    {Dialect::kFuseOverlay, "fuse-overlayfs"}};
constexpr std::uint64_t kProgressFiles = 256;
constexpr std::uint64_t kProgressBytes = 8ULL << 20;

EntryType type_of(std::uint16_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFCHR:
      return EntryType::kCharDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    case S_IFIFO:
      return EntryType::kFifo;
    case S_IFSOCK:
      return EntryType::kSocket;
    default:
      return EntryType::kFile;
  }
}

Result<std::uint64_t> map_id(const std::vector<IdRange>& ranges, std::uint64_t id) {
  if (const auto mapped = id_in_image(ranges, id)) return *mapped;
  return Error{ErrorCode::kUnsupported,
               "id " + std::to_string(id) + " is not in the user namespace's map"};
}

// An open file for observers. Lives as long as the descriptor.
class FileBytes final : public ReadAt {
 public:
  FileBytes(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    std::size_t filled = 0;
    while (filled < out.size()) {
      const ssize_t got = ::pread(fd_, out.data() + filled, out.size() - filled,
                                  static_cast<off_t>(offset + filled));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read");
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    return filled;
  }

 private:
  int fd_;
  std::uint64_t size_;
};

// A regular file held open with O_PATH, and what stat said about exactly that file.
struct HeldFile {
  UniqueFd fd;
  struct statx status = {};
};

class Walker {
 public:
  Walker(const WalkOptions& options, FileOpener opener, std::stop_token stop)
      : options_(options),
        opener_(std::move(opener)),
        stop_(std::move(stop)),
        builder_(options.limits) {
    if (options.scope == Scope::kContent) recorder_ = options.recorder;
    marks_ = overlay_prefix(options.dialect);
    if (options.wants_root_form) builder_.want_root_form();
  }

  Result<LayerFingerprint> walk(int root_fd);

 private:
  Result<void> walk_directory(int fd, const std::string& path, std::uint32_t depth);
  Result<bool> read_marks(int fd, const std::string& path);
  Result<void> visit(int dir_fd, const DirectoryName& name, const std::string& path,
                     bool has_xwhites);
  Result<bool> take_mark(int dir_fd, const std::string& name, const std::string& path,
                         const struct statx& status, bool has_xwhites);
  Result<bool> take_name_mark(const std::string& name, const std::string& path);
  Result<void> apply_override(int dir_fd, const std::string& name, Entry& entry);
  Result<Entry> describe(int dir_fd, const std::string& name, const std::string& path,
                         const struct statx& status);
  Result<void> add_file(int dir_fd, const std::string& name, Entry entry, HeldFile held);
  Result<std::vector<Xattr>> read_xattrs(int fd, const char* name);
  Result<std::vector<Xattr>> image_xattrs(std::vector<Xattr> all);
  Result<void> note(int fd, const char* name, const std::string& path, const struct statx& status);
  Result<void> note_directory(int fd, const std::string& path);
  Result<bool> add_known_file(Entry& entry, const struct statx& status,
                              const std::vector<Xattr>& xattrs);
  void show(int fd, const std::string& path, std::uint64_t size, std::size_t slot);
  void begin_digests(int root_fd);
  void report(std::uint64_t files, std::uint64_t bytes);
  void tell_progress();
  Result<void> check_stop() const {
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    return ok();
  }

  const WalkOptions& options_;
  FileOpener opener_;
  std::stop_token stop_;
  FingerprintBuilder builder_;
  std::optional<FileDigester> digester_;  // only with content
  NodeRecorder* recorder_ = nullptr;      // only with content
  std::string marks_;  // prefix of overlay's attributes in this dialect; "" when it has none
  OverrideName override_ = OverrideName::kNone;  // what this layer keeps true owners and modes in
  DirectoryReader reader_;
  std::uint64_t entries_ = 0;
  WalkProgress progress_;
  WalkProgress reported_;  // the last one
};

Result<LayerFingerprint> Walker::walk(int root_fd) {
  if (needs_trusted_xattrs(options_.dialect) && !can_see_trusted_xattrs())
    builder_.deletions_not_visible();
  ASSAY_ASSIGN(const UniqueFd root, open_beneath(root_fd, ".", O_RDONLY | O_DIRECTORY));
  ASSAY_ASSIGN(override_, find_override(options_.dialect, root.get()));
  if (options_.scope == Scope::kContent) begin_digests(root.get());
  if (recorder_ != nullptr) recorder_->begin(options_.dialect);
  ASSAY_TRY(note_directory(root.get(), ""));
  ASSAY_TRY(walk_directory(root.get(), "", 0));
  const auto digests = digester_ ? digester_->finish() : std::vector<FileDigest>();
  if (recorder_ != nullptr) recorder_->finish(digests);
  tell_progress();
  return std::move(builder_).finish(options_.scope, digests, options_.observer);
}

Result<void> Walker::walk_directory(int fd, const std::string& path, std::uint32_t depth) {
  if (depth > options_.limits.max_depth)
    return Error{ErrorCode::kLimitExceeded,
                 "deeper than " + std::to_string(options_.limits.max_depth) + " directories"};
  ASSAY_TRY(check_stop());
  ASSAY_ASSIGN(const bool has_xwhites, read_marks(fd, path));
  const std::uint64_t room = options_.limits.max_entries - entries_;
  ASSAY_ASSIGN(const std::vector<DirectoryName> names, reader_.read(fd, room));
  entries_ += names.size();
  for (const DirectoryName& name : names) {
    const std::string child = path.empty() ? name.name : path + "/" + name.name;
    bool is_directory = name.is_directory;
    if (name.is_unknown) {
      struct statx status = {};
      ASSAY_TRY(stat_at(fd, name.name.c_str(), status));
      is_directory = type_of(status.stx_mode) == EntryType::kDirectory;
    }
    if (!is_directory) {
      ASSAY_TRY(visit(fd, name, child, has_xwhites));
      continue;
    }
    ASSAY_ASSIGN(const bool is_mark, take_name_mark(name.name, child));
    if (is_mark) {
      struct statx status = {};
      ASSAY_TRY(stat_at(fd, name.name.c_str(), status));
      ASSAY_TRY(note(fd, name.name.c_str(), child, status));
      continue;
    }
    Entry entry;
    entry.path = child;
    entry.type = EntryType::kDirectory;
    ASSAY_TRY(builder_.add(std::move(entry)));
    ASSAY_ASSIGN(const UniqueFd below,
                 open_beneath(fd, name.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    ASSAY_TRY(note_directory(below.get(), child));
    ASSAY_TRY(walk_directory(below.get(), child, depth + 1));
  }
  return ok();
}

// Reads the marks on a directory; true when its files may be whiteouts told by an attribute.
Result<bool> Walker::read_marks(int fd, const std::string& path) {
  ASSAY_ASSIGN(const DirectoryMarks marks, read_directory_marks(options_.dialect, fd));
  if (marks.has_redirect) builder_.saw_redirect();
  if (marks.is_opaque) ASSAY_TRY(builder_.add_opaque(path));
  return marks.has_xwhites;
}

Result<void> Walker::visit(int dir_fd, const DirectoryName& name, const std::string& path,
                           bool has_xwhites) {
  struct statx status = {};
  UniqueFd held;
  if (digester_ && name.is_file) {
    ASSAY_ASSIGN(held, open_beneath(dir_fd, name.name.c_str(), O_PATH | O_NOFOLLOW));
    ASSAY_TRY(stat_at(held.get(), "", status));
  } else {
    ASSAY_TRY(stat_at(dir_fd, name.name.c_str(), status));
  }
  if ((status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
    return Error{ErrorCode::kUnsupported, "a mount lies inside the layer"};
  ASSAY_ASSIGN(const bool is_mark, take_mark(dir_fd, name.name, path, status, has_xwhites));
  if (is_mark) return note(dir_fd, name.name.c_str(), path, status);
  ASSAY_ASSIGN(Entry entry, describe(dir_fd, name.name, path, status));
  if (digester_ && entry.type == EntryType::kFile)
    return add_file(dir_fd, name.name, std::move(entry), {std::move(held), status});
  ASSAY_TRY(note(dir_fd, name.name.c_str(), path, status));
  return builder_.add(std::move(entry));
}

// What is no file that is read, for the node's own record.
Result<void> Walker::note(int fd, const char* name, const std::string& path,
                          const struct statx& status) {
  if (recorder_ == nullptr) return ok();
  ASSAY_ASSIGN(const std::vector<Xattr> xattrs, read_xattrs(fd, name));
  RecordEntry entry = NodeRecorder::entry(path, status, xattrs);
  if (type_of(status.stx_mode) == EntryType::kSymlink) {
    ASSAY_ASSIGN(entry.link_target, read_link(fd, name));
  }
  return recorder_->add(std::move(entry));
}

Result<void> Walker::note_directory(int fd, const std::string& path) {
  if (recorder_ == nullptr) return ok();
  struct statx status = {};
  ASSAY_TRY(stat_at(fd, "", status));
  return note(fd, "", path, status);
}

// True when the node's earlier record has the digest of the file, which did not change since.
Result<bool> Walker::add_known_file(Entry& entry, const struct statx& status,
                                    const std::vector<Xattr>& xattrs) {
  if (recorder_ == nullptr) return false;
  RecordEntry record = NodeRecorder::entry(entry.path, status, xattrs);
  record.digest = recorder_->known(record);
  if (!record.digest) return false;
  entry.file_digest = record.digest;
  ASSAY_TRY(recorder_->add(std::move(record)));
  ASSAY_TRY(builder_.add(std::move(entry)));
  return true;
}

// True when the entry is no content but says that something below it is deleted.
Result<bool> Walker::take_mark(int dir_fd, const std::string& name, const std::string& path,
                               const struct statx& status, bool has_xwhites) {
  ASSAY_ASSIGN(const bool is_name_mark, take_name_mark(name, path));
  if (is_name_mark) return true;
  const EntryType type = type_of(status.stx_mode);
  bool is_whiteout = has_device_whiteouts(options_.dialect) && type == EntryType::kCharDevice &&
                     status.stx_rdev_major == 0 && status.stx_rdev_minor == 0;
  if (has_xwhites && type == EntryType::kFile && status.stx_size == 0) {
    ASSAY_ASSIGN(const std::vector<std::string> names, list_xattrs(dir_fd, name.c_str()));
    for (const std::string& xattr : names)
      is_whiteout |= xattr == marks_ + "whiteout";
  }
  if (is_whiteout) ASSAY_TRY(builder_.add_whiteout(path));
  return is_whiteout;
}

Result<bool> Walker::take_name_mark(const std::string& name, const std::string& path) {
  const NameMark mark = mark_of_name(options_.dialect, name);
  if (mark == NameMark::kNone) return false;
  const std::string parent = path.substr(0, path.size() - name.size());  // ends in "/", or is ""
  if (mark == NameMark::kOpaque)
    ASSAY_TRY(builder_.add_opaque(parent.empty() ? "" : parent.substr(0, parent.size() - 1)));
  if (mark == NameMark::kWhiteout)
    ASSAY_TRY(builder_.add_whiteout(parent + std::string(name_below_whiteout(name))));
  return true;
}

Result<Entry> Walker::describe(int dir_fd, const std::string& name, const std::string& path,
                               const struct statx& status) {
  Entry entry;
  entry.path = path;
  entry.type = type_of(status.stx_mode);
  entry.mode = status.stx_mode & 07777U;
  auto uid = map_id(options_.uid_map, status.stx_uid);
  if (!uid) return std::move(uid.error()).with_context(escape_untrusted(path));
  auto gid = map_id(options_.gid_map, status.stx_gid);
  if (!gid) return std::move(gid.error()).with_context(escape_untrusted(path));
  entry.uid = *uid;
  entry.gid = *gid;
  entry.size = status.stx_size;
  entry.mtime_s = status.stx_mtime.tv_sec;
  entry.device_major = status.stx_rdev_major;
  entry.device_minor = status.stx_rdev_minor;
  if (entry.type == EntryType::kSymlink) {
    ASSAY_ASSIGN(entry.link_target, read_link(dir_fd, name.c_str()));
  }
  if (override_ != OverrideName::kNone && entry.type == EntryType::kFile)
    ASSAY_TRY(apply_override(dir_fd, name, entry));
  if (options_.scope == Scope::kContent && entry.type != EntryType::kFile) {
    ASSAY_ASSIGN(std::vector<Xattr> xattrs, read_xattrs(dir_fd, name.c_str()));
    ASSAY_ASSIGN(entry.xattrs, image_xattrs(std::move(xattrs)));
  }
  return entry;
}

// Puts owner, mode and type as the attribute says them in place of those on disk.
Result<void> Walker::apply_override(int dir_fd, const std::string& name, Entry& entry) {
  const std::string xattr(to_string(override_));
  ASSAY_ASSIGN(const std::vector<std::string> names, list_xattrs(dir_fd, name.c_str()));
  if (std::ranges::find(names, xattr) == names.end()) return ok();
  ASSAY_ASSIGN(const std::string value, get_xattr(dir_fd, name.c_str(), xattr));
  auto stat = parse_override_stat(value);
  if (!stat) return std::move(stat.error()).with_context(escape_untrusted(entry.path));
  entry.uid = stat->uid;
  entry.gid = stat->gid;
  entry.mode = stat->mode;
  if (stat->type && *stat->type != EntryType::kDirectory) entry.type = *stat->type;
  entry.device_major = stat->device_major;
  entry.device_minor = stat->device_minor;
  return ok();
}

// Hashes the file and adds it, again from the start when it changed meanwhile.
Result<void> Walker::add_file(int dir_fd, const std::string& name, Entry entry, HeldFile held) {
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    ASSAY_TRY(check_stop());
    if (!held.fd) {
      ASSAY_ASSIGN(held.fd, open_beneath(dir_fd, name.c_str(), O_PATH | O_NOFOLLOW));
      ASSAY_TRY(stat_at(held.fd.get(), "", held.status));
      if (type_of(held.status.stx_mode) != EntryType::kFile) break;
      const std::string path = entry.path;
      ASSAY_ASSIGN(entry, describe(dir_fd, name, path, held.status));
    }
    ASSAY_ASSIGN(const UniqueFd file, opener_.reopen(held.fd.get()));
    ASSAY_ASSIGN(std::vector<Xattr> xattrs, read_xattrs(file.get(), ""));
    ASSAY_ASSIGN(entry.xattrs, image_xattrs(xattrs));
    ASSAY_ASSIGN(const bool is_known, add_known_file(entry, held.status, xattrs));
    if (is_known) return ok();
    auto slot = digester_->add(file.get(), held.status);
    if (!slot) return std::move(slot.error()).with_context(escape_untrusted(entry.path));
    if (*slot) {
      show(file.get(), entry.path, entry.size, **slot);
      if (recorder_ != nullptr)
        ASSAY_TRY(recorder_->add(NodeRecorder::entry(entry.path, held.status, xattrs), **slot));
      report(1, 0);
      return builder_.add(std::move(entry), **slot);
    }
    held.fd.reset();
  }
  return Error{ErrorCode::kCorrupt,
               "\"" + escape_untrusted(entry.path) + "\" changes while it is read"};
}

void Walker::show(int fd, const std::string& path, std::uint64_t size, std::size_t slot) {
  if (options_.observer == nullptr) return;
  const std::uint64_t wanted = options_.observer->wanted_bytes(path, slot);
  if (wanted > 0 && size <= wanted) options_.observer->on_file(path, slot, FileBytes(fd, size));
}

void Walker::begin_digests(int root_fd) {
  FileDigester::Options options;
  options.max_bytes = options_.limits.max_content_bytes;
  options.thread = options_.hash_thread;
  options.page_cache = options_.page_cache;
  options.on_bytes = [this](std::uint64_t bytes) { report(0, bytes); };
  digester_.emplace(root_fd, std::move(options), stop_);
}

void Walker::report(std::uint64_t files, std::uint64_t bytes) {
  progress_.files += files;
  progress_.bytes += bytes;
  if (progress_.files - reported_.files >= kProgressFiles ||
      progress_.bytes - reported_.bytes >= kProgressBytes)
    tell_progress();
}

void Walker::tell_progress() {
  if (!options_.progress) return;
  if (digester_) progress_.own_thread_time = digester_->own_thread_time();
  reported_ = progress_;
  options_.progress(progress_);
}

// All of them; values that no digest covers only when they are recorded.
Result<std::vector<Xattr>> Walker::read_xattrs(int fd, const char* name) {
  std::vector<Xattr> all;
  ASSAY_ASSIGN(const std::vector<std::string> names, list_xattrs(fd, name));
  for (const std::string& xattr : names) {
    std::string value;
    if (recorder_ != nullptr || !is_ignored_xattr(xattr)) {
      ASSAY_ASSIGN(value, get_xattr(fd, name, xattr));
    }
    all.push_back({xattr, std::move(value)});
  }
  return all;
}

// What of them the image means, in its own ids.
Result<std::vector<Xattr>> Walker::image_xattrs(std::vector<Xattr> all) {
  for (const Xattr& xattr : all)
    if (!marks_.empty() && (xattr.name == marks_ + "metacopy" || xattr.name == marks_ + "redirect"))
      builder_.saw_redirect();
  std::erase_if(all, [](const Xattr& xattr) { return is_ignored_xattr(xattr.name); });
  std::vector<Xattr> result = xattrs_of_image(options_.dialect, override_, std::move(all));
  for (Xattr& xattr : result) {
    if (xattr.name != kCapabilityXattr) continue;
    const auto root_id = capability_root_id(xattr.value);
    const auto mapped = root_id ? id_in_image(options_.uid_map, *root_id) : std::nullopt;
    if (mapped && *mapped <= UINT32_MAX)
      xattr.value =
          with_capability_root_id(std::move(xattr.value), static_cast<std::uint32_t>(*mapped));
  }
  return result;
}

}  // namespace

std::string_view to_string(Dialect dialect) {
  for (const auto& [value, name] : kDialects)
    if (value == dialect) return name;
  return "";
}

Result<Dialect> parse_dialect(std::string_view text) {
  std::string known;
  for (const auto& [value, name] : kDialects) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return Error{ErrorCode::kInvalidArgument,
               "\"" + escape_untrusted(text, 80) + "\" is no dialect; there are: " + known};
}

std::optional<std::uint64_t> id_in_image(const std::vector<IdRange>& ranges,
                                         std::uint64_t on_disk) {
  if (ranges.empty()) return on_disk;
  for (const IdRange& range : ranges)
    if (on_disk >= range.on_disk && on_disk - range.on_disk < range.count)
      return range.in_image + (on_disk - range.on_disk);
  return std::nullopt;
}

Result<LayerFingerprint> fingerprint_directory(int root_fd, const WalkOptions& options,
                                               std::stop_token stop) {
  ASSAY_ASSIGN(FileOpener opener, FileOpener::create());
  return Walker(options, std::move(opener), std::move(stop)).walk(root_fd);
}

}  // namespace assay::image
