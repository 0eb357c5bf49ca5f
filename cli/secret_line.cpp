// SPDX-License-Identifier: Apache-2.0
#include "cli/secret_line.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <memory>

#include "common/base/unique_fd.h"

namespace assay::cli {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
constexpr std::size_t kMaxLineBytes = 4096;  // a terminal's own limit: termios(3), canonical mode

// A handler has nothing else to reach its process by.
volatile sig_atomic_t signal_pipe = -1;

void on_signal(int number) {
  const int before = errno;
  const char byte = static_cast<char>(number);
  (void)!::write(signal_pipe, &byte, 1);
  errno = before;
}

/// While it lives the terminal shows nothing of what is typed, and kSignals only write to a pipe.
class Silence {
 public:
  static Result<std::unique_ptr<Silence>> begin() {
    std::unique_ptr<Silence> silence(new Silence);
    if (tcgetattr(STDIN_FILENO, &silence->settings_) != 0)
      return system_error("read the terminal's settings");
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return system_error("open a pipe");
    silence->signals_ = UniqueFd(ends[0]);
    silence->handlers_ = UniqueFd(ends[1]);
    silence->catch_signals();
    struct termios silent = silence->settings_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
      return system_error("switch the terminal's echo off");
    return silence;
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (!handlers_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings_);
    for (std::size_t i = 0; i < kSignals.size(); ++i)
      ::sigaction(kSignals[i], &before_[i], nullptr);
    signal_pipe = -1;
  }

  /// What came: a signal's number, or 0 and the line in `line`.
  Result<int> wait(std::string& line) {
    while (line.empty() || line.back() != '\n') {
      std::array<pollfd, 2> ready = {{{signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
      if (::poll(ready.data(), ready.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return system_error("wait for the terminal");
      }
      char byte = 0;
      if ((ready[0].revents & POLLIN) != 0 && ::read(signals_.get(), &byte, 1) == 1)
        return int{byte};
      if (ready[1].revents == 0) continue;
      const ssize_t size = ::read(STDIN_FILENO, &byte, 1);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0 || line.size() >= kMaxLineBytes)
        return Error{ErrorCode::kUnavailable, "the terminal's input ended"};
      line.push_back(byte);
    }
    line.pop_back();
    return 0;
  }

 private:
  Silence() = default;

  void catch_signals() {
    signal_pipe = handlers_.get();
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i], &action, &before_[i]);
      // As nohup(1) wants it.
      if (before_[i].sa_handler == SIG_IGN) ::sigaction(kSignals[i], &before_[i], nullptr);
    }
  }

  struct termios settings_ {};
  std::array<struct sigaction, kSignals.size()> before_{};
  UniqueFd signals_;
  UniqueFd handlers_;
};

}  // namespace

Result<std::string> read_secret_line(const std::function<void()>& ask) {
  for (;;) {
    ASSAY_ASSIGN(auto silence, Silence::begin());
    ask();
    std::string line;
    auto came = silence->wait(line);
    silence.reset();
    std::cerr << '\n';
    if (!came) return std::move(came.error());
    if (*came == 0) return line;
    ::raise(*came);  // ends the program, or stops it until it is continued
  }
}

}  // namespace assay::cli
