// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/disk_records.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

const std::string kId = "9dfe3d0a7bbd1e0b3ba71a5a6b2c9a5f4c1e8f6d7b3a2c4d5e6f708192a3b4c5";

ContainerNames look_up(const Scratch& scratch, const std::string& cgroup_path) {
  DiskRecords records({{scratch.path("no-such-folder"), scratch.path("docker")},
                       {scratch.path("containerd")},
                       {scratch.path("storage")}});
  ContainerStart start;
  start.cgroup_path = cgroup_path;
  return records.look_up(start);
}

// Shortened from a config.v2.json of docker 20.10.
const char* const kDockerConfig = R"({"StreamConfig":{},"State":{"Running":true,"Pid":1234},
  "Name":"/quirky_hopper","Driver":"overlay2",
  "Image":"sha256:91e7f40aa8f1f0e3f8f0d0c3a1b2c3d4e5f60718293a4b5c6d7e8f9001122334",
  "Config":{"Hostname":"9dfe3d","Image":"registry.example/team/app:1.2",
    "Labels":{"team":"payments","io.kubernetes.pod.name":"app-0","number":7}}})";

TEST_CASE("docker's record gives name, image and labels", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("docker/containers/" + kId + "/config.v2.json", kDockerConfig);
  const ContainerNames names = look_up(scratch, "/system.slice/docker-" + kId + ".scope");
  CHECK(names.container_id == kId);
  CHECK(names.runtime == "docker");
  CHECK(names.name == "quirky_hopper");
  CHECK(names.image == "registry.example/team/app:1.2");
  CHECK(names.image_id ==
        "sha256:91e7f40aa8f1f0e3f8f0d0c3a1b2c3d4e5f60718293a4b5c6d7e8f9001122334");
  CHECK(names.pod_name == "app-0");
  CHECK(names.labels == std::map<std::string, std::string>{{"team", "payments"},
                                                           {"io.kubernetes.pod.name", "app-0"}});
}

TEST_CASE("a container below a parent of its own is found by docker's record of it",
          "[agent][unit]") {
  const Scratch scratch;
  const std::string inner(64, 'b');
  scratch.write("docker/containers/" + kId + "/config.v2.json", kDockerConfig);
  for (const std::string& path :
       {"/evil-\x1b[31m/" + kId, "/" + kId, "/a/b/" + kId, "/a/" + kId + "/" + inner}) {
    INFO(path);
    const ContainerNames names = look_up(scratch, path);
    CHECK(names.container_id == kId);
    CHECK(names.runtime == "docker");
    CHECK_FALSE(names.name.empty());
  }
  // Of no record, or below another container.
  for (const std::string& path :
       {"/evil/" + inner, "/a/" + inner + "/" + kId, "/evil/" + kId.substr(1)})
    CHECK(look_up(scratch, path) == ContainerNames{});
}

TEST_CASE("containerd's bundle gives pod and image of a CRI container", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("containerd/io.containerd.runtime.v2.task/k8s.io/" + kId + "/config.json",
                R"({"ociVersion":"1.0.2","annotations":{
      "io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"web",
      "io.kubernetes.cri.image-name":"registry.example/web:3","io.kubernetes.cri.sandbox-name":"web-0",
      "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-uid":"u-1"}})");
  const ContainerNames names = look_up(scratch, "/x/cri-containerd-" + kId + ".scope");
  CHECK(names.name == "web");
  CHECK(names.image == "registry.example/web:3");
  CHECK(names.pod_name == "web-0");
  CHECK(names.pod_namespace == "shop");
  CHECK(names.pod_uid == "u-1");
}

TEST_CASE("a shim's note of the first process ties a bundle to the run, and nothing else does",
          "[agent][unit]") {
  const Scratch scratch;
  const std::string bundle = "containerd/io.containerd.runtime.v2.task/k8s.io/" + kId;
  scratch.write(bundle + "/config.json", R"({"ociVersion":"1.0.2"})");
  const auto is_confirmed = [&](std::uint32_t process) {
    DiskRecords records({{}, {scratch.path("containerd")}, {}});
    ContainerStart start;
    start.cgroup_path = "/x/cri-containerd-" + kId + ".scope";
    start.process.key.tgid = process;
    return records.look_up(start).are_confirmed();
  };
  CHECK_FALSE(is_confirmed(4711));
  scratch.write(bundle + "/init.pid", "4711");
  CHECK(is_confirmed(4711));
  CHECK_FALSE(is_confirmed(4712));
  CHECK_FALSE(is_confirmed(0));
  std::filesystem::permissions(scratch.path("containerd"), std::filesystem::perms::all);
  CHECK_FALSE(is_confirmed(4711));  // anyone may write it
}

TEST_CASE("a ctr container is one only when containerd has its bundle", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("containerd/io.containerd.runtime.v2.task/default/mine/config.json",
                R"({"ociVersion":"1.0.2"})");
  const ContainerNames names = look_up(scratch, "/default/mine");
  CHECK(names.container_id == "mine");
  CHECK(names.runtime == "containerd");
  CHECK(names.name == "mine");
  CHECK(look_up(scratch, "/system.slice/ssh.service") == ContainerNames{});
}

TEST_CASE("podman's store gives name and image", "[agent][unit]") {
  const Scratch scratch;
  const std::string metadata =
      R"({\"image-name\":\"localhost/base:latest\",\"image-id\":\"91e7\",\"name\":\"happy\"})";
  scratch.write("storage/overlay-containers/containers.json",
                R"([{"id":"other","names":["x"]},{"id":")" + kId +
                    R"(","names":["happy_one"],"image":"91e7f4","metadata":")" + metadata +
                    R"("}])");
  const ContainerNames names = look_up(scratch, "/libpod_parent/libpod-" + kId);
  CHECK(names.runtime == "podman");
  CHECK(names.name == "happy_one");
  CHECK(names.image == "localhost/base:latest");
  CHECK(names.image_id == "91e7f4");
}

TEST_CASE("CRI-O's store gives the pod", "[agent][unit]") {
  const Scratch scratch;
  const std::string metadata =
      R"({\"image-name\":\"web:3\",\"pod-name\":\"k8s_web-0\",\"metadata-name\":\"web\"})";
  scratch.write("storage/overlay-containers/volatile-containers.json",
                R"([{"id":")" + kId + R"(","metadata":")" + metadata + R"("}])");
  const ContainerNames names = look_up(scratch, "/kubepods.slice/crio-" + kId + ".scope");
  CHECK(names.runtime == "cri-o");
  CHECK(names.name == "web");
  CHECK(names.pod_name == "k8s_web-0");
}

TEST_CASE("a record that lies about its form leaves the id alone", "[agent][unit]") {
  const std::string file = "docker/containers/" + kId + "/config.v2.json";
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"empty", ""},
      {"truncated", R"({"Name":"/x")"},
      {"not an object", "[1,2,3]"},
      {"other types", R"({"Name":7,"Config":[],"Image":{"a":1}})"},
      {"nested too deep", std::string(2000, '[') + std::string(2000, ']')},
      {"not UTF-8", "{\"Name\":\"/\xff\xfe\"}"},
      {"too large", "{\"Name\":\"/x\",\"y\":\"" + std::string((1U << 20) + 1, 'y') + "\"}"},
  };
  for (const auto& [name, text] : rows) {
    INFO(name);
    const Scratch scratch;
    scratch.write(file, text);
    const ContainerNames names = look_up(scratch, "/docker/" + kId);
    CHECK(names.container_id == kId);
    CHECK(names.name.empty());
  }
}

TEST_CASE("a link in a store is not followed", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("elsewhere.json", kDockerConfig);
  std::filesystem::create_directories(scratch.path("docker/containers/" + kId));
  std::filesystem::create_symlink(scratch.path("elsewhere.json"),
                                  scratch.path("docker/containers/" + kId + "/config.v2.json"));
  CHECK(look_up(scratch, "/docker/" + kId).name.empty());
}

TEST_CASE("what keeps a container off this kernel is told by its shim or docker", "[agent][unit]") {
  const Scratch scratch;
  DiskRecords records({{scratch.path("docker")}, {scratch.path("containerd")}, {}});
  const auto sandbox_of = [&](const char* runtime, std::map<std::string, std::string> labels = {}) {
    ContainerNames names;
    names.container_id = kId;
    names.runtime = runtime;
    names.labels = std::move(labels);
    return records.recorded_sandbox(names);
  };
  const bool is_root = ::geteuid() == 0;  // else whoever runs this may write the records
  CHECK(sandbox_of("docker").empty());
  CHECK(sandbox_of("containerd").empty());
  const std::string host_config = "docker/containers/" + kId + "/hostconfig.json";
  scratch.write(host_config, R"({"Runtime":"runc"})");
  CHECK(sandbox_of("docker").empty());
  scratch.write(host_config, R"({"Runtime":"runsc"})");
  CHECK(sandbox_of("docker") == (is_root ? "gVisor" : ""));
  CHECK(sandbox_of("containerd").empty());
  scratch.write("containerd/io.containerd.runtime.v2.task/k8s.io/" + kId + "/shim-binary-path",
                "/opt/kata/bin/containerd-shim-kata-v2");
  CHECK(sandbox_of("containerd") == (is_root ? "Kata Containers" : ""));
  CHECK(sandbox_of("podman").empty());
  CHECK(sandbox_of("cri-o").empty());
  CHECK(sandbox_of("cri-o", {{"io.kubernetes.cri-o.RuntimeHandler", "kata-qemu"}}).empty());
  std::filesystem::permissions(scratch.path("docker"), std::filesystem::perms(0777));
  std::filesystem::remove_all(scratch.path("containerd"));
  CHECK(sandbox_of("docker").empty());
}

TEST_CASE("a cgroup's name makes nobody a sandbox's process", "[agent][unit]") {
  const Scratch scratch;
  DiskRecords records({{}, {scratch.path("containerd")}, {}});
  const std::string bundle = "containerd/io.containerd.runtime.v2.task/k8s.io/" + kId;
  scratch.write(bundle + "/shim-binary-path", "/usr/bin/containerd-shim-runsc-v1");
  scratch.write(bundle + "/init.pid", "500");
  ContainerNames names;
  names.container_id = kId;
  names.runtime = "containerd";
  const std::string sandbox = ::geteuid() == 0 ? "gVisor" : "";
  ContainerStart start;
  start.process.key.tgid = 600;
  CHECK(records.sandbox_of(names, start).empty());
  start.ancestors.push_back({{400, {}}, "runsc"});
  CHECK(records.sandbox_of(names, start).empty());
  start.ancestors.push_back({{500, {}}, "runsc-sandbox"});
  CHECK(records.sandbox_of(names, start) == sandbox);
  start.ancestors.clear();
  start.process.key.tgid = 500;
  CHECK(records.sandbox_of(names, start) == sandbox);
  scratch.write(bundle + "/shim.pid", "600");
  start.process.key.tgid = 600;
  CHECK(records.sandbox_of(names, start) == sandbox);
}

}  // namespace
}  // namespace assay::agent
