// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/runtime_notes.h"

#include <algorithm>

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>

#include "agent/runtime/recogniser.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

constexpr const char* kRunc = R"({"id":"web","init_process_pid":812,"init_process_start":4711})";
constexpr const char* kCrun = R"({"pid":813,"process-start-time":4712,"bundle":"/b"})";

TEST_CASE("an OCI runtime's state names the first process", "[agent][unit]") {
  const auto runc = parse_oci_state(kRunc);
  REQUIRE(runc);
  CHECK(runc->pid == 812);
  CHECK(runc->start_ticks == 4711);
  const auto crun = parse_oci_state(kCrun);
  REQUIRE(crun);
  CHECK(crun->pid == 813);
  for (const char* text : {"", "[]", "{}", R"({"pid":0})", R"({"pid":-1})", R"({"pid":"1"})",
                           R"({"pid":99999999999})"})
    CHECK_FALSE(parse_oci_state(text));
}

TEST_CASE("a machine names its leader", "[agent][unit]") {
  const auto leader = parse_machine("# saved\nNAME=web\nLEADER=77\n");
  REQUIRE(leader);
  CHECK(leader->pid == 77);
  for (const char* text : {"", "LEADER=", "LEADER=x\n", "LEADER=7x", "leader=7"})
    CHECK_FALSE(parse_machine(text));
}

struct Roots {
  Scratch scratch;
  NoteRoots roots{{scratch.path("runc"), scratch.path("absent")}, {scratch.path("containerd")}, {}};
  Roots() {
    scratch.write("runc/web/state.json", kRunc);
    scratch.write("runc/moby/short/status", kCrun);
    scratch.write("runc/empty/other", "");
    scratch.write("containerd/io.containerd.runtime.v2.task/k8s.io/pod/init.pid", "814");
  }
};

TEST_CASE("notes are found by their folders, with namespaces and without", "[agent][unit]") {
  const Roots here;
  const RuntimeNotes found = read_runtime_notes(here.roots);
  CHECK(found.gap.empty());
  std::vector<std::string> texts;
  for (const RuntimeNote& note : found.notes)
    texts.push_back(note.runtime + " " + note.id + " " + std::to_string(note.init.pid));
  std::sort(texts.begin(), texts.end());
  CHECK(texts ==
        std::vector<std::string>{"containerd pod 814", "docker short 813", "runc web 812"});
}

TEST_CASE("notes beyond a limit are a reason, not an answer", "[agent][unit]") {
  const Roots here;
  CHECK_FALSE(read_runtime_notes(here.roots, {.max_notes = 1, .max_folders = 100}).gap.empty());
}

/// Says that one process lives on one root.
struct OneProcess final : Processes {
  std::uint32_t pid = 0;
  bool can_look = true;
  void complete(ContainerStart&) override {}
  Result<bool> lives_on(const ProcessNumber& process, const RootIdentity&) override {
    if (!can_look) return Error{ErrorCode::kUnavailable, "no descriptors"};
    return process.pid == pid;
  }
};

RecognitionReport recognise(const NoteRoots& roots, OneProcess& processes, std::uint32_t starter) {
  RecognitionTask task;
  task.run_id = "r";
  task.start.login.starter_uid = starter;
  std::promise<RecognitionReport> told;
  NoteRecogniser recogniser(roots, processes);
  recogniser.look(task, [&](RecognitionReport report) { told.set_value(std::move(report)); });
  return told.get_future().get();
}

TEST_CASE("a run is known by the note whose process lives on its root", "[agent][unit]") {
  const Roots here;
  std::filesystem::permissions(here.scratch.path("runc/web"), std::filesystem::perms::all);
  OneProcess processes;
  processes.pid = 812;
  const RecognitionReport report = recognise(here.roots, processes, 1000);
  REQUIRE(report.is_known);
  CHECK(report.names.container_id == "web");
  CHECK(report.names.is_bound_to_kernel);
  CHECK(report.names.is_users_to_write);
  // A note that others may write says nothing of what root started.
  CHECK_FALSE(recognise(here.roots, processes, 0).is_known);
  processes.pid = 1;
  CHECK_FALSE(recognise(here.roots, processes, 1000).is_known);
}

TEST_CASE("what cannot be looked at is said", "[agent][unit]") {
  const Roots here;
  OneProcess processes;
  processes.can_look = false;
  const RecognitionReport report = recognise(here.roots, processes, 1000);
  CHECK_FALSE(report.is_known);
  CHECK(report.failure.find("no descriptors") != std::string::npos);
}

}  // namespace
}  // namespace assay::agent
