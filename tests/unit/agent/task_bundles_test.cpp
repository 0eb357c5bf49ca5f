// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/task_bundles.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "agent/runtime/sandbox.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

const std::string kShim = "/usr/local/bin/containerd-shim-runsc-v1";
const std::string kSelf = std::to_string(::getpid());

struct State {
  Scratch scratch;
  SystemClock clock;
  DiskRecords records{{{}, {scratch.path("state")}, {}}};
  TaskBundles bundles{{scratch.path("no-such-folder"), scratch.path("state")}, records, clock};

  void write(const std::string& id, const std::string& file, const std::string& text) const {
    scratch.write("state/io.containerd.runtime.v2.task/k8s.io/" + id + "/" + file, text);
  }
  void write_bundle(const std::string& id, const std::string& shim) const {
    write(
        id, "config.json",
        R"({"annotations":{"io.kubernetes.cri.container-name":"web","io.kubernetes.cri.sandbox-id":"pod"}})");
    write(id, "shim-binary-path", shim);
  }
  std::vector<TaskBundle> list() {
    return bundles.list([](const std::string&) { return false; });
  }
  /// Only what nobody else may write is believed: of a user's folder nothing is.
  static std::size_t if_root(std::size_t count) { return ::geteuid() == 0 ? count : 0; }
};

TEST_CASE("shims and runtime handlers name the sandboxes that they make", "[agent][unit]") {
  for (const char* name : {"/usr/bin/containerd-shim-runsc-v1", "io.containerd.runsc.v1", "runsc",
                           "runsc-kvm", "gvisor"})
    CHECK(sandbox_of_runtime(name) == "gVisor");
  for (const char* name : {"/opt/kata/bin/containerd-shim-kata-v2", "io.containerd.kata.v2",
                           "kata-qemu", "containerd-shim-kata-qemu-v2", "kata"})
    CHECK(sandbox_of_runtime(name) == "Kata Containers");
  CHECK(sandbox_of_runtime("aws.firecracker") == "Firecracker");
  CHECK(sandbox_of_runtime("/usr/bin/containerd-shim-aws-firecracker") == "Firecracker");
  for (const char* name : {"", "/", "runc", "/usr/bin/containerd-shim-runc-v2", "crun", "skata",
                           "/kata/bin/runc", "io.containerd.wasmtime.v1", "---"})
    CHECK(sandbox_of_runtime(name).empty());
}

TEST_CASE("a bundle whose process lives is a container", "[agent][unit]") {
  State state;
  state.write_bundle("one", kShim);
  CHECK(state.list().empty());  // no process
  state.write("one", "init.pid", kSelf);
  const auto bundles = state.list();
  REQUIRE(bundles.size() == State::if_root(1));
  if (bundles.empty()) return;
  CHECK(bundles[0].names.container_id == "one");
  CHECK(bundles[0].names.name == "web");
  CHECK(bundles[0].names.runtime == "containerd");
  CHECK(bundles[0].names.is_bound_to_kernel);
  CHECK(bundles[0].sandbox == "gVisor");
  CHECK(bundles[0].process.key.tgid == static_cast<std::uint32_t>(::getpid()));
  CHECK(bundles[0].process.key.start < state.clock.boot_now());
  CHECK_THAT(bundles[0].root_folder, Catch::EndsWith("/k8s.io/one/rootfs"));
  CHECK(bundles[0].folder.inode != 0);
  CHECK(state.bundles.list([](const std::string& id) { return id == "one"; }).empty());
}

TEST_CASE("of a sandbox the shim counts, its pod's too; of no other container", "[agent][unit]") {
  State state;
  state.write_bundle("pod", "/opt/kata/bin/containerd-shim-kata-v2");
  state.write("pod", "shim.pid", kSelf);
  state.write_bundle("app", "/opt/kata/bin/containerd-shim-kata-v2");
  state.write_bundle("ended", "/usr/bin/containerd-shim-runc-v2");  // its shim waits to be asked
  state.write("ended", "shim.pid", kSelf);
  CHECK(state.list().size() == State::if_root(2));
}

TEST_CASE("a process that is younger than the note of it is another one", "[agent][unit]") {
  State state;
  state.write_bundle("one", kShim);
  state.write("one", "init.pid", kSelf);
  std::filesystem::last_write_time(
      state.scratch.path("state/io.containerd.runtime.v2.task/k8s.io/one/init.pid"),
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 365));
  CHECK(state.list().empty());
}

TEST_CASE("a bundle that others may write says nothing, of itself or of another", "[agent][unit]") {
  State state;
  for (const char* id : {"a", "b", "c"}) {
    state.write_bundle(id, kShim);
    state.write(id, "init.pid", kSelf);
  }
  const std::string folder = state.scratch.path("state/io.containerd.runtime.v2.task/k8s.io/");
  std::filesystem::permissions(folder + "b", std::filesystem::perms(0777));
  CHECK(state.list().size() == State::if_root(2));
}

TEST_CASE("a bundle that is broken is passed over", "[agent][unit]") {
  State state;
  for (const char* pid :
       {"", "0", "-1", "x", "99999999999", "4294967295", "123456789012345678901234567890123"}) {
    state.write_bundle("one", kShim);
    state.write("one", "init.pid", pid);
    CHECK(state.list().empty());
  }
  std::filesystem::create_symlink(
      "/etc", state.scratch.path("state/io.containerd.runtime.v2.task/k8s.io/link"));
  state.scratch.write("state/io.containerd.runtime.v2.task/k8s.io/file", kSelf);
  CHECK(state.list().empty());
  state.write("one", "init.pid", kSelf);
  state.write("one", "config.json", "{");  // names are not all
  CHECK(state.list().size() == State::if_root(1));
}

}  // namespace
}  // namespace assay::agent
