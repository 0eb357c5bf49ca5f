// SPDX-License-Identifier: Apache-2.0
// Listening where the kernel has no IPv6.
#include "collector/app/port_gate.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace assay::collector {
namespace {

/// For this thread, for good: socket(2) knows no IPv6, as in a kernel that was built or started
/// without (seccomp(2)). The words of a system call's arguments lie as little endian here.
bool lose_ipv6() {
  std::array<sock_filter, 6> code = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{code.size(), code.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// What "localhost" is on most machines; `first` and, when it is given, `second`.
Result<std::vector<UniqueFd>> listen_on(const char* first, const char* second = nullptr) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo *one = nullptr, *other = nullptr;
  if (::getaddrinfo(first, nullptr, &hints, &one) != 0) return Error{ErrorCode::kInternal, first};
  if (second != nullptr && ::getaddrinfo(second, nullptr, &hints, &other) != 0)
    return Error{ErrorCode::kInternal, second};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(one, ::freeaddrinfo);
  one->ai_next = other;  // freed with it
  return listen_on_each(one, "localhost:0", 0);
}

TEST_CASE("without IPv6 a name is listened on where it can be, and ::1 says why not",
          "[port][unit]") {
  bool is_lost = false;
  std::size_t listeners = 0;
  std::string problem, problem_of_v6;
  std::thread([&] {
    is_lost = lose_ipv6();
    const auto local = listen_on("::1", "127.0.0.1");
    listeners = local ? local->size() : 0;
    problem = local ? "" : local.error().text();
    const auto v6 = listen_on("::1");
    problem_of_v6 = v6 ? "" : v6.error().text();
  }).join();
  REQUIRE(is_lost);
  CHECK(problem.empty());
  CHECK(listeners == 1);
  CHECK_THAT(problem_of_v6, Catch::Contains("Address family not supported"));
}

}  // namespace
}  // namespace assay::collector
