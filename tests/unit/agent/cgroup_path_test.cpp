// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/cgroup_path.h"

#include <catch2/catch.hpp>

namespace assay::agent {
namespace {

const std::string kId = "9dfe3d0a7bbd1e0b3ba71a5a6b2c9a5f4c1e8f6d7b3a2c4d5e6f708192a3b4c5";
const std::string kInner = "0fdee8697bbd1e0b3ba71a5a6b2c9a5f4c1e8f6d7b3a2c4d5e6f708192a3b4c5";
const std::string kPod = "8c3b7f5e-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
const std::string kPodSlice = "8c3b7f5e_1c2d_4e5f_8a9b_0c1d2e3f4a5b";

struct Row {
  const char* name;
  std::string path;
  CgroupContainer expected;
};

TEST_CASE("each runtime's cgroup path gives its container", "[agent][unit]") {
  const std::vector<Row> rows = {
      {"docker, systemd", "/system.slice/docker-" + kId + ".scope", {kId, "docker", ""}},
      {"docker, cgroupfs", "/docker/" + kId, {kId, "docker", ""}},
      {"GitHub actions", "/actions_job/" + kId, {kId, "docker", ""}},
      {"ECS", "/ecs/0b1c2d3e/" + kId, {kId, "docker", ""}},
      {"containerd CRI, systemd",
       "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kPodSlice +
           ".slice/cri-containerd-" + kId + ".scope",
       {kId, "containerd", kPod}},
      {"containerd CRI, guaranteed",
       "/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId + ".scope",
       {kId, "containerd", kPod}},
      {"containerd CRI, slice notation",
       "/system.slice/containerd.service/kubepods-besteffort-pod" + kPodSlice +
           ".slice:cri-containerd:" + kId,
       {kId, "containerd", ""}},
      {"CRI, cgroupfs", "/kubepods/besteffort/pod" + kPod + "/" + kId, {kId, "containerd", kPod}},
      {"CRI, cgroupfs, guaranteed", "/kubepods/pod" + kPod + "/" + kId, {kId, "containerd", kPod}},
      {"CRI-O, cgroupfs", "/kubepods/burstable/pod" + kPod + "/crio-" + kId, {kId, "cri-o", kPod}},
      {"CRI-O, systemd",
       "/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/crio-" + kId + ".scope/container",
       {kId, "cri-o", kPod}},
      {"podman, systemd", "/machine.slice/libpod-" + kId + ".scope/container", {kId, "podman", ""}},
      {"podman, payload", "/user.slice/libpod-payload-" + kId, {kId, "podman", ""}},
      {"podman, cgroupfs", "/libpod_parent/libpod-" + kId, {kId, "podman", ""}},
      {"nerdctl", "/system.slice/nerdctl-" + kId + ".scope", {kId, "containerd", ""}},
      {"lxc", "/lxc/web", {"web", "lxc", ""}},
      {"lxc payload", "/lxc.payload.web/init.scope", {"web", "lxc", ""}},
      {"nspawn, machine", "/machine.slice/machine-deb.scope", {"deb", "systemd-nspawn", ""}},
      {"nspawn, service",
       "/machine.slice/systemd-nspawn@deb.service/payload",
       {"deb", "systemd-nspawn", ""}},
      {"garden",
       "/garden/1b4e28ba-2fa1-11d2-883f-0016d3cca427",
       {"1b4e28ba-2fa1-11d2-883f-0016d3cca427", "garden", ""}},
      {"seen from within a cgroup namespace", "/../../docker/" + kId, {kId, "docker", ""}},
      {"kind: the innermost",
       "/system.slice/docker-" + kId +
           ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + kPodSlice +
           ".slice/cri-containerd-" + kInner + ".scope",
       {kInner, "containerd", kPod}},
  };
  for (const Row& row : rows) {
    INFO(row.name << ": " << row.path);
    const auto found = parse_cgroup_path(row.path);
    REQUIRE(found.has_value());
    CHECK(found->container_id == row.expected.container_id);
    CHECK(found->runtime == row.expected.runtime);
    CHECK(found->pod_uid == row.expected.pod_uid);
  }
}

TEST_CASE("a path of no container gives none", "[agent][unit]") {
  const std::vector<std::string> paths = {
      "",
      "/",
      "/system.slice/ssh.service",
      "/system.slice/docker.service",
      "/docker/" + kId.substr(1),
      "/docker/" + kId + "0",
      "/system.slice/docker-" + kId + ".service",
      "/machine.slice/libpod-conmon-" + kId + ".scope",
      "/kubepods.slice/crio-conmon-" + kId + ".scope",
      "/" + kId,
      "/DOCKER/" + kId,
  };
  for (const std::string& path : paths) {
    INFO(path);
    CHECK_FALSE(parse_cgroup_path(path).has_value());
  }
}

TEST_CASE("only a path of exactly two parts can be ctr's", "[agent][unit]") {
  const auto found = parse_ctr_cgroup("/default/my-container");
  REQUIRE(found);
  CHECK(found->name_space == "default");
  CHECK(found->container_id == "my-container");
  CHECK_FALSE(parse_ctr_cgroup("/default"));
  CHECK_FALSE(parse_ctr_cgroup("/a/b/c"));
  CHECK_FALSE(parse_ctr_cgroup("/../x"));
  CHECK_FALSE(parse_ctr_cgroup("./x"));
  CHECK_FALSE(parse_cgroup_path("/lxc/.."));
  CHECK_FALSE(parse_ctr_cgroup("/x/" + std::string(300, 'y')));
}

}  // namespace
}  // namespace assay::agent
