// SPDX-License-Identifier: Apache-2.0
// The rules of docs/formats/fingerprint.md, section 7, against the programs they follow: every tar
// of the published vectors is given to docker, containerd and podman as a layer. What they unpack
// has the published digests, and what they refuse is listed here.
#include <fcntl.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <map>
#include <stdexcept>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "tests/support/needs.h"
#include "tests/support/runtimes.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace {

const std::string kFolder = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/fingerprint/";

LayerFingerprint must_walk(const std::string& path) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  auto layer = fingerprint_directory(root.get(), {}, {});
  if (!layer) FAIL(layer.error().text());
  return *layer;
}

// The layer's directory, when the runtime takes an image with the tar on top of another layer.
std::string unpack(ContainerRuntime& runtime, const std::string& name, const std::string& tar) {
  const TempFolder folder("rule");
  const std::string below = read_bytes(kFolder + "basic.tar");
  const std::string image = "localhost/assay/" + name + ":1";
  write_bytes(folder / "image.tar", pack(docker_files({{below, "", ""}, {tar, "", ""}}, image)));
  runtime.load(folder / "image.tar");
  const std::string chain = digest_text(digest_text(below) + " " + digest_text(tar));
  return runtime.layer_directories(image, chain).back();
}

}  // namespace

namespace {

// Vectors that a runtime does not unpack, with a part of what it says. So these rules are ours
// alone: no directory of such a layer can exist there.
const std::map<std::string, std::map<std::string, std::string>> kRefusals = {
    {"docker",
     {{"duplicates", "duplicates of file paths not supported"},
      {"early-hard-links", "no such file or directory"},
      {"sparse-gnu", "unhandled tar header type 83"},
      {"whiteout-below-a-whiteout", "not a directory"},
      {"whiteout-of-what-is-there", "file exists"}}},
    {"containerd",
     {{"early-hard-links", "no such file or directory"},
      {"sparse-gnu", "unhandled tar header type 83"},
      {"whiteout-below-a-whiteout", "not a directory"},
      {"whiteout-of-what-is-there", "file exists"}}},
    {"podman",
     {{"duplicates", "duplicates of file paths not supported"},
      {"early-hard-links", "no such file or directory"},
      {"sparse-gnu", "unhandled tar header type 83"},
      {"whiteout-of-what-is-there", "file exists"},
      {"xattrs-on-links", "operation not permitted"}}},
};

bool is_refused(const std::string& runtime, const std::string& vector, const std::string& said) {
  const auto& refusals = kRefusals.at(runtime);
  const auto refusal = refusals.find(vector);
  return refusal != refusals.end() && said.find(refusal->second) != std::string::npos;
}

void check_unpacked(const std::string& directory, const nlohmann::json& vector) {
  const LayerFingerprint print = must_walk(directory);
  CHECK(print.entries == vector["entries"]);
  CHECK(print.shape.hex() == vector["shape"]);
  CHECK(print.content->hex() == vector["content"]);
  REQUIRE(print.deletions);
  CHECK(print.deletions->hex() == vector["deletions"]);
}

}  // namespace

TEST_CASE("runtimes unpack the vectors as the format says", "[image][runtime]") {
  const std::string name = GENERATE("docker", "containerd", "podman");
  if (const std::string missing = missing_for_runtime(name); !missing.empty())
    return note_missing(missing);
  const auto runtime = start_runtime(name);
  const auto json = nlohmann::json::parse(read_bytes(kFolder + "vectors.json"));
  std::size_t refused = 0;
  for (const auto& vector : json["vectors"]) {
    const std::string file = vector["file"];
    const std::string plain = file.substr(0, file.rfind('.'));
    CAPTURE(name, file);
    std::string directory;
    try {
      directory = unpack(*runtime, plain, read_bytes(kFolder + file));
    } catch (const std::runtime_error& error) {
      if (!is_refused(name, plain, error.what())) FAIL(error.what());
      ++refused;
      continue;
    }
    check_unpacked(directory, vector);
  }
  CHECK(refused == kRefusals.at(name).size());
}
