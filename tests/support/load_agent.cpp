// SPDX-License-Identifier: Apache-2.0
// The real agent behind a made-up probe: containers that start and end by a timetable, thousands a
// second if wanted. Everything from the auditor on is the shipped code.
//
//   load_agent run --config FILE --lower DIR… --begin BOOT_NS --count N [--rate HZ] [--life MS]
//                  [--first-pid N] [--hurry]
//   load_agent ledger (the same options): prints what the timetable holds, one line a container:
//                     number, pid, start and end in nanoseconds since boot
//
// The timetable depends on its options only. Started in the middle, the source shows by a sweep
// what should run now, as the kernel would; what began and ended before is missed, as it would be.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "agent/app/run.h"
#include "common/base/sha256.h"
#include "common/base/unique_fd.h"

namespace {

using namespace assay;
using namespace assay::agent;
using std::chrono::milliseconds;

constexpr std::uint32_t kOverlayMagic = 0x794c7630;
constexpr milliseconds kPass{2};  // how far the made-up kernel's news are apart

struct Options {
  std::string config;
  std::vector<std::string> lowers;
  std::int64_t begin_ns = 0;
  std::uint64_t count = 1000;
  double rate_hz = 50;
  std::int64_t life_ms = 100;
  std::uint32_t first_pid = 100'000;
  bool is_hurried = false;  ///< times as in the timetable, but without waiting for them
};

struct Container {
  std::uint64_t number = 0;
  BootTime start{};
  BootTime end{};
};

class Timetable {
 public:
  explicit Timetable(const Options& options) : options_(options) {}
  std::uint64_t count() const { return options_.count; }

  /// Lives between a quarter and seven quarters of the usual length, by its number.
  Container at(std::uint64_t number) const {
    const std::uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15ULL >> 40U;
    const auto usual = std::chrono::nanoseconds(milliseconds(options_.life_ms)).count();
    const std::int64_t life =
        usual / 4 + static_cast<std::int64_t>(mixed % 1000) * (usual / 1000) * 3 / 2;
    const BootTime start(options_.begin_ns + static_cast<std::int64_t>(static_cast<double>(number) *
                                                                       1e9 / options_.rate_hz));
    return {number, start, start + BootTime(life)};
  }

 private:
  const Options& options_;
};

LowerLayer layer_at(const std::string& path) {
  LowerLayer layer;
  layer.name = path;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  ASSAY_ASSERT(fd && ::fstat(fd.get(), &status) == 0);
  layer.device = status.st_dev;
  layer.inode = status.st_ino;
  int generation = 0;
  if (::ioctl(fd.get(), FS_IOC_GETVERSION, &generation) == 0)
    layer.generation = static_cast<std::uint32_t>(generation);
  return layer;
}

class LoadSource final : public EventSource {
 public:
  LoadSource(const Options& options, const Clock& clock)
      : options_(options), clock_(clock), timetable_(options) {
    for (const std::string& path : options.lowers)
      layers_.push_back(layer_at(path));
  }
  ~LoadSource() override { stop(); }

  Result<void> start(EventSink& sink, std::optional<BootTime> absent_since) override {
    sink_ = &sink;
    absent_since_ = absent_since;
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    return ok();
  }
  void request_sweep() override { is_sweep_wanted_ = true; }
  ProbeHealth health() const override { return {ProbeState::kSeen, "made up", {}}; }
  void release(std::uint64_t) override {}  // what it told is in the timetable
  void stop() override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  BootTime now() const { return options_.is_hurried ? hurried_now_ : clock_.boot_now(); }

  void run(const std::stop_token& stop) {
    find_running();
    if (absent_since_) sink_->on_gap({*absent_since_, clock_.boot_now(), GapCause::kAbsence, {}});
    while (!stop.stop_requested()) {
      const BootTime until = next_look();
      deliver(until);
      if (is_sweep_wanted_.exchange(false)) sweep(until);
      sink_->on_checkpoint({++ticket_, options_.is_hurried ? clock_.boot_now() : until});
      if (options_.is_hurried && next_ < timetable_.count()) continue;
      std::this_thread::sleep_for(kPass);
    }
  }

  BootTime next_look() {
    if (options_.is_hurried) hurried_now_ += milliseconds(1000);
    return now();
  }

  void find_running() {
    hurried_now_ = BootTime(options_.begin_ns);
    const BootTime at = now();
    for (; next_ < timetable_.count() && timetable_.at(next_).start <= at; ++next_) {
      const Container container = timetable_.at(next_);
      if (container.end > at) show(container, StartCause::kSweep);
    }
    sweep(at);
  }

  void deliver(BootTime until) {
    for (;;) {
      const bool has_start = next_ < timetable_.count() && timetable_.at(next_).start <= until;
      const bool has_end = !ends_.empty() && ends_.begin()->first <= until;
      if (!has_start && !has_end) return;
      if (has_start && (!has_end || timetable_.at(next_).start <= ends_.begin()->first)) {
        show(timetable_.at(next_++), StartCause::kExec);
        continue;
      }
      sink_->on_emptied({key_of(ends_.begin()->second), ends_.begin()->first});
      ends_.erase(ends_.begin());
    }
  }

  void sweep(BootTime at) {
    SweepCompleted completed;
    completed.began = at;
    completed.completed = at;
    for (const auto& [end, number] : ends_)
      completed.live.push_back(key_of(number));
    sink_->on_sweep(std::move(completed));
  }

  static RunKey key_of(std::uint64_t number) {
    return {{0x123, 1000 + number, 7, kOverlayMagic}, 500'000 + number};
  }

  void show(const Container& container, StartCause cause) {
    const std::string id = sha256(std::to_string(container.number)).hex();
    ContainerStart start;
    start.key = key_of(container.number);
    start.cause = cause;
    start.time = container.start;
    start.process = {
        {options_.first_pid + static_cast<std::uint32_t>(container.number), container.start},
        "server"};
    start.ancestors = {{{4711, BootTime(1'000'000)}, "containerd-shim"},
                       {{1, BootTime(10)}, "systemd"}};
    start.namespace_pids = {start.process.key.tgid, 1};
    start.cgroup_path = "/docker/" + id;
    start.mount_namespace = 900'000 + container.number;
    start.pid_namespace = 1'900'000 + container.number;
    start.in_host_user_namespace = true;
    start.executable = "/usr/local/bin/server";
    start.arguments = {"server", "--listen", "0.0.0.0:8080", "--number",
                       std::to_string(container.number)};
    start.is_overlay = true;
    start.layers = layers_;
    ends_.emplace(container.end, container.number);
    sink_->on_start(std::move(start));
  }

  const Options& options_;
  const Clock& clock_;
  const Timetable timetable_;
  std::vector<LowerLayer> layers_;
  EventSink* sink_ = nullptr;
  // The thread's own.
  std::uint64_t next_ = 0;  // the container that starts next
  std::multimap<BootTime, std::uint64_t> ends_;
  BootTime hurried_now_{};
  std::optional<BootTime> absent_since_;
  std::uint64_t ticket_ = 0;
  std::atomic<bool> is_sweep_wanted_{false};
  std::jthread thread_;
};

int run(const Options& options) {
  const auto load = [&options] {
    config::Sources sources;
    sources.file = options.config;
    return config_table().load(sources);
  };
  const auto loaded = load();
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().text().c_str());
    return 2;
  }
  RunOptions run_options;
  run_options.load = load;
  run_options.make_source = [&options](const AgentConfig&, const Clock& clock) {
    return Result<std::unique_ptr<EventSource>>(std::make_unique<LoadSource>(options, clock));
  };
  return static_cast<int>(run_agent(*loaded, run_options));
}

int print_ledger(const Options& options) {
  const Timetable timetable(options);
  for (std::uint64_t number = 0; number < timetable.count(); ++number) {
    const Container one = timetable.at(number);
    std::printf("%llu\t%llu\t%lld\t%lld\n", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(options.first_pid + number),
                static_cast<long long>(one.start.count()), static_cast<long long>(one.end.count()));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The agent behind a made-up probe.", "load_agent");
  Options options;
  app.require_subcommand(1);
  CLI::App& run_command = *app.add_subcommand("run", "be an agent");
  CLI::App& ledger_command = *app.add_subcommand("ledger", "print the timetable");
  run_command.add_option("--config", options.config)->required();
  run_command.add_option("--lower", options.lowers)->required();
  run_command.add_flag("--hurry", options.is_hurried);
  for (CLI::App* command : {&run_command, &ledger_command}) {
    command->add_option("--begin", options.begin_ns)->required();
    command->add_option("--count", options.count);
    command->add_option("--rate", options.rate_hz);
    command->add_option("--life", options.life_ms);
    command->add_option("--first-pid", options.first_pid);
  }
  CLI11_PARSE(app, argc, argv);
  return run_command ? run(options) : print_ledger(options);
}
