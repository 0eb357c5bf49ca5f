// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/processes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/base/file.h"
#include "common/base/process_stat.h"

namespace assay::agent {
namespace {

TEST_CASE("terminals have their names", "[agent][unit]") {
  struct Row {
    std::uint32_t device;
    const char* name;
  };
  // MAJOR << 8 | MINOR, with the minor's upper bits from bit 20 on.
  for (const Row& row : {Row{0, ""}, Row{136U << 8U | 3U, "pts/3"}, Row{137U << 8U | 1U, "pts/257"},
                         Row{4U << 8U | 1U, "tty1"}, Row{4U << 8U | 64U, "ttyS0"},
                         Row{5U << 8U | 1U, "console"}, Row{136U << 8U | 1U << 20U, "pts/256"}})
    CHECK(terminal_name(row.device) == row.name);
}

TEST_CASE("a start is completed by its process, or by an ancestor that is left", "[agent][unit]") {
  const auto text = read_file("/proc/self/stat", 4096);
  REQUIRE(text);
  const auto stat = parse_process_stat(*text);
  REQUIRE(stat);
  const ProcessInfo self{{static_cast<std::uint32_t>(::getpid()), stat->started()}, "test"};
  const ProcessInfo gone{{self.key.tgid, stat->started() - std::chrono::hours(1)}, "gone"};
  ProcProcesses processes;

  ContainerStart start;
  start.process = gone;  // its number is another's now
  start.ancestors = {gone, self};
  processes.complete(start);
  CHECK(start.login.session == stat->session);
  CHECK(start.login.starter_uid == ::getuid());
  CHECK(start.login.told_by == "test (pid " + std::to_string(::getpid()) + ")");

  ContainerStart nobody;
  nobody.process = gone;
  processes.complete(nobody);
  CHECK(nobody.login == catalog::Login{});
}

TEST_CASE("a process of another start lives nowhere", "[agent][unit]") {
  ProcProcesses processes;
  const auto lives = processes.lives_on({static_cast<std::uint32_t>(::getpid()), 1}, {});
  REQUIRE(lives);
  CHECK_FALSE(*lives);
}

TEST_CASE("the device of a process's root is told while it lives", "[agent][unit]") {
  ProcProcesses processes;
  struct stat status {};
  REQUIRE(::stat("/", &status) == 0);
  const auto own = processes.root_device({static_cast<std::uint32_t>(::getpid()), 0});
  REQUIRE(own);
  CHECK(*own == status.st_dev);
  const auto gone = processes.root_device({0x7FFFFFFF, 0});
  REQUIRE(gone);
  CHECK_FALSE(gone->has_value());
}

}  // namespace
}  // namespace assay::agent
