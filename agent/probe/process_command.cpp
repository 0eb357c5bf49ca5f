// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/process_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bpf/include/event_abi.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

// At most `limit` bytes; "" when it cannot be read.
std::string read_some(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(limit, '\0');
  std::size_t size = 0;
  while (fd && size < limit) {
    const ssize_t count = ::read(fd.get(), bytes.data() + size, limit - size);
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  bytes.resize(size);
  return bytes;
}

// Field 22 of /proc/PID/stat, in clock ticks; 0 when there is none. The name, field 2, may hold
// anything, so that counting begins behind its closing parenthesis.
std::uint64_t start_ticks(const std::string& folder) {
  const std::string stat = read_some(folder + "stat", 4096);
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field)
    at = stat.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoull(stat.c_str() + at, nullptr, 10);
}

bool is_same_process(const std::string& folder, BootTime start) {
  const auto tick_ns = 1'000'000'000LL / ::sysconf(_SC_CLK_TCK);
  return start_ticks(folder) == static_cast<std::uint64_t>(start.count() / tick_ns);
}

}  // namespace

void fill_command(ContainerStart& start) {
  const std::string folder = "/proc/" + std::to_string(start.process.key.tgid) + "/";
  std::string arguments = read_some(folder + "cmdline", ASSAY_MAX_ARGUMENTS + 1);
  std::array<char, ASSAY_MAX_EXECUTABLE> target{};
  const ssize_t target_size =
      ::readlink((folder + "exe").c_str(), target.data(), target.size() - 1);
  // Looked at last: what was read belongs to this process only if it is still the same one.
  if (!is_same_process(folder, start.process.key.start)) return;
  if (arguments.size() > ASSAY_MAX_ARGUMENTS) {
    arguments.resize(ASSAY_MAX_ARGUMENTS);
    start.arguments_truncated = true;
  }
  if (target_size > 0)
    start.executable.assign(target.data(), static_cast<std::size_t>(target_size));
  start.arguments.clear();
  for (std::string_view rest(arguments); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    start.arguments.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace assay::agent
