// SPDX-License-Identifier: Apache-2.0
// assay-starter: starts containers by hand, one or many at a steady rate, and waits for their end.
#include <sys/wait.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/exit_code.h"
#include "deploy/starter/container.h"

namespace {

using assay::ExitCode;
using assay::Result;
using assay::starter::ContainerSpec;
using Steady = std::chrono::steady_clock;

struct Options {
  std::vector<std::string> lowers;
  std::vector<std::string> command;
  std::string name = "assay";
  std::uint32_t count = 1;
  double rate_hz = 50;
  bool should_report = false;
};

// The containers of this run. Signals are blocked while it works and taken one at a time, so that
// pace, ends and a request to stop are handled in one place.
class Containers {
 public:
  explicit Containers(const Options& options) : options_(options) {
    sigemptyset(&signals_);
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP})
      sigaddset(&signals_, number);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  Result<ExitCode> run() {
    const auto pause = std::chrono::nanoseconds(
        options_.rate_hz > 0 ? static_cast<std::int64_t>(1e9 / options_.rate_hz) : 0);
    auto due = Steady::now();
    for (std::uint32_t number = 1; number <= options_.count && !is_stopped_; ++number) {
      if (auto started = start(number); !started) {
        stop_all();
        return started.error();
      }
      due += pause;
      while (!is_stopped_ && Steady::now() < due)
        wait_for_signal(due - Steady::now());
    }
    while (!running_.empty())
      wait_for_signal(std::chrono::hours(1));
    if (is_stopped_) return ExitCode::kOk;
    return failures_ == 0 ? ExitCode::kOk : ExitCode::kNegative;
  }

 private:
  Result<void> start(std::uint32_t number) {
    ContainerSpec spec{options_.lowers, options_.name, options_.command};
    if (options_.count > 1) spec.hostname += "-" + std::to_string(number);
    ASSAY_ASSIGN(const assay::starter::StartedContainer started,
                 assay::starter::start_container(spec));
    running_[started.pid] = spec.hostname;
    if (options_.should_report) {
      std::printf("%s\t%d\t%lld\n", spec.hostname.c_str(), static_cast<int>(started.pid),
                  static_cast<long long>(assay::to_unix_ns(started.exec_time)));
      std::fflush(stdout);
    }
    return assay::ok();
  }

  void wait_for_signal(std::chrono::nanoseconds limit) {
    const timespec timeout{.tv_sec = static_cast<time_t>(limit.count() / 1'000'000'000),
                           .tv_nsec = static_cast<long>(limit.count() % 1'000'000'000)};
    const int number = sigtimedwait(&signals_, nullptr, &timeout);
    if (number > 0 && number != SIGCHLD) stop_all();
    reap();
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (status != 0) ++failures_;
      running_.erase(pid);
    }
  }

  // The first process of a pid namespace takes all others of it along.
  void stop_all() {
    is_stopped_ = true;
    for (const auto& [pid, name] : running_)
      kill(pid, SIGKILL);
  }

  const Options& options_;
  sigset_t signals_ = {};
  std::map<pid_t, std::string> running_;
  std::uint32_t failures_ = 0;
  bool is_stopped_ = false;
};

int fail(const assay::Error& error) {
  std::fprintf(stderr, "assay-starter: %s\n", error.text().c_str());
  return static_cast<int>(assay::exit_code_for(error));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Starts containers with system calls alone: clone, overlay, pivot_root, exec.");
  app.add_option("--lower", options.lowers, "layer directory; repeat, top layer first")->required();
  app.add_option("--count", options.count, "how many containers")->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate_hz, "starts a second; 0 = without a pause")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--name", options.name, "host name; with --count it gets a number");
  app.add_flag("--report", options.should_report,
               "print name, pid and time of exec (ns since 1970) of each");
  app.add_option("command", options.command, "what to run in the container, after --")->required();
  app.positionals_at_end();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kOk : ExitCode::kUsage);
  }

  if (auto checked = assay::starter::check({options.lowers, options.name, options.command});
      !checked) {
    return fail(checked.error());
  }
  Result<ExitCode> code = Containers(options).run();
  return code ? static_cast<int>(*code) : fail(code.error());
}
