// SPDX-License-Identifier: Apache-2.0
// What the probe tells about itself: canary, losses, missing rights.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ProbeState;

TEST_CASE("the probe is seen to work once it has told of the agent's own exec", "[probe][bpf]") {
  RunningProbe probe;
  REQUIRE(probe.sink.wait_for([&] { return probe.source->health().state == ProbeState::kSeen; }));
  CHECK(probe.source->health().detail.empty());
  CHECK(probe.source->health().loss.sent > 0);
  probe.source->stop();
  CHECK(probe.source->health().state == ProbeState::kClosed);
}

TEST_CASE("a canary that cannot be executed is a failed probe with its reason", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.canary_command = {"/nonexistent/canary"};
  RunningProbe probe(options);
  REQUIRE(probe.sink.wait_for([&] { return probe.source->health().state == ProbeState::kFailed; }));
  CHECK(probe.source->health().detail.find("/nonexistent/canary") != std::string::npos);
}

TEST_CASE("a ring buffer that is too small loses records, and counts them", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.start_ring_bytes = 4096;
  RunningProbe probe(options);
  REQUIRE(probe.source->health().loss.lost_starts == 0);
  const Bundle bundle(120);
  Program container(bundle.run({"/bin/starter", "true"}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  CHECK(starts_of(probe.sink, bundle).front().layers_truncated);
  CHECK(probe.source->health().loss.lost_layers > 0);
  // A loss makes the probe look at all tasks again.
  const std::size_t sweeps = probe.sink.sweeps().size();
  REQUIRE(probe.sink.wait_for([&] { return probe.sink.sweeps().size() > sweeps; }));
}

TEST_CASE("execs over a run's budget are counted as lost", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.exec_budget_per_second = 0;
  RunningProbe probe(options);
  const Bundle bundle(1);
  Program container(bundle.run({"/bin/starter", "hold"}));
  container.read_line();
  REQUIRE(container.read_line() == "ready");
  container.write_line("exec");
  REQUIRE(container.read_line() == "done");
  CHECK(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  CHECK(probe.source->health().loss.held_back_execs == 1);
  CHECK(starts_of(probe.sink, bundle).size() == 1);
  CHECK(execs_of(probe.sink, bundle).empty());
}

TEST_CASE("without the capabilities the error says what to grant", "[probe][bpf]") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    SystemClock clock;
    const auto created = agent::BpfEventSource::create({}, clock);
    const bool is_right =
        !created && created.error().code == ErrorCode::kPermissionDenied &&
        created.error().message.find("CAP_BPF and CAP_PERFMON") != std::string::npos;
    ::_exit(is_right ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace assay::tests
