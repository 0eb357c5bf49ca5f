// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "tests/runtime/one_layer/ways.h"
#include "tests/support/command.h"

namespace assay::tests {
namespace {

std::vector<image::LayerFingerprint> layers_of(const std::string& source) {
  std::vector<image::LayerFingerprint> prints;
  for (const image::ImageLayer& layer : must_read(source).layers)
    prints.push_back(layer.fingerprint);
  return prints;
}

Way way(std::string name, std::vector<std::string> programs,
        std::function<std::string(const Subject&)> source) {
  Way made;
  made.name = std::move(name);
  made.missing = needs_programs(std::move(programs));
  made.read = [source = std::move(source)](const Subject& subject) {
    return layers_of(source(subject));
  };
  return made;
}

}  // namespace

std::vector<Way> archive_ways() {
  return {
      way("OCI layout by umoci", {}, [](const Subject& subject) { return subject.layout(); }),
      way("OCI archive by skopeo", {},
          [](const Subject& subject) { return subject.oci_archive(); }),
      way("OCI archive by skopeo, gzip", {"gzip"},
          [](const Subject& subject) {
            must_run({"gzip", "--keep", "--force", subject.oci_archive()});
            return subject.oci_archive() + ".gz";
          }),
      way("docker archive by skopeo", {},
          [](const Subject& subject) { return subject.docker_archive(); }),
  };
}

}  // namespace assay::tests
