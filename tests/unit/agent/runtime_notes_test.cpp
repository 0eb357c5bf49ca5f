// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/runtime_notes.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>

#include "agent/runtime/recogniser.h"
#include "agent/runtime/store_folder.h"
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

/// A user's folder with notes of a crun and of a rootless docker.
struct UsersFolder {
  Scratch scratch;
  std::uint32_t uid = ::getuid() == 0 ? 1000 : ::getuid();
  UserNoteRoots roots{{{scratch.path(), "crun"}, {scratch.path(), "docker/runtime-runc"}},
                      {{scratch.path(), "docker/daemon"}}};
  UsersFolder() {
    scratch.write("crun/own/status", kCrun);
    scratch.write("docker/runtime-runc/moby/web/state.json", kRunc);
    scratch.write("docker/daemon/io.containerd.runtime.v2.task/moby/task/init.pid", "815");
    for (const char* root : {"crun", "docker/runtime-runc", "docker/daemon"})
      give(root);
  }
  void give(const std::string& path) const {
    if (::chown(scratch.path(path).c_str(), uid, uid) != 0) throw std::runtime_error("chown");
  }
};

TEST_CASE("a user's notes are that user's, rootless docker's among them", "[agent][unit]") {
  const UsersFolder users;
  const RuntimeNotes found = read_users_notes(users.uid, users.roots);
  CHECK(found.gap.empty());
  std::vector<std::string> texts;
  for (const RuntimeNote& note : found.notes) {
    CHECK(note.uid == users.uid);
    CHECK(note.is_users_to_write);
    texts.push_back(note.runtime + " " + note.id + " " + std::to_string(note.init.pid));
  }
  CHECK(texts == std::vector<std::string>{"crun own 813", "docker web 812", "docker task 815"});
  // Anybody may make a folder in /tmp that goes by another user's number.
  CHECK(read_users_notes(users.uid + 1, users.roots).notes.empty());
}

TEST_CASE("a user's runtimes keep their notes below the user's run folder", "[agent][unit]") {
  const UserNoteRoots roots = note_roots_of_user(1000);
  const auto has = [](const std::vector<UserNoteRoots::Root>& all, const std::string& path) {
    return std::ranges::any_of(
        all, [&](const auto& root) { return root.base + "/" + root.path == path; });
  };
  CHECK(has(roots.oci_states, "/run/user/1000/crun"));
  CHECK(has(roots.oci_states, "/run/user/1000/docker/runtime-runc"));
  CHECK(has(roots.oci_states, "/tmp/podman-run-1000/crun"));
  CHECK(has(roots.containerd, "/run/user/1000/docker/containerd/daemon"));
}

TEST_CASE("no link in a user's folder leads anywhere", "[agent][unit]") {
  const Scratch scratch;
  const std::uint32_t uid = ::getuid();
  scratch.write("real/web/state.json", kRunc);
  scratch.write("entry/other/x", "");
  scratch.write("file/web/x", "");
  std::filesystem::create_symlink(scratch.path("real"), scratch.path("root"));
  std::filesystem::create_symlink("../real/web", scratch.path("entry/web"));
  std::filesystem::create_symlink("../../real/web/state.json", scratch.path("file/web/state.json"));
  const auto notes_in = [&](const std::string& path) {
    return read_users_notes(uid, {{{scratch.path(), path}}, {}}).notes.size();
  };
  CHECK(notes_in("real") == 1);
  for (const char* path : {"root", "entry", "file", "root/../real", "../"})
    CHECK(notes_in(path) == 0);
}

TEST_CASE("below the base of a user's folder no mount is entered", "[agent][unit]") {
  CHECK(StoreFolder::open_users("/proc", "tty", 0));
  CHECK_FALSE(StoreFolder::open_users("/", "proc", 0));
  CHECK_FALSE(StoreFolder::open_users("/", "proc/tty", 0));
}

TEST_CASE("a user's notes end at each of the limits, and that is said", "[agent][unit]") {
  const UsersFolder users;
  const auto gap = [&](auto change) {
    NoteLimits limits = kUserNoteLimits;
    change(limits);
    return read_users_notes(users.uid, users.roots, limits).gap;
  };
  CHECK(gap([](NoteLimits&) {}).empty());
  CHECK_FALSE(gap([](NoteLimits& limits) { limits.max_notes = 1; }).empty());
  CHECK_FALSE(gap([](NoteLimits& limits) { limits.max_entries = 2; }).empty());
  CHECK_FALSE(gap([](NoteLimits& limits) { limits.max_bytes = 60; }).empty());
  CHECK_FALSE(gap([](NoteLimits& limits) { limits.max_time = {}; }).empty());
}

TEST_CASE("a folder of large files costs no more than the limits", "[agent][unit]") {
  const UsersFolder users;
  const std::string large(1U << 20, ' ');
  for (int i = 0; i < 12; ++i)
    users.scratch.write("crun/large" + std::to_string(i) + "/status", large);
  CHECK(read_users_notes(users.uid, users.roots).gap.find("bytes") != std::string::npos);
}

TEST_CASE("reading notes ends when it is asked to", "[agent][unit]") {
  const UsersFolder users;
  const Roots here;
  std::stop_source stop;
  stop.request_stop();
  CHECK(read_users_notes(users.uid, users.roots, kUserNoteLimits, stop.get_token()).notes.empty());
  CHECK(read_runtime_notes(here.roots, {}, stop.get_token()).notes.empty());
}

/// Says that one process lives on one root.
struct OneProcess final : Processes {
  static constexpr std::uint64_t kDevice = 7;
  std::uint32_t pid = 0;
  bool can_look = true;
  std::chrono::milliseconds look_takes{0};
  std::promise<void> is_looking;
  std::atomic<int> looked_at = 0;
  std::atomic<int> compared = 0;
  void complete(ContainerStart&) override {}
  Result<std::optional<std::uint64_t>> root_device(const ProcessNumber&) override {
    if (looked_at++ == 0) is_looking.set_value();
    if (look_takes.count() != 0) std::this_thread::sleep_for(look_takes);
    return std::optional<std::uint64_t>(kDevice);
  }
  Result<bool> lives_on(const ProcessNumber& process, const RootIdentity&) override {
    ++compared;
    if (!can_look) return Error{ErrorCode::kUnavailable, "no descriptors"};
    return process.pid == pid;
  }
};

RecognitionTask task_of(std::uint32_t starter, std::uint64_t device = OneProcess::kDevice) {
  RecognitionTask task;
  task.run_id = "r";
  task.start.login.starter_uid = starter;
  task.start.key.root.magic = 0x794c7630;
  task.start.key.root.device = device;
  return task;
}

RecognitionReport recognise(const NoteRoots& roots, Processes& processes,
                            const RecognitionTask& task, const RecogniserOptions& options = {}) {
  std::promise<RecognitionReport> told;
  NoteRecogniser recogniser(roots, processes, options);
  recogniser.look(task, [&](RecognitionReport report) { told.set_value(std::move(report)); });
  return told.get_future().get();
}
RecognitionReport recognise(const NoteRoots& roots, Processes& processes, std::uint32_t starter) {
  return recognise(roots, processes, task_of(starter));
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

TEST_CASE("only processes on a root's device are compared with it", "[agent][unit]") {
  const Roots here;
  OneProcess processes;
  processes.pid = 812;
  CHECK_FALSE(recognise(here.roots, processes, task_of(0, OneProcess::kDevice + 1)).is_known);
  CHECK(processes.looked_at == 3);
  CHECK(processes.compared == 0);
}

/// The user `uid` has the folder, nobody else has one.
RecogniserOptions with_users_folder(const UsersFolder& users) {
  RecogniserOptions options;
  options.roots_of_user = [&users](std::uint32_t uid) {
    return uid == users.uid ? users.roots : UserNoteRoots{};
  };
  return options;
}

TEST_CASE("a user's note counts for that user's runs alone", "[agent][unit]") {
  const UsersFolder users;
  const RecogniserOptions options = with_users_folder(users);
  OneProcess processes;
  processes.pid = 813;
  const RecognitionReport own = recognise({}, processes, task_of(users.uid), options);
  REQUIRE(own.is_known);
  CHECK(own.names.container_id == "own");
  CHECK(own.names.is_users_to_write);
  for (const std::uint32_t starter : {0U, users.uid + 1, catalog::Login::kNobody})
    CHECK_FALSE(recognise({}, processes, task_of(starter), options).is_known);
  RecognitionTask by_its_user = task_of(catalog::Login::kNobody);  // whose starter is gone
  by_its_user.start.uid = users.uid;
  CHECK(recognise({}, processes, by_its_user, options).is_known);
}

TEST_CASE("what hinders reading one user's notes is said of no other run", "[agent][unit]") {
  const UsersFolder users;
  RecogniserOptions options = with_users_folder(users);
  options.user_limits.max_bytes = 1;
  OneProcess processes;
  CHECK_FALSE(recognise({}, processes, task_of(users.uid), options).failure.empty());
  // All at once, the user's first.
  NoteRecogniser recogniser({}, processes, options);
  std::vector<std::promise<RecognitionReport>> told(3);
  for (std::size_t i = 0; i < told.size(); ++i)
    recogniser.look(task_of(i == 0   ? users.uid
                            : i == 1 ? users.uid + 1
                                     : 0),
                    [&told, i](RecognitionReport report) { told[i].set_value(std::move(report)); });
  CHECK_FALSE(told[0].get_future().get().failure.empty());
  CHECK(told[1].get_future().get().failure.empty());
  CHECK(told[2].get_future().get().failure.empty());
}

TEST_CASE("whom root's notes know is answered before users' notes are read", "[agent][unit]") {
  const Roots here;
  const UsersFolder users;
  OneProcess processes;
  processes.pid = 812;
  std::promise<void> is_read;
  std::promise<void> all_wait;
  std::atomic<bool> is_known_told = false;
  std::atomic<bool> was_told_first = false;
  RecogniserOptions options;
  options.roots_of_user = [&, waits = all_wait.get_future().share()](std::uint32_t uid) {
    if (uid == 1) is_read.set_value();
    if (uid == 1) waits.wait();  // until the others wait together
    if (uid == 2) was_told_first = is_known_told.load();
    return UserNoteRoots{};
  };
  std::promise<void> done;
  NoteRecogniser recogniser(here.roots, processes, options);
  constexpr std::uint64_t kElsewhere = OneProcess::kDevice + 1;
  recogniser.look(task_of(1, kElsewhere), [](const RecognitionReport&) {});
  is_read.get_future().wait();
  recogniser.look(task_of(2, kElsewhere), [&](const RecognitionReport&) { done.set_value(); });
  recogniser.look(task_of(3), [&](const RecognitionReport& one) { is_known_told = one.is_known; });
  all_wait.set_value();
  done.get_future().wait();
  CHECK(was_told_first);
}

TEST_CASE("destroying it ends a slow look", "[agent][unit]") {
  const UsersFolder users;
  constexpr int kNotes = 100;
  for (int i = 0; i < kNotes; ++i)
    users.scratch.write("crun/note" + std::to_string(i) + "/status", kCrun);
  OneProcess processes;
  processes.look_takes = std::chrono::milliseconds(5);
  bool is_told = false;
  {
    NoteRecogniser recogniser({}, processes, with_users_folder(users));
    recogniser.look(task_of(users.uid), [&](const RecognitionReport&) { is_told = true; });
    processes.is_looking.get_future().wait();
  }
  CHECK(processes.looked_at < kNotes);
  CHECK_FALSE(is_told);
}

TEST_CASE("runs that there is no time for are answered in the next turn", "[agent][unit]") {
  const UsersFolder users;
  RecogniserOptions options = with_users_folder(users);
  options.max_users_time = {};
  OneProcess processes;
  processes.pid = 813;
  std::vector<std::promise<RecognitionReport>> told(5);
  NoteRecogniser recogniser({}, processes, options);
  for (auto& one : told)
    recogniser.look(task_of(users.uid),
                    [&one](RecognitionReport report) { one.set_value(std::move(report)); });
  for (auto& one : told)
    CHECK(one.get_future().get().is_known);
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
