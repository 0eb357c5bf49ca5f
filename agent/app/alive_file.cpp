// SPDX-License-Identifier: Apache-2.0
#include "agent/app/alive_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>

#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxBytes = 256;
constexpr std::chrono::milliseconds kWriteEvery{900};

std::string path_in(const std::string& state_dir) {
  return state_dir + "/alive";
}

}  // namespace

std::optional<BootTime> AliveFile::read(const std::string& state_dir, const std::string& boot_id,
                                        const Clock& clock) {
  const auto text = read_file(path_in(state_dir), kMaxBytes);
  if (!text) return std::nullopt;
  std::istringstream line(*text);
  std::string boot;
  std::int64_t boot_ns = 0;
  std::int64_t wall_ns = 0;
  if (!(line >> boot >> boot_ns >> wall_ns)) return std::nullopt;
  if (boot == boot_id) return BootTime(boot_ns);
  // The boot clock began again: the wall clock is all there is.
  return clock.boot_now() - (clock.wall_now() - from_unix_ns(wall_ns));
}

Result<std::unique_ptr<AliveFile>> AliveFile::open(const std::string& state_dir,
                                                   std::string boot_id, const Clock& clock) {
  const std::string path = path_in(state_dir);
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error("open " + path);
  return std::unique_ptr<AliveFile>(new AliveFile(std::move(fd), std::move(boot_id), clock));
}

void AliveFile::write(BootTime time) {
  const MutexLock lock(mutex_);
  if (written_ != BootTime::min() && time - written_ < kWriteEvery) return;
  written_ = time;
  const WallTime wall = clock_.wall_now() - (clock_.boot_now() - time);
  std::string line =
      boot_id_ + " " + std::to_string(time.count()) + " " + std::to_string(to_unix_ns(wall)) + "\n";
  // As long as any line before it, so that one write replaces it: fewer bytes than a page.
  line.insert(line.size() - 1, line.size() < 128 ? 128 - line.size() : 0, ' ');
  [[maybe_unused]] const ssize_t written = ::pwrite(fd_.get(), line.data(), line.size(), 0);
}

}  // namespace assay::agent
