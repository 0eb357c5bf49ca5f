// SPDX-License-Identifier: Apache-2.0
// What is lost is counted, what still runs is found, what ended is a gap.
#include <algorithm>
#include <catch2/catch.hpp>

#include "agent/probe/event_assembler.h"
#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ContainerStart;
using agent::LossCounters;
using agent::ObservationGap;
using agent::ProbePrograms;
using agent::StartCause;

agent::ProbeOptions with_start_ring(std::uint32_t bytes) {
  agent::ProbeOptions options;
  options.start_ring_bytes = bytes;
  return options;
}

// The programs at work, and nobody who reads by himself.
struct UnreadProbe {
  explicit UnreadProbe(const agent::ProbeOptions& options)
      : assembler({}, options.never_executed_age) {
    auto opened = ProbePrograms::open(options);
    if (!opened) FAIL(opened.error().text());
    programs = std::move(*opened);
    assembler.set_sink(sink);
    programs->set_sinks(
        [this](std::string_view bytes) { CHECK(assembler.on_start_record(bytes, {})); },
        [](std::string_view) {});
    REQUIRE(programs->attach());
  }
  ~UnreadProbe() { programs->detach(false); }
  void read() {
    programs->read_starts();
    programs->starts().release(programs->starts().position());
  }
  RecordingSink sink;
  agent::EventAssembler assembler;
  std::unique_ptr<ProbePrograms> programs;
};

TEST_CASE("starts that find no room are counted exactly, by kind", "[probe][bpf]") {
  constexpr int kContainers = 12;
  // The smallest ring buffer there is: it takes one start, and parts of more.
  UnreadProbe probe(with_start_ring(4096));
  const auto bundles = make_bundles(kContainers);
  run_short(*bundles.front());
  // Beside its start and its end: its layers, and up to 6.4 the one string of their names.
  const std::uint64_t parts = probe.programs->counters().sent - 2;
  for (std::size_t i = 1; i < bundles.size(); ++i)
    run_short(*bundles[i]);
  const LossCounters loss = probe.programs->counters();
  probe.read();

  std::uint64_t told = 0;
  for (const auto& bundle : bundles)
    told += starts_of(probe.sink, *bundle).size();
  CHECK(told == 1);
  CHECK(loss.lost_starts == kContainers - told);
  CHECK(loss.ended_untold == kContainers - told);
  CHECK(loss.lost_layers > 0);
  CHECK(loss.lost_layers + (loss.sent - 2) == kContainers * parts);
  CHECK(loss.lost_ends == 0);
  CHECK(loss.lost_unknown == 0);
  CHECK(loss.map_failures() == 0);
}

TEST_CASE("every record of layers that is lost counts", "[probe][bpf]") {
  UnreadProbe probe(with_start_ring(4096));
  const Bundle bundle(120);  // seven records of 16 layers and one of 8: none finds room
  run_short(bundle);
  CHECK(probe.programs->counters().lost_layers == 8);
  CHECK(probe.programs->counters().lost_starts == 0);
}

TEST_CASE("a start that was lost is told with the run's next exec, as of its beginning",
          "[probe][bpf]") {
  UnreadProbe probe(with_start_ring(4096));
  const Bundle first(1);
  const Bundle second(1);
  const SystemClock clock;
  run_short(first);
  const BootTime before = clock.boot_now();
  HeldContainer container(second);
  const BootTime after = clock.boot_now();
  REQUIRE(probe.programs->counters().lost_starts == 1);
  probe.read();
  REQUIRE(starts_of(probe.sink, second).empty());
  container.execute();
  probe.read();
  REQUIRE(starts_of(probe.sink, second).size() == 1);
  const ContainerStart start = starts_of(probe.sink, second).front();
  CHECK(start.cause == StartCause::kExec);
  CHECK(start.is_told_again);
  CHECK(start.time > before);
  CHECK(start.time < after);
  CHECK(start.layers.size() == 1);
  CHECK(container.program.finish() == 0);
  probe.read();
  CHECK(ends_of(probe.sink, second) == 1);
  CHECK(probe.programs->counters().ended_untold == 0);
}

// Waits until the probe's thread stands still in its next call.
void stop_reading(RunningProbe& probe) {
  probe.sink.hold(true);
  probe.source->request_sweep();
}

TEST_CASE("what ran while nobody read is found, and what ended is one gap", "[probe][bpf]") {
  constexpr int kShort = 40;
  constexpr int kLong = 5;
  RunningProbe probe(with_start_ring(64 << 10));  // some twenty starts
  const auto short_ones = make_bundles(kShort);
  const auto long_ones = make_bundles(kLong);
  const BootTime before = probe.clock.boot_now();
  stop_reading(probe);
  for (const auto& bundle : short_ones)
    run_short(*bundle);
  std::vector<std::unique_ptr<HeldContainer>> held;
  for (const auto& bundle : long_ones)
    held.push_back(std::make_unique<HeldContainer>(*bundle));
  const std::uint64_t ended_untold = probe.source->health().loss.ended_untold;
  REQUIRE(ended_untold > 0);
  const BootTime resumed = probe.clock.boot_now();
  probe.sink.hold(false);

  REQUIRE(probe.sink.wait_for([&] { return !probe.sink.gaps().empty(); }));
  for (const auto& bundle : long_ones) {
    REQUIRE(starts_of(probe.sink, *bundle).size() == 1);
    CHECK(starts_of(probe.sink, *bundle).front().cause == StartCause::kSweep);
    CHECK(starts_of(probe.sink, *bundle).front().layers.size() == 1);
  }
  std::uint64_t told = 0;
  for (const auto& bundle : short_ones)
    told += starts_of(probe.sink, *bundle).size();
  const ObservationGap gap = probe.sink.gaps().front();
  CHECK(gap.cause == agent::GapCause::kLosses);
  CHECK(gap.lost.gone() == ended_untold);
  CHECK(told + gap.lost.gone() == kShort);
  CHECK(gap.from > before - std::chrono::seconds(5));
  CHECK(gap.from < resumed);
  CHECK(gap.until > resumed);
  CHECK(gap.until - resumed < std::chrono::seconds(30));
  run_short(*short_ones.front());
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, *short_ones.front()) > 0; }));
  CHECK(probe.sink.gaps().size() == 1);
}

TEST_CASE("records wait in the kernel while the receiver has no room", "[probe][bpf]") {
  RunningProbe probe;
  const auto bundles = make_bundles(10);
  probe.sink.set_room(false);
  const std::size_t sweeps = probe.sink.sweeps().size();
  // Once the thread is back from its present wait it reads no more: two sweeps later at the latest.
  for (std::size_t i = 1; i <= 2; ++i) {
    probe.source->request_sweep();
    REQUIRE(probe.sink.wait_for([&] { return probe.sink.sweeps().size() >= sweeps + i; }));
  }
  for (const auto& bundle : bundles)
    run_short(*bundle);
  probe.sink.set_room(true);
  for (const auto& bundle : bundles)
    REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, *bundle) == 1; }));
  for (const auto& bundle : bundles)
    CHECK(starts_of(probe.sink, *bundle).size() == 1);
  CHECK(probe.source->health().loss.lost() == 0);
}

}  // namespace
}  // namespace assay::tests
