// SPDX-License-Identifier: Apache-2.0
// Where the probe says that an executed file came from, and what a container could do at its start.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ContainerExec;
using agent::ExecutedFile;
using catalog::ExecOrigin;
using catalog::PostureTrait;

constexpr std::array kShared{PostureTrait::kHostNet, PostureTrait::kHostIpc, PostureTrait::kHostUts,
                             PostureTrait::kHostCgroup};

/// The last exec of what `starter join` executes in a held container.
ContainerExec executed(const Bundle& bundle, const std::vector<std::string>& command) {
  RunningProbe probe;
  HeldContainer container(bundle);
  std::vector<std::string> argv{starter_path(), "join", container.pid};
  argv.insert(argv.end(), command.begin(), command.end());
  Program joined(argv);
  REQUIRE(joined.finish() == 0);
  run_to_end(probe);
  REQUIRE(container.program.finish() == 0);
  const auto wanted = command.size() > 1 && (command[1] == "memory" || command[1] == "deleted")
                          ? std::size_t{2}
                          : std::size_t{1};
  REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, bundle).size() >= wanted; }));
  return execs_of(probe.sink, bundle).back();
}

void put_into_upper(const Bundle& bundle, const std::string& name, const std::string& text) {
  const std::string path = bundle.path() + "/upper/bin/" + name;
  std::filesystem::create_directories(bundle.path() + "/upper/bin");
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
}

std::string status_line(const std::string& pid, const std::string& name) {
  std::ifstream status("/proc/" + pid + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "";
}

TEST_CASE("a file of a layer is told as one, with its path and inode", "[probe][bpf]") {
  const Bundle bundle(2);
  const ContainerExec exec = executed(bundle, {"/bin/starter", "true"});
  CHECK(exec.file.origin == ExecOrigin::kLayer);
  CHECK(exec.file.path == "/bin/starter");
  CHECK_FALSE(exec.file.is_interpreter);
  struct stat status {};
  REQUIRE(::stat((bundle.layer(0) + "/bin/starter").c_str(), &status) == 0);
  CHECK((exec.file.inode & 0xffffffffU) == (status.st_ino & 0xffffffffU));
}

TEST_CASE("a run's first program has its file with its start", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  run_short(bundle);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const ExecutedFile file = starts_of(probe.sink, bundle).front().file;
  CHECK(file.origin == ExecOrigin::kLayer);
  CHECK(file.path == "/bin/starter");
}

TEST_CASE("a file that was written in the container is from the upper", "[probe][bpf]") {
  const Bundle bundle(1);
  std::filesystem::create_directory(bundle.path() + "/upper/bin");
  std::filesystem::copy_file(starter_path(), bundle.path() + "/upper/bin/own");
  const ContainerExec exec = executed(bundle, {"/bin/own", "true"});
  CHECK(exec.file.origin == ExecOrigin::kUpper);
  CHECK(exec.file.path == "/bin/own");
}

TEST_CASE("of a script the interpreter's file is told", "[probe][bpf]") {
  const Bundle bundle(1);
  put_into_upper(bundle, "script", "#!/bin/starter true\n");
  const ContainerExec exec = executed(bundle, {"/bin/script"});
  CHECK(exec.executable == "/bin/script");
  CHECK(exec.file.is_interpreter);
  CHECK(exec.file.origin == ExecOrigin::kLayer);
  CHECK(exec.file.path == "/bin/starter");
}

TEST_CASE("a file in memory is told as one", "[probe][bpf]") {
  const Bundle bundle(1);
  const ContainerExec exec = executed(bundle, {"/bin/starter", "memory"});
  CHECK(exec.file.origin == ExecOrigin::kMemory);
  CHECK(exec.file.path.starts_with("/memfd:copy"));
}

TEST_CASE("a deleted file is told as one", "[probe][bpf]") {
  const Bundle bundle(1);
  const ContainerExec exec = executed(bundle, {"/bin/starter", "deleted", "/gone"});
  CHECK(exec.file.origin == ExecOrigin::kDeleted);
}

TEST_CASE("a file of another mount is told as one", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  run_short(bundle, {"--injected"});
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const ExecutedFile file = starts_of(probe.sink, bundle).front().file;
  CHECK(file.origin == ExecOrigin::kOtherMount);
  CHECK(file.path.ends_with("/starter"));
}

TEST_CASE("a container's posture is what the kernel says of its process", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  const HeldContainer container(bundle);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const catalog::Posture posture = starts_of(probe.sink, bundle).front().posture;
  REQUIRE(posture.is_known);
  const std::uint64_t host = std::stoull(status_line("1", "CapEff"), nullptr, 16);
  CHECK(posture.capabilities == std::stoull(status_line(container.pid, "CapEff"), nullptr, 16));
  CHECK(posture.has(PostureTrait::kPrivileged) == ((posture.capabilities & host) == host));
  CHECK(posture.has(PostureTrait::kNoSeccomp) == (status_line(container.pid, "Seccomp") == "0"));
  CHECK(posture.has(PostureTrait::kNewPrivileges) ==
        (status_line(container.pid, "NoNewPrivs") == "0"));
  CHECK(posture.has(PostureTrait::kRoot));
  CHECK(posture.has(PostureTrait::kHostUser));
  CHECK(posture.has(PostureTrait::kWritableRoot));
  CHECK_FALSE(posture.has(PostureTrait::kHostPid));
  CHECK_FALSE(posture.has(PostureTrait::kHostMnt));
  for (const PostureTrait trait : kShared)
    CHECK(posture.has(trait));  // the test itself runs in pid 1's
}

TEST_CASE("a container with namespaces of its own shares none of the host's", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  std::vector<std::string> command{"/usr/bin/unshare", "--net", "--ipc", "--uts", "--cgroup"};
  const auto run = bundle.run({kStarterInside, "true"});
  command.insert(command.end(), run.begin(), run.end());
  Program container(command);
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const catalog::Posture posture = starts_of(probe.sink, bundle).front().posture;
  REQUIRE(posture.is_known);
  for (const PostureTrait trait : kShared)
    CHECK_FALSE(posture.has(trait));
}

TEST_CASE("a root that cannot be written is told as one", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(2);
  Program container(bundle.run({kStarterInside, "true"}, {"--read-only"}));
  REQUIRE(container.finish() == 0);
  const auto is_ours = [](const agent::ContainerStart& start) {
    return start.executable == kStarterInside;
  };
  REQUIRE(probe.sink.wait_for([&] { return std::ranges::any_of(probe.sink.starts(), is_ours); }));
  const auto starts = probe.sink.starts();
  const auto start = std::ranges::find_if(starts, is_ours);
  CHECK_FALSE(start->posture.has(PostureTrait::kWritableRoot));
}

}  // namespace
}  // namespace assay::tests
