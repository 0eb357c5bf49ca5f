// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/one_layer/ways.h"
#include "tests/support/runtimes.h"

namespace assay::tests {
namespace {

// The subject's layers as `runtime` unpacked them from the docker archive.
Way unpacked_by(const std::string& runtime, std::string name) {
  Way made;
  made.name = std::move(name);
  made.missing = needs_runtime(runtime);
  made.read = [runtime](const Subject& subject) {
    const auto running = start_runtime(runtime);
    running->load(subject.docker_archive());
    std::vector<image::LayerFingerprint> prints;
    for (const std::string& folder :
         running->layer_directories(Subject::name(), subject.top_chain_id()))
      prints.push_back(must_walk(folder));
    return prints;
  };
  return made;
}

}  // namespace

std::vector<Way> directory_ways() {
  return {
      unpacked_by("docker", "docker overlay2, unpacked"),
      unpacked_by("containerd", "containerd overlayfs, unpacked"),
      unpacked_by("podman", "podman overlay, unpacked"),
  };
}

}  // namespace assay::tests
