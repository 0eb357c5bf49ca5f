// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/pin_folder.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

namespace assay::agent {
namespace {

namespace fs = std::filesystem;

constexpr long kBpfFsMagic = 0xcafe4a11;  // include/uapi/linux/magic.h
// Whole sets are moved to this name, so that it never holds half of one. bpffs allows no dots.
constexpr char kSet[] = "/probe";
constexpr char kDraft[] = "/draft-";

std::string path_of(const std::string& folder, ProbeObject object) {
  return folder + "/" + std::string(name_of(object));
}

bool is_on_bpffs(const std::string& path) {
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == kBpfFsMagic;
}

Error no_bpffs(const std::string& path) {
  return {ErrorCode::kUnsupported,
          "no bpffs is mounted at " + path + " (mount -t bpf bpf /sys/fs/bpf)"};
}

/// Whoever may write to the folder could hand us a probe of their own.
Result<void> check_owner(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return system_error("look at " + path);
  if (!S_ISDIR(status.st_mode))
    return Error{ErrorCode::kPermissionDenied, path + " is not a folder"};
  if ((status.st_uid != 0 && status.st_uid != ::geteuid()) || (status.st_mode & 0022U) != 0)
    return Error{ErrorCode::kPermissionDenied,
                 path + " may be written by others: it must belong to the agent's user, mode 0700"};
  return ok();
}

/// Makes `path` and at most what is missing above it below bpffs' root.
Result<void> make_folders(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> missing;
  fs::path existing = path;
  while (!fs::exists(existing, error) && existing.has_parent_path() &&
         existing != existing.parent_path()) {
    missing.push_back(existing);
    existing = existing.parent_path();
  }
  if (!is_on_bpffs(existing)) return no_bpffs(existing);
  for (auto next = missing.rbegin(); next != missing.rend(); ++next)
    if (::mkdir(next->c_str(), 0700) != 0 && errno != EEXIST)
      return system_error("make the folder " + next->string());
  return ok();
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().string());
  return names;
}

Result<void> remove_set(const std::string& folder) {
  // Links first: nothing is told any more while the rest goes.
  for (std::size_t i = kProbeObjects; i-- > 0;)
    ::unlink(path_of(folder, static_cast<ProbeObject>(i)).c_str());
  for (const std::string& entry : entries_of(folder))
    if (::unlink(entry.c_str()) != 0) return system_error("remove the pin " + entry);
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT)
    return system_error("remove the folder " + folder);
  return ok();
}

Result<void> pin_each(const ProbeObjects& objects, const std::string& folder) {
  for (std::size_t i = 0; i < kProbeObjects; ++i) {
    const auto object = static_cast<ProbeObject>(i);
    if (bpf_obj_pin(objects.fd(object), path_of(folder, object).c_str()) != 0)
      return system_error("pin " + path_of(folder, object));
  }
  return ok();
}

}  // namespace

Result<PinFolder> PinFolder::open(const std::string& path) {
  ASSAY_TRY(make_folders(path));
  return lock(path);
}

Result<PinFolder> PinFolder::open_existing(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return system_error(path);
  return lock(path);
}

Result<PinFolder> PinFolder::lock(const std::string& path) {
  if (!is_on_bpffs(path)) return no_bpffs(path);
  ASSAY_TRY(check_owner(path));
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return system_error("open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return PinFolder(path, std::move(fd));
  if (errno != EWOULDBLOCK) return system_error("lock " + path);
  return Error{ErrorCode::kUnavailable, path + " is in use by another assay-agent"};
}

Result<std::optional<ProbeObjects>> PinFolder::get() const {
  const std::string folder = path_ + kSet;
  if (::access(folder.c_str(), F_OK) != 0) return std::optional<ProbeObjects>();
  ASSAY_TRY(check_owner(folder));
  ProbeObjects objects;
  for (std::size_t i = 0; i < kProbeObjects; ++i) {
    const auto object = static_cast<ProbeObject>(i);
    UniqueFd fd(bpf_obj_get(path_of(folder, object).c_str()));
    if (!fd && errno == ENOENT)
      return Error{ErrorCode::kCorrupt, "the pin " + path_of(folder, object) + " is missing"};
    if (!fd) return system_error("open the pin " + path_of(folder, object));
    objects.set(object, std::move(fd));
  }
  return std::optional<ProbeObjects>(std::move(objects));
}

Result<void> PinFolder::pin(const ProbeObjects& objects) const {
  const std::string draft = path_ + kDraft + std::to_string(::getpid());
  if (::mkdir(draft.c_str(), 0700) != 0) return system_error("make the folder " + draft);
  auto pinned = pin_each(objects, draft);
  if (pinned && ::rename(draft.c_str(), (path_ + kSet).c_str()) != 0)
    pinned = system_error("name the pins " + path_ + kSet);
  if (!pinned) (void)remove_set(draft);
  return pinned;
}

Result<void> PinFolder::clear() const {
  Result<void> cleared = ok();
  for (const std::string& set : entries_of(path_))
    if (auto one = remove_set(set); !one) cleared = std::move(one);
  return cleared;
}

Result<void> PinFolder::remove() const {
  ASSAY_TRY(clear());
  // The folder above may be shared with other agents: it goes with the last one.
  if (::rmdir(path_.c_str()) == 0) ::rmdir(fs::path(path_).parent_path().c_str());
  return ok();
}

bool PinFolder::has_pins() const {
  return !entries_of(path_).empty();
}

}  // namespace assay::agent
