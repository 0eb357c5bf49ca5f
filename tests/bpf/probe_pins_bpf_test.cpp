// SPDX-License-Identifier: Apache-2.0
// What an agent that is killed leaves on bpffs, and what the next one makes of it. bpffs is mounted
// in a mount namespace of this test's own: whatever happens to it, no pin outlives its processes.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

namespace fs = std::filesystem;
using agent::GapCause;
using agent::ProbePrograms;
using agent::StartCause;

// A bpffs of this test's own.
const std::string& bpffs() {
  static const std::string path = [] {
    std::string pattern = fs::read_symlink("/proc/self/exe").parent_path() / "bpffs-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    REQUIRE(::unshare(CLONE_NEWNS) == 0);
    REQUIRE(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(::mount("bpf", pattern.c_str(), "bpf", 0, "mode=0700") == 0);
    return pattern;
  }();
  static const struct Cleanup {
    ~Cleanup() {
      ::umount2(path.c_str(), MNT_DETACH);
      ::rmdir(path.c_str());
    }
  } cleanup;
  return path;
}

std::size_t probes_in_kernel() {
  std::size_t count = 0;
  std::uint32_t id = 0;
  while (bpf_prog_get_next_id(id, &id) == 0) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 &&
        std::strcmp(info.name, "on_sched_exec") == 0)
      ++count;
  }
  return count;
}

// Programs go a moment after the last descriptor of them.
bool wait_for_probes(std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (probes_in_kernel() != count) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    ::usleep(10'000);
  }
  return true;
}

// The folder of one test, and no programs in it at the beginning and at the end.
class PinFolderFixture {
 public:
  explicit PinFolderFixture(const std::string& name) : path_(bpffs() + "/" + name) {}
  ~PinFolderFixture() { (void)agent::remove_pins(path_); }
  PinFolderFixture(const PinFolderFixture&) = delete;
  PinFolderFixture& operator=(const PinFolderFixture&) = delete;
  const std::string& path() const { return path_; }
  agent::ProbeOptions options() const {
    agent::ProbeOptions options;
    options.pin_folder = path_;
    return options;
  }
  bool has_pins() const { return fs::exists(path_ + "/probe"); }

 private:
  std::string path_;
};

// An agent in a process of its own, until it is killed.
class OtherAgent {
 public:
  enum class Storing { kAtOnce, kNever };
  explicit OtherAgent(const agent::ProbeOptions& options, Storing storing = Storing::kAtOnce) {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    const UniqueFd ready(pipe[0]);
    UniqueFd theirs(pipe[1]);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) run(options, storing, theirs.get());
    theirs.reset();
    char byte = 0;
    REQUIRE(::read(ready.get(), &byte, 1) == 1);
  }
  ~OtherAgent() { kill(); }
  OtherAgent(const OtherAgent&) = delete;
  OtherAgent& operator=(const OtherAgent&) = delete;

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  [[noreturn]] static void run(const agent::ProbeOptions& options, Storing storing, int ready) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const SystemClock clock;
    RecordingSink sink;
    auto source = agent::BpfEventSource::create(options, clock);
    if (!source) ::_exit(1);
    if (storing == Storing::kAtOnce) sink.store_for(source->get());
    if (!(*source)->start(sink, std::nullopt)) ::_exit(1);
    sink.wait_for([&] { return !sink.sweeps().empty(); });
    // Seen by the probe, so that all that comes before it in the ring buffer was read.
    sink.wait_for([&] { return (*source)->health().state == agent::ProbeState::kSeen; });
    if (::write(ready, "r", 1) != 1) ::_exit(1);
    for (;;)
      ::pause();
  }
  pid_t pid_ = -1;
};

TEST_CASE("a killed agent's probe goes on, and the next one reads what happened meanwhile",
          "[probe][bpf]") {
  const PinFolderFixture pins("killed");
  const Bundle before(1);
  const Bundle ended(1);
  HeldContainer old(before);
  HeldContainer ending(ended);
  BootTime killed{};
  const SystemClock clock;
  {
    OtherAgent agent(pins.options());
    killed = clock.boot_now();
    agent.kill();
  }
  CHECK(probes_in_kernel() == 1);
  const auto short_ones = make_bundles(20, 3);
  for (const auto& bundle : short_ones)
    run_short(*bundle);
  const Bundle after(2);
  HeldContainer fresh(after);
  CHECK(ending.program.finish() == 0);

  const BootTime back = clock.boot_now();
  RunningProbe probe(pins.options());
  CHECK(probes_in_kernel() == 1);
  for (const auto& bundle : short_ones) {
    const auto starts = starts_of(probe.sink, *bundle);
    REQUIRE(starts.size() == 1);
    CHECK(starts.front().cause == StartCause::kExec);
    CHECK(starts.front().layers.size() == 3);
    CHECK(starts.front().time > killed);
    CHECK(starts.front().time < back);
    CHECK(ends_of(probe.sink, *bundle) == 1);
  }
  REQUIRE(starts_of(probe.sink, after).size() == 1);
  CHECK(starts_of(probe.sink, after).front().cause == StartCause::kExec);
  CHECK(ends_of(probe.sink, ended) == 1);
  // What ran before is found by the first sweep, which comes at once.
  REQUIRE(starts_of(probe.sink, before).size() == 1);
  CHECK(starts_of(probe.sink, before).front().cause == StartCause::kSweep);
  CHECK(probe.sink.sweeps().front().completed - back < std::chrono::seconds(5));
  CHECK(probe.sink.gaps().empty());
  CHECK(probe.source->health().loss.lost() == 0);
  // And it works on like one that was loaded now.
  REQUIRE(probe.sink.wait_for(
      [&] { return probe.source->health().state == agent::ProbeState::kSeen; }));
  fresh.execute();
  REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, after).size() == 1; }));
}

TEST_CASE("what was read but not stored is read again", "[probe][bpf]") {
  const PinFolderFixture pins("unstored");
  const Bundle first(2);
  const Bundle second(2);
  {
    OtherAgent agent(pins.options(), OtherAgent::Storing::kNever);
    run_short(first);
    agent.kill();
  }
  {
    OtherAgent agent(pins.options());  // this one stores it
    agent.kill();
  }
  run_short(second);
  RunningProbe probe(pins.options());
  CHECK(starts_of(probe.sink, first).empty());
  CHECK(starts_of(probe.sink, second).size() == 1);

  const PinFolderFixture again("unstored-again");
  const Bundle third(2);
  {
    OtherAgent agent(again.options(), OtherAgent::Storing::kNever);
    run_short(third);
    agent.kill();
  }
  RunningProbe next(again.options());
  REQUIRE(starts_of(next.sink, third).size() == 1);
  CHECK(starts_of(next.sink, third).front().cause == StartCause::kExec);
  CHECK(ends_of(next.sink, third) == 1);
  CHECK(next.sink.gaps().empty());
}

TEST_CASE("what found no room in an absence is one gap with its times and its count",
          "[probe][bpf]") {
  constexpr int kShort = 40;
  const PinFolderFixture pins("overflow");
  agent::ProbeOptions options = pins.options();
  options.start_ring_bytes = 64 << 10;
  const SystemClock clock;
  BootTime killed{};
  {
    OtherAgent agent(options);
    agent.kill();
    killed = clock.boot_now();
  }
  const auto short_ones = make_bundles(kShort);
  for (const auto& bundle : short_ones)
    run_short(*bundle);
  const Bundle still(1);
  HeldContainer running(still);
  const BootTime back = clock.boot_now();
  RunningProbe probe(options);
  REQUIRE(probe.sink.wait_for([&] { return !probe.sink.gaps().empty(); }));
  std::uint64_t told = 0;
  for (const auto& bundle : short_ones)
    told += starts_of(probe.sink, *bundle).size();
  const agent::ObservationGap gap = probe.sink.gaps().front();
  CHECK(gap.cause == GapCause::kLosses);
  CHECK(told + gap.lost.gone() == kShort);
  CHECK(gap.lost.gone() > 0);
  CHECK(gap.from <= killed);
  CHECK(gap.from > killed - std::chrono::seconds(30));
  CHECK(gap.until > back);
  REQUIRE(starts_of(probe.sink, still).size() == 1);
  CHECK(starts_of(probe.sink, still).front().cause == StartCause::kSweep);
}

TEST_CASE("a probe with other options is replaced, and what it saw is not lost", "[probe][bpf]") {
  const PinFolderFixture pins("options");
  {
    OtherAgent agent(pins.options());
    agent.kill();
  }
  const Bundle bundle(3);
  run_short(bundle);
  agent::ProbeOptions larger = pins.options();
  larger.start_ring_bytes *= 2;
  RunningProbe probe(larger);
  CHECK(wait_for_probes(1));
  REQUIRE(starts_of(probe.sink, bundle).size() == 1);
  CHECK(starts_of(probe.sink, bundle).front().cause == StartCause::kExec);
  CHECK(starts_of(probe.sink, bundle).front().layers.size() == 3);
  CHECK(ends_of(probe.sink, bundle) == 1);
  CHECK(probe.sink.gaps().empty());
  CHECK(pins.has_pins());
}

// Makes what is pinned that of another version.
void change_abi(const std::string& folder) {
  const UniqueFd map(bpf_obj_get((folder + "/probe/control").c_str()));
  REQUIRE(map);
  const std::uint32_t zero = 0;
  assay_control control{};
  REQUIRE(bpf_map_lookup_elem(map.get(), &zero, &control) == 0);
  control.abi_version = ASSAY_ABI_VERSION + 1;
  REQUIRE(bpf_map_update_elem(map.get(), &zero, &control, BPF_ANY) == 0);
}

TEST_CASE("a probe of another ABI is replaced, and its absence is a gap", "[probe][bpf]") {
  const PinFolderFixture pins("abi");
  const SystemClock clock;
  {
    OtherAgent agent(pins.options());
    agent.kill();
  }
  const BootTime killed = clock.boot_now();
  change_abi(pins.path());
  const Bundle lost(1);
  run_short(lost);
  const Bundle still(1);
  HeldContainer running(still);
  const BootTime back = clock.boot_now();
  RunningProbe probe(pins.options());
  CHECK(wait_for_probes(1));
  CHECK(starts_of(probe.sink, lost).empty());
  REQUIRE(starts_of(probe.sink, still).size() == 1);
  REQUIRE(probe.sink.wait_for([&] { return !probe.sink.gaps().empty(); }));
  const agent::ObservationGap gap = probe.sink.gaps().front();
  CHECK(gap.cause == GapCause::kAbsence);
  CHECK(gap.from <= killed);
  CHECK(gap.until > back);
}

TEST_CASE("half a set of pins is cleared away", "[probe][bpf]") {
  const PinFolderFixture pins("half");
  {
    OtherAgent agent(pins.options());
    agent.kill();
  }
  REQUIRE(::unlink((pins.path() + "/probe/runs").c_str()) == 0);
  REQUIRE(::mkdir((pins.path() + "/draft-1").c_str(), 0700) == 0);
  RunningProbe probe(pins.options());
  CHECK(wait_for_probes(1));
  CHECK(fs::exists(pins.path() + "/probe/runs"));
  CHECK_FALSE(fs::exists(pins.path() + "/draft-1"));
}

TEST_CASE("a clean stop leaves nothing, unless it is told to", "[probe][bpf]") {
  const PinFolderFixture pins("clean");
  {
    RunningProbe probe(pins.options());
    CHECK(pins.has_pins());
    probe.source->stop();
    CHECK_FALSE(fs::exists(pins.path()));
  }
  CHECK(wait_for_probes(0));
  agent::ProbeOptions keeping = pins.options();
  keeping.keeps_pins = true;
  { RunningProbe probe(keeping); }
  CHECK(pins.has_pins());
  CHECK(probes_in_kernel() == 1);
  const Bundle bundle(1);
  run_short(bundle);
  {
    RunningProbe probe(pins.options());
    CHECK(starts_of(probe.sink, bundle).size() == 1);
    CHECK(probe.sink.gaps().empty());
  }
  CHECK(wait_for_probes(0));
}

TEST_CASE("what a killed agent left can be removed by hand", "[probe][bpf]") {
  const PinFolderFixture pins("by-hand");
  {
    OtherAgent agent(pins.options());
    const auto busy = agent::remove_pins(pins.path());
    REQUIRE_FALSE(busy);
    CHECK(busy.error().code == ErrorCode::kUnavailable);
    agent.kill();
  }
  const auto removed = agent::remove_pins(pins.path());
  REQUIRE(removed);
  CHECK(*removed);
  CHECK_FALSE(fs::exists(pins.path()));
  CHECK(wait_for_probes(0));
  const auto again = agent::remove_pins(pins.path());
  REQUIRE(again);
  CHECK_FALSE(*again);
}

TEST_CASE("an absence that nothing bridged is a gap that ends with the first sweep",
          "[probe][bpf]") {
  const SystemClock clock;
  const BootTime absent_since = clock.boot_now() - std::chrono::seconds(100);
  RunningProbe probe({}, absent_since);
  REQUIRE(probe.sink.wait_for([&] { return !probe.sink.gaps().empty(); }));
  const agent::ObservationGap gap = probe.sink.gaps().front();
  CHECK(gap.cause == GapCause::kAbsence);
  CHECK(gap.from == absent_since);
  CHECK(gap.until >= probe.sink.sweeps().front().completed);
}

// Whether the probe runs, and what its health says of the pins.
void check_unpinned(const agent::ProbeOptions& options, const std::string& reason) {
  RunningProbe probe(options);
  CHECK(probe.sink.wait_for(
      [&] { return probe.source->health().detail.find(reason) != std::string::npos; }));
  const Bundle bundle(1);
  run_short(bundle);
  CHECK(probe.sink.wait_for([&] { return starts_of(probe.sink, bundle).size() == 1; }));
}

TEST_CASE("without bpffs, or without the right to it, the probe says so and goes on",
          "[probe][bpf]") {
  agent::ProbeOptions options;
  options.pin_folder = fs::read_symlink("/proc/self/exe").parent_path() / "no-bpffs" / "pins";
  check_unpinned(options, "no bpffs is mounted at");
  CHECK_FALSE(fs::exists(fs::path(options.pin_folder).parent_path()));

  const PinFolderFixture open_to_all("open");
  REQUIRE(::mkdir(open_to_all.path().c_str(), 0777) == 0);
  REQUIRE(::chmod(open_to_all.path().c_str(), 0777) == 0);
  check_unpinned(open_to_all.options(), "may be written by others");
  ::rmdir(open_to_all.path().c_str());

  const PinFolderFixture busy("busy");
  OtherAgent agent(busy.options());
  check_unpinned(busy.options(), "in use by another assay-agent");
}

// Gives up everything but CAP_BPF and CAP_PERFMON, as another user.
bool become_unprivileged() {
  const std::uint32_t kept = 1U << (CAP_BPF - 32) | 1U << (CAP_PERFMON - 32);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[1].effective = data[1].permitted = kept;
  return ::prctl(PR_SET_KEEPCAPS, 1) == 0 && ::setresgid(65534, 65534, 65534) == 0 &&
         ::setresuid(65534, 65534, 65534) == 0 && ::syscall(SYS_capset, &header, data.data()) == 0;
}

TEST_CASE("CAP_BPF, CAP_PERFMON and a folder of its own are enough to pin and to adopt",
          "[probe][bpf]") {
  const PinFolderFixture pins("unprivileged");
  REQUIRE(::chmod(bpffs().c_str(), 0755) == 0);
  REQUIRE(::mkdir(pins.path().c_str(), 0700) == 0);
  REQUIRE(::chown(pins.path().c_str(), 65534, 65534) == 0);
  for (const bool is_adopted : {false, true}) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      if (!become_unprivileged()) ::_exit(2);
      auto programs = ProbePrograms::open(pins.options());
      if (!programs || !(*programs)->attach()) ::_exit(3);
      (*programs)->pin();
      if (!(*programs)->pin_problem().empty()) ::_exit(4);
      ::_exit((*programs)->inheritance().is_adopted == is_adopted ? 0 : 5);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(pins.has_pins());
  }
  REQUIRE(::chmod(bpffs().c_str(), 0700) == 0);
}

}  // namespace
}  // namespace assay::tests
