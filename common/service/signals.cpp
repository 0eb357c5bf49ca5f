// SPDX-License-Identifier: Apache-2.0
#include "common/service/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

namespace assay::service {

Result<Signals> Signals::create(User user) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  if (user == User::kTaken) sigaddset(&set, SIGUSR1);
  if (const int code = pthread_sigmask(SIG_BLOCK, &set, nullptr); code != 0)
    return system_error("pthread_sigmask", code);
  std::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return system_error("signalfd");
  return Signals(std::move(fd));
}

int Signals::wait_for_stop(const std::function<void()>& on_hangup,
                           const std::function<void()>& on_user) const {
  for (;;) {
    const auto signal = wait(std::chrono::milliseconds(-1));
    if (!signal) continue;
    if (*signal == SIGHUP)
      on_hangup();
    else if (*signal == SIGUSR1)
      on_user();
    else
      return *signal;
  }
}

std::optional<int> Signals::wait(std::chrono::milliseconds timeout) const {
  const bool is_forever = timeout.count() < 0;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    int left_ms = -1;
    if (!is_forever) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      left_ms = left.count() < 0 ? 0 : static_cast<int>(left.count());
    }
    pollfd poll_fd{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, left_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) continue;
    return static_cast<int>(info.ssi_signo);
  }
}

}  // namespace assay::service
