// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/merged_view.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/identify/covering_layer.h"
#include "agent/identify/view_findings.h"
#include "common/base/encoding.h"
#include "common/base/unique_fd.h"
#include "common/image/directory_read.h"
#include "common/image/layer_marks.h"
#include "common/image/safe_open.h"

namespace assay::agent {
namespace {

constexpr std::string_view kPreload = "etc/ld.so.preload";
constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW;
constexpr int kReadFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

std::string join(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

bool is_same_time(const statx_timestamp& a, const statx_timestamp& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// The mounts below a root by their paths; the last one at a path is the one that is seen.
class MountPoints {
 public:
  explicit MountPoints(const std::vector<CoveringMount>& mounts) {
    for (const CoveringMount& mount : mounts)
      by_path_[mount.path] = &mount;
  }
  const CoveringMount* at(const std::string& path) const {
    const auto found = by_path_.find(path);
    return found == by_path_.end() ? nullptr : found->second;
  }

 private:
  std::unordered_map<std::string, const CoveringMount*> by_path_;
};

/// /etc is not guarded as a whole, but files of the loader lie in it.
bool covers_guarded(const std::vector<SeenLayer>& layers, const std::string& path) {
  if (path != "etc") return catalog::is_guarded_path(path);
  for (const SeenLayer& layer : layers)
    for (const char* name : {"etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.conf.d"})
      if (layer.is_base && image::open_beneath(layer.fd, name, O_PATH | O_NOFOLLOW)) return true;
  return false;
}

/// One folder of the base: open in each base layer that has it (the topmost first), and in the
/// root.
struct Level {
  std::string path;
  struct Part {
    std::size_t layer = 0;
    UniqueFd fd;
  };
  std::vector<Part> parts;
  UniqueFd seen;
  std::uint32_t depth = 0;
};

class ViewWalk {
 public:
  ViewWalk(const SeenRoot& root, const ViewLimits& limits, const std::stop_token& stop)
      : root_(root),
        limits_(limits),
        stop_(stop),
        mounts_(root.mounts),
        deadline_(std::chrono::steady_clock::now() + limits.max_time) {}

  Result<void> walk();
  catalog::View& view() { return view_; }

 private:
  /// Which layer gives each name of a folder, by its index; kDeleted: none.
  using Names = std::map<std::string, std::size_t>;
  static constexpr std::size_t kDeleted = static_cast<std::size_t>(-1);

  Result<void> look(const Level& level);
  Result<Names> names_of(const Level& level);
  Result<bool> is_whiteout(int fd, const image::DirectoryName& name) const;
  Result<void> look_at(const Level& level, const std::string& name, std::size_t layer);
  Result<void> look_below(const Level& level, const std::string& name, std::size_t layer,
                          const std::string& path);
  Result<std::vector<Level::Part>> open_parts(const Level& level, const std::string& name,
                                              std::size_t top) const;
  Result<void> compare(const Level& level, const std::string& name, std::size_t layer,
                       const std::string& path, const struct statx& expected);
  bool is_same(const struct statx& expected, const struct statx& seen, bool is_id_mapped) const;
  void explain(const std::string& path, std::size_t layer, const struct statx* seen);
  Result<void> check_folder(const std::string& path, int fd);
  Result<void> check_preload();
  Result<void> check_limits() const;

  const SeenRoot& root_;
  const ViewLimits& limits_;
  const std::stop_token& stop_;
  const MountPoints mounts_;
  const std::chrono::steady_clock::time_point deadline_;
  image::DirectoryReader reader_;
  catalog::View view_;
};

Result<void> ViewWalk::walk() {
  Level top;
  for (std::size_t i = root_.layers.size(); i-- > 0;) {
    if (!root_.layers[i].is_base) continue;
    ASSAY_ASSIGN(UniqueFd fd, image::open_beneath(root_.layers[i].fd, ".", O_RDONLY | O_DIRECTORY));
    top.parts.push_back({i, std::move(fd)});
    ++view_.layers;
  }
  ASSAY_ASSIGN(top.seen, image::open_beneath(root_.root_fd, ".", O_PATH | O_DIRECTORY));
  ASSAY_TRY(check_folder("", top.seen.get()));
  ASSAY_TRY(look(top));
  return check_preload();
}

Result<void> ViewWalk::check_limits() const {
  if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  if (view_.paths > limits_.max_paths)
    return Error{ErrorCode::kLimitExceeded,
                 "the base has more than " + std::to_string(limits_.max_paths) + " paths"};
  if (std::chrono::steady_clock::now() > deadline_)
    return Error{
        ErrorCode::kLimitExceeded,
        "it took longer than " +
            std::to_string(
                std::chrono::duration_cast<std::chrono::seconds>(limits_.max_time).count()) +
            " s"};
  return ok();
}

Result<void> ViewWalk::look(const Level& level) {
  ASSAY_TRY(check_limits());
  if (level.depth > limits_.max_depth)
    return Error{ErrorCode::kLimitExceeded,
                 "deeper than " + std::to_string(limits_.max_depth) + " folders"};
  ASSAY_ASSIGN(const Names names, names_of(level));
  for (const auto& [name, layer] : names)
    if (layer != kDeleted) ASSAY_TRY(look_at(level, name, layer));
  return ok();
}

Result<bool> ViewWalk::is_whiteout(int fd, const image::DirectoryName& name) const {
  if (name.is_directory || name.is_file || !image::has_device_whiteouts(root_.dialect))
    return false;
  struct statx status {};
  ASSAY_TRY(image::stat_at(fd, name.name.c_str(), status));
  return is_whiteout_device(status);
}

Result<ViewWalk::Names> ViewWalk::names_of(const Level& level) {
  Names names;
  for (const Level::Part& part : level.parts) {
    const SeenLayer& layer = root_.layers[part.layer];
    ASSAY_ASSIGN(const auto found, reader_.read(part.fd.get(), limits_.max_paths));
    for (const image::DirectoryName& name : found) {
      ASSAY_ASSIGN(const bool deletes, is_whiteout(part.fd.get(), name));
      if (deletes && !layer.applies_marks) continue;  // whose word it is, is not known
      names.emplace(name.name, deletes ? kDeleted : part.layer);
    }
  }
  return names;
}

Result<void> ViewWalk::look_at(const Level& level, const std::string& name, std::size_t layer) {
  const std::string path = join(level.path, name);
  if (catalog::is_runtime_path(path)) return ok();
  ++view_.paths;
  if (const CoveringMount* mount = mounts_.at(path)) {
    note_difference(view_, path, mount_text(mount->source), Blame::kRun,
                    covers_guarded(root_.layers, path));
    return ok();
  }
  const auto part = std::find_if(level.parts.begin(), level.parts.end(),
                                 [&](const Level::Part& one) { return one.layer == layer; });
  struct statx expected {};
  ASSAY_TRY(image::stat_at(part->fd.get(), name.c_str(), expected));
  if (S_ISDIR(expected.stx_mode)) return look_below(level, name, layer, path);
  return compare(level, name, layer, path, expected);
}

/// The folder in the layers from `top` down, as far as they are merged.
Result<std::vector<Level::Part>> ViewWalk::open_parts(const Level& level, const std::string& name,
                                                      std::size_t top) const {
  std::vector<Level::Part> parts;
  for (const Level::Part& part : level.parts) {
    if (part.layer > top) continue;  // it has no such name
    const SeenLayer& layer = root_.layers[part.layer];
    auto fd = image::open_beneath(part.fd.get(), name.c_str(), kReadFolder);
    if (!fd && fd.error().sys_errno == ENOENT) continue;
    if (!fd && (fd.error().sys_errno == ENOTDIR || fd.error().sys_errno == ELOOP)) {
      struct statx status {};
      ASSAY_TRY(image::stat_at(part.fd.get(), name.c_str(), status));
      if (is_whiteout_device(status) && !layer.applies_marks) continue;
      break;  // what lies below a file is not merged
    }
    if (!fd) return std::move(fd.error());
    bool is_opaque = false;
    if (layer.applies_marks) {
      ASSAY_ASSIGN(const auto marks, image::read_directory_marks(root_.dialect, fd->get()));
      is_opaque = marks.is_opaque;
    }
    parts.push_back({part.layer, std::move(*fd)});
    if (is_opaque) break;
  }
  return parts;
}

Result<void> ViewWalk::look_below(const Level& level, const std::string& name, std::size_t layer,
                                  const std::string& path) {
  auto seen = image::open_beneath(level.seen.get(), name.c_str(), kFolder);
  if (!seen) {
    const int code = seen.error().sys_errno;
    if (code != ENOENT && code != ENOTDIR && code != ELOOP && code != EXDEV)
      return std::move(seen.error());
    explain(path, layer, nullptr);
    return ok();
  }
  ASSAY_TRY(check_folder(path, seen->get()));
  Level below;
  below.path = path;
  below.depth = level.depth + 1;
  below.seen = std::move(*seen);
  ASSAY_ASSIGN(below.parts, open_parts(level, name, layer));
  return look(below);
}

Result<void> ViewWalk::compare(const Level& level, const std::string& name, std::size_t layer,
                               const std::string& path, const struct statx& expected) {
  struct statx seen {};
  // Without a question to whoever serves a file that was mounted there a moment ago.
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (::statx(level.seen.get(), name.c_str(), kFlags, STATX_BASIC_STATS, &seen) != 0) {
    if (errno != ENOENT) return system_error("stat /" + escape_untrusted(path));
    explain(path, layer, nullptr);
    return ok();
  }
  const bool is_mount = (seen.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (is_mount || !is_same(expected, seen, root_.layers[layer].is_id_mapped))
    explain(path, layer, &seen);
  return ok();
}

bool ViewWalk::is_same(const struct statx& expected, const struct statx& seen,
                       bool is_id_mapped) const {
  // On several devices overlayfs may put the layer's number into the upper bits (xino).
  const std::uint64_t mask = root_.is_one_device ? UINT64_MAX : UINT32_MAX;
  const bool is_same_owner =
      is_id_mapped || (seen.stx_uid == expected.stx_uid && seen.stx_gid == expected.stx_gid);
  return (seen.stx_ino & mask) == (expected.stx_ino & mask) && seen.stx_mode == expected.stx_mode &&
         seen.stx_size == expected.stx_size && is_same_owner &&
         is_same_time(seen.stx_mtime, expected.stx_mtime) &&
         is_same_time(seen.stx_ctime, expected.stx_ctime);
}

/// Why the root shows something else, or nothing, at a path that layer `layer` has.
void ViewWalk::explain(const std::string& path, std::size_t layer, const struct statx* seen) {
  const bool is_guarded = covers_guarded(root_.layers, path);
  const auto note = [&](const std::string& why, Blame blame) {
    note_difference(view_, path, why, blame, is_guarded);
  };
  if (seen != nullptr && (seen->stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
    return note("mount", Blame::kRun);
  if (root_.upper_fd >= 0)
    if (const Cover cover = cover_in(root_.upper_fd, path, root_.dialect, nullptr);
        cover != Cover::kNone)
      return note(text_of_run(cover), Blame::kRun);
  for (std::size_t i = root_.layers.size(); i-- > layer + 1;) {
    const SeenLayer& above = root_.layers[i];
    const Cover cover =
        cover_in(above.fd, path, root_.dialect, root_.is_one_device ? seen : nullptr);
    if (cover == Cover::kNone || (above.is_base && above.applies_marks)) continue;
    if (above.is_base)
      return note("hidden by layer " + std::to_string(i + 1) + ", and the base may not say so",
                  Blame::kRun);
    const std::string whose =
        above.is_injected ? "the runtime's own layer" : "layer " + std::to_string(i + 1);
    return note(text_of_layer(cover, whose),
                cover == Cover::kFolder ? Blame::kHider : Blame::kImage);
  }
  if (seen != nullptr && root_.upper_fd < 0) return note("not the layer's file", Blame::kRun);
  note(seen == nullptr ? "missing: hidden by an opaque or redirected folder"
                       : "another file: by a redirected folder",
       Blame::kRun);
}

/// A folder of the system that anybody may write to lets anybody replace what is in it.
Result<void> ViewWalk::check_folder(const std::string& path, int fd) {
  if (!catalog::is_guarded_folder(path)) return ok();
  struct statx status {};
  ASSAY_TRY(image::stat_at(fd, "", status));
  const bool is_open = (status.stx_mode & S_IWOTH) != 0 && (status.stx_mode & S_ISVTX) == 0;
  if (is_open) note_difference(view_, path, "anyone may write to it", Blame::kRun, true);
  ASSAY_ASSIGN(const bool has_list, has_access_list(fd));
  if (has_list) note_difference(view_, path, "an ACL lets others in", Blame::kRun, true);
  return ok();
}

/// The one file whose mere presence changes every program.
Result<void> ViewWalk::check_preload() {
  const std::string path(kPreload);
  for (std::size_t i = 0; i < root_.layers.size(); ++i) {
    if (!image::open_beneath(root_.layers[i].fd, path.c_str(), O_PATH | O_NOFOLLOW)) continue;
    if (!root_.layers[i].is_base)
      note_difference(view_, path, "added by layer " + std::to_string(i + 1), Blame::kHider, true);
    return ok();
  }
  if (const CoveringMount* mount = mounts_.at(path)) {
    note_difference(view_, path, mount_text(mount->source), Blame::kRun, true);
    return ok();
  }
  if (image::open_beneath(root_.root_fd, path.c_str(), O_PATH | O_NOFOLLOW))
    note_difference(view_, path, "added in the container", Blame::kRun, true);
  return ok();
}

}  // namespace

Result<catalog::View> look_at_view(const SeenRoot& root, const ViewLimits& limits,
                                   const std::stop_token& stop) {
  ViewWalk walk(root, limits, stop);
  const auto done = walk.walk();
  catalog::View& view = walk.view();
  view.state = view.masked != 0 ? catalog::ViewState::kDiffers : catalog::ViewState::kAgrees;
  if (done) return std::move(view);
  // What was found is true, whatever else there is.
  if (view.masked == 0) return done.error();
  view.reason = "not all of it was looked at: " + done.error().text();
  return std::move(view);
}

Result<catalog::View> look_at_mounts(const SeenRoot& root) {
  catalog::View view;
  for (const CoveringMount& mount : root.mounts) {
    if (catalog::is_runtime_path(mount.path)) continue;
    const bool is_covering =
        std::any_of(root.layers.begin(), root.layers.end(), [&](const SeenLayer& layer) {
          return !layer.is_injected &&
                 image::open_beneath(layer.fd, mount.path.c_str(), O_PATH | O_NOFOLLOW).has_value();
        });
    if (is_covering)
      note_difference(view, mount.path, mount_text(mount.source), Blame::kRun,
                      covers_guarded(root.layers, mount.path));
  }
  view.state = view.masked != 0 ? catalog::ViewState::kDiffers : catalog::ViewState::kUnchecked;
  view.reason = "only its mounts were looked at: the bytes of its base are not known yet";
  return view;
}

}  // namespace assay::agent
