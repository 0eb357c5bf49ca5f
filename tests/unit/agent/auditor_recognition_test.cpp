// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using catalog::RecognitionState;
using std::chrono::seconds;
using namespace tests;

/// Answers when the test says so.
struct ManualRecogniser final : Recogniser {
  std::vector<RecognitionTask> asked;
  void look(RecognitionTask task, Callback) override { asked.push_back(std::move(task)); }
};

struct Known : Fixture {
  ManualRecogniser recogniser;
  Auditor with = make_with();

  Auditor make_with() {
    AuditorConfig config;
    config.boot_id = "boot-1";
    Auditor::Ports ports{journal, identifier, records,           open_runs,
                         source,  clock,      [](LayerResult) {}};
    ports.recogniser = &recogniser;
    ports.post_recognition = [](RecognitionReport) {};
    return Auditor(std::move(ports), config);
  }
  void tick_after(BootTime wait) {
    clock.boot += wait;
    with.on_tick();
  }
  /// Answers what was asked last.
  void answer(bool is_known, const std::string& failure = "") {
    RecognitionReport report;
    report.run_id = recogniser.asked.back().run_id;
    report.key = recogniser.asked.back().start.key;
    report.is_known = is_known;
    report.failure = failure;
    if (is_known) {
      report.record = "runc's note /run/runc/web";
      report.names.container_id = "web";
      report.names.runtime = "runc";
      report.names.is_bound_to_kernel = true;
    }
    with.on_recognised(report);
  }
  std::vector<RunNamed> told() const { return journal.all<RunNamed>(); }
};

TEST_CASE("who is known to nobody at two looks is told with its lineage", "[agent][unit]") {
  Known f;
  ContainerStart start = container(1, f.clock.boot);
  start.ancestors = {{{50, seconds(1)}, "unshare"}, {{1, seconds(0)}, "systemd"}};
  start.login = {812, "pts/3", 1000, 4, 0, "sleep (pid 1001)"};
  f.with.on_start(start);
  f.tick_after(seconds(2));
  REQUIRE(f.recogniser.asked.size() == 1);
  f.answer(false);
  CHECK(f.told().empty());
  CHECK(f.with.snapshot().unrecognised == 1);
  f.tick_after(seconds(3));
  f.answer(false);
  REQUIRE(f.told().size() == 1);
  CHECK(f.told()[0].recognition.state == RecognitionState::kUnknown);
  CHECK(f.told()[0].recognition.reason ==
        "no runtime on this node has a record of it; it was started by unshare (pid 50) of systemd "
        "(pid 1); uid 0, session 812, terminal pts/3, logged in as uid 1000 (login 4)");
  CHECK(f.with.snapshot().unrecognised == 0);
  CHECK(f.with.snapshot().rogue == 1);

  SECTION("and is known as soon as a record comes") {
    f.tick_after(seconds(31));
    f.answer(true);
    REQUIRE(f.told().size() == 2);
    CHECK(f.told()[1].recognition.state == RecognitionState::kKnown);
    CHECK(f.told()[1].names.container_id == "web");
    CHECK(f.told()[1].names.are_confirmed());
    CHECK(f.with.snapshot().rogue == 0);
  }
}

TEST_CASE("what could not be looked up is unclear, and never rogue", "[agent][unit]") {
  Known f;
  f.with.on_start(container(1, f.clock.boot));
  for (int look = 0; look < 2; ++look) {
    f.tick_after(seconds(3));
    f.answer(false, "no room");
  }
  REQUIRE(f.told().size() == 1);
  CHECK(f.told()[0].recognition.state == RecognitionState::kUnclear);
  CHECK(f.told()[0].recognition.reason == "no room");
}

TEST_CASE("a run that is emptied before the second look is not told of", "[agent][unit]") {
  Known f;
  const ContainerStart start = container(1, f.clock.boot);
  f.with.on_start(start);
  f.tick_after(seconds(3));
  f.answer(false);
  f.with.on_emptied({start.key, f.clock.boot});
  f.tick_after(seconds(3));
  CHECK(f.recogniser.asked.size() == 1);
  CHECK(f.told().empty());
}

/// A container that its record and the kernel agree on, and another that goes by its id.
struct Borrowed : Known {
  ContainerStart owner = container(1, clock.boot);
  ContainerStart thief = container(2, clock.boot);

  void start() {
    owner.pid_namespace = 71;
    thief.pid_namespace = 99;
    records.names.container_id = std::string(64, 'a');
    records.names.runtime = "docker";
    records.names.name = "web";
    records.names.is_bound_to_kernel = true;
    with.on_start(owner);
    records.names.is_bound_to_kernel = false;
    with.on_start(thief);
    for (int look = 0; look < 2; ++look) {
      tick_after(seconds(3));
      if (!recogniser.asked.empty()) answer(false);
    }
  }
};

TEST_CASE("who goes by another's identity is told with both sides", "[agent][unit]") {
  Borrowed f;
  f.start();
  const auto told = f.told();
  REQUIRE_FALSE(told.empty());
  REQUIRE(told.back().recognition.conflicts.size() == 1);
  const std::string& text = told.back().recognition.conflicts[0];
  CHECK(text.starts_with("docker's container aaaaaaaaaaaa (web): "));
  CHECK(text.find("pid 1001") != std::string::npos);
}

TEST_CASE("what a container starts itself borrows nothing", "[agent][unit]") {
  Borrowed f;
  SECTION("by its pid namespace") {
    f.thief.outer_pid_namespaces = {71};
  }
  SECTION("by its ancestors") {
    f.thief.ancestors = {f.owner.process};
  }
  f.start();
  REQUIRE(f.told().size() == 1);
  CHECK(f.told()[0].recognition.conflicts.empty());
  CHECK(f.told()[0].recognition.state == RecognitionState::kKnown);
}

TEST_CASE("an exec in a container of the host's pid namespace is not taken for a thief",
          "[agent][unit]") {
  Borrowed f;
  f.owner.in_host_pid_namespace = true;
  f.start();
  for (const RunNamed& told : f.told())
    CHECK(told.recognition.conflicts.empty());
}

}  // namespace
}  // namespace assay::agent
