// SPDX-License-Identifier: Apache-2.0
#include "agent/confine/call_filter.h"

#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>

#include "agent/confine/call_list.h"

namespace assay::agent {
namespace {

// What libseccomp of Debian 12 has no name for.
constexpr int kCachestat = 451;
constexpr int kFromSeccomp = 1;  // SYS_SECCOMP, include/uapi/asm-generic/siginfo.h
constexpr unsigned kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

std::atomic<std::uint64_t> g_denied{0};
std::atomic<int> g_last_denied{-1};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void set_result(ucontext_t& context, int result) {
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
  context.uc_mcontext.regs[0] = static_cast<unsigned long long>(static_cast<long long>(result));
#else
#error "which register holds a system call's result?"
#endif
}

/// Runs in place of a refused call, on the thread that made it.
void on_denied(int /*signal*/, siginfo_t* info, void* context) {
  if (info->si_code != kFromSeccomp) return;  // somebody sent the signal
  g_last_denied.store(info->si_syscall, std::memory_order_relaxed);
  g_denied.fetch_add(1, std::memory_order_relaxed);
  set_result(*static_cast<ucontext_t*>(context), -EPERM);
}

Result<void> catch_denied() {
  struct sigaction action {};
  action.sa_sigaction = on_denied;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return system_error("catch SIGSYS");
  return ok();
}

struct FilterDeleter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

/// Collects the first error of many rules.
class Rules {
 public:
  explicit Rules(const Filter& filter) : filter_(filter) {}

  void allow(int call) {
    keep(::seccomp_rule_add_exact_array(filter_.get(), SCMP_ACT_ALLOW, call, 0, nullptr));
  }
  void allow_if(int call, scmp_arg_cmp argument) {
    keep(::seccomp_rule_add_exact_array(filter_.get(), SCMP_ACT_ALLOW, call, 1, &argument));
  }
  void answer(int call, int error) {
    keep(::seccomp_rule_add_exact_array(filter_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(error)),
                                        call, 0, nullptr));
  }
  void keep(int result) {
    if (result_ == 0) result_ = result;
  }
  int result() const { return result_; }

 private:
  const Filter& filter_;
  int result_ = 0;
};

/// Of a call's first argument, all 64 bits of it.
scmp_arg_cmp first_is(int value) {
  return {0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(value), 0};
}

scmp_arg_cmp first_has_none_of(unsigned flags) {
  return {0, SCMP_CMP_MASKED_EQ, flags, 0};
}

void add_rules(Rules& rules) {
  for (const char* name : allowed_calls()) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number >= 0) rules.allow(number);  // else: not on this architecture
  }
  rules.allow(kCachestat);
  rules.allow_if(SYS_clone, first_has_none_of(kNewNamespaces));
  rules.answer(SYS_clone3, ENOSYS);  // its flags lie in memory; the C library then takes clone
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
    rules.allow_if(SYS_socket, first_is(family));
  // Programs and maps are loaded by now. Equality alone: the kernel looks at 32 bits of the
  // command, the filter at 64, so that a comparison with more would let large ones through.
  for (const auto command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
                             BPF_MAP_GET_NEXT_KEY, BPF_OBJ_PIN, BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD,
                             BPF_LINK_CREATE, BPF_LINK_DETACH, BPF_ITER_CREATE})
    rules.allow_if(SYS_bpf, first_is(command));
}

}  // namespace

Result<void> filter_calls() {
  ASSAY_TRY(catch_denied());
  const Filter filter(::seccomp_init(SCMP_ACT_TRAP));
  if (!filter) return Error{ErrorCode::kUnavailable, "make a seccomp filter"};
  Rules rules(filter);
  rules.keep(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1));
  rules.keep(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  rules.keep(::seccomp_attr_set(filter.get(), SCMP_FLTATR_API_SYSRAWRC, 1));
  add_rules(rules);
  if (rules.result() != 0) return system_error("make a seccomp filter", -rules.result());
  if (const int result = ::seccomp_load(filter.get()); result != 0)
    return system_error("load the seccomp filter", -result);
  return ok();
}

DeniedCalls denied_calls() {
  DeniedCalls denied;
  denied.count = g_denied.load(std::memory_order_relaxed);
  const int last = g_last_denied.load(std::memory_order_relaxed);
  if (denied.count == 0 || last < 0) return denied;
  const std::unique_ptr<char, decltype(&std::free)> name(
      ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, last), &std::free);
  denied.last = name ? name.get() : "call " + std::to_string(last);
  return denied;
}

}  // namespace assay::agent
