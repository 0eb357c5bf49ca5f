// SPDX-License-Identifier: Apache-2.0
#include "common/service/process_stats.h"

#include <unistd.h>

#include <charconv>
#include <ctime>

#include "common/base/file.h"

namespace assay::service {

Result<ProcessStats> read_process_stats() {
  ProcessStats stats;
  // proc(5) /proc/[pid]/statm: size, resident, … in pages.
  ASSAY_ASSIGN(const std::string statm, read_file("/proc/self/statm", 4096));
  const auto space = statm.find(' ');
  std::uint64_t pages = 0;
  if (space == std::string::npos ||
      std::from_chars(statm.data() + space + 1, statm.data() + statm.size(), pages).ec !=
          std::errc{})
    return Error{ErrorCode::kCorrupt, "/proc/self/statm is not understood"};
  stats.rss_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  timespec time{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
    return system_error("clock_gettime CLOCK_PROCESS_CPUTIME_ID");
  stats.cpu_time = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  return stats;
}

}  // namespace assay::service
