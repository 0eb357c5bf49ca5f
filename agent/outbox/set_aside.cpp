// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/set_aside.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>

#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

constexpr std::size_t kKept = 4;
constexpr std::string_view kMark = ".corrupt-";

/// The numbers of the files that were set aside before, ascending.
std::set<unsigned> numbers_of(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + std::string(kMark);
  std::set<unsigned> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    unsigned number = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + prefix.size(), end, number);
    if (read.ec == std::errc() && read.ptr == end) numbers.insert(number);
  }
  return numbers;
}

Result<void> rename_if_there(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return ok();
  return system_error("rename " + from + " to " + to);
}

Result<void> sync_folder(const std::string& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return system_error("sync " + folder);
  return ok();
}

}  // namespace

Result<std::string> set_aside(const std::string& path) {
  const std::string mark = path + std::string(kMark);
  std::set<unsigned> numbers = numbers_of(path);
  const unsigned next = numbers.empty() ? 1 : *numbers.rbegin() + 1;
  const std::string aside = mark + std::to_string(next);
  // The WAL keeps its name relative to the database, so that SQLite's tools find both. It goes
  // last: a database without the WAL it had would be an older one with the same epoch, while a WAL
  // without a database is deleted by SQLite.
  ASSAY_TRY(rename_if_there(path, aside));
  ASSAY_TRY(rename_if_there(path + "-wal", aside + "-wal"));
  (void)::unlink((path + "-shm").c_str());  // an index of the WAL; SQLite makes it anew
  for (numbers.insert(next); numbers.size() > kKept; numbers.erase(numbers.begin()))
    for (const char* suffix : {"", "-wal", "-shm"})
      (void)::unlink((mark + std::to_string(*numbers.begin()) + suffix).c_str());
  ASSAY_TRY(sync_folder(std::filesystem::path(path).parent_path().string()));
  return aside;
}

}  // namespace assay::agent
