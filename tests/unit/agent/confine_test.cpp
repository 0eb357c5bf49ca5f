// SPDX-License-Identifier: Apache-2.0
// Each case in a child: what is given up does not come back.
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "agent/confine/call_filter.h"
#include "agent/confine/rights.h"
#include "common/base/file.h"

using namespace assay;
using namespace assay::agent;

namespace {

/// The number that `work` gives in a child process; 0 when all was well.
template <typename Work>
int in_child(Work work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

bool is_mount_refused() {
  return ::mount("none", "/nonexistent", "tmpfs", 0, nullptr) < 0 && errno == EPERM;
}

int try_refused_calls() {
  if (!forbid_new_privileges() || !filter_calls()) return 1;
  if (denied_calls().count != 0) return 2;
  if (!is_mount_refused()) return 3;
  if (denied_calls().count != 1 || denied_calls().last != "mount") return 4;
  if (::socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM) return 5;
  if (::unshare(CLONE_NEWUSER) == 0 || errno != EPERM) return 6;
  if (denied_calls().count != 3) return 7;
  // The kernel takes the low half of the command.
  for (const long command : {0L, 5L, 1L << 32, (1L << 32) + 5})
    if (::syscall(SYS_bpf, command, nullptr, 0) == 0 || errno != EPERM) return 8;
  if (denied_calls().count != 7) return 9;
  ::raise(SIGSYS);  // a signal is no call
  return denied_calls().count == 7 ? 0 : 10;
}

int try_other_threads() {
  std::atomic<bool> is_filtered{false};
  bool is_refused = false;
  std::thread earlier([&] {
    is_filtered.wait(false);
    is_refused = is_mount_refused() && denied_calls().count > 0;
  });
  const bool is_there = forbid_new_privileges() && filter_calls();
  is_filtered = true;
  is_filtered.notify_all();
  earlier.join();
  if (!is_there) return 1;
  if (!is_refused) return 2;
  bool has_run = false;
  std::thread later([&] { has_run = true; });
  later.join();
  return has_run ? 0 : 3;
}

int try_what_it_needs() {
  if (!forbid_new_privileges() || !filter_calls()) return 1;
  const auto status = read_file("/proc/self/status", 64U << 10);
  if (!status || status->find("Seccomp:\t2") == std::string::npos) return 2;
  const pid_t child = ::fork();
  if (child == 0) {
    // A leak check traces the process, which the filter refuses.
    const char* const environment[] = {"ASAN_OPTIONS=detect_leaks=0", nullptr};
    ::execle("/proc/self/exe", "test", "--help", nullptr, environment);
    ::_exit(1);
  }
  int ended = 0;
  if (child < 0 || ::waitpid(child, &ended, 0) != child) return 3;
  if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) return 4;
  return denied_calls().count == 0 ? 0 : 5;
}

int try_giving_up() {
  if (!give_up_rights()) return 1;
  const auto held = effective_rights();
  if (!held) return 2;
  std::uint64_t used = 0;
  for (const Right& right : used_rights())
    used |= 1ULL << static_cast<unsigned>(right.number);
  return (*held & ~used) == 0 ? 0 : 3;
}

}  // namespace

TEST_CASE("a call that the filter does not know fails with EPERM and is counted",
          "[confine][unit]") {
  CHECK(in_child(try_refused_calls) == 0);
}

TEST_CASE("the filter is on threads from before it and on later ones", "[confine][unit]") {
  CHECK(in_child(try_other_threads) == 0);
}

TEST_CASE("behind the filter a program can be executed and reaped", "[confine][unit]") {
  CHECK(in_child(try_what_it_needs) == 0);
}

TEST_CASE("what the agent does not use is given up", "[confine][unit]") {
  CHECK(in_child(try_giving_up) == 0);
}
