// SPDX-License-Identifier: Apache-2.0
// The vectors of docs/formats/fingerprint.md, computed by an implementation that shares no code.
#include <fcntl.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

#include "common/image/tar_layer.h"

using namespace assay;
using namespace assay::image;

namespace {

const std::string kFolder = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/fingerprint/";

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the published vectors come out", "[image][unit][golden]") {
  const auto json = nlohmann::json::parse(read_all(kFolder + "vectors.json"));
  REQUIRE(json["version"] == kFingerprintVersion);
  REQUIRE(json["vectors"].size() >= 10);
  for (const auto& vector : json["vectors"]) {
    const std::string name = vector["file"];
    CAPTURE(name);
    const std::string tar = read_all(kFolder + name);
    MemorySource source(tar);
    const auto result = fingerprint_tar(source, Scope::kContent, {});
    REQUIRE(result);
    CHECK(result->entries == vector["entries"]);
    CHECK(result->shape.hex() == vector["shape"]);
    CHECK(result->content->hex() == vector["content"]);
    CHECK(result->deletions->hex() == vector["deletions"]);
  }
}

TEST_CASE("the format's page lists the digests of every vector", "[image][unit][golden]") {
  const auto json = nlohmann::json::parse(read_all(kFolder + "vectors.json"));
  const std::string page = read_all(std::string(ASSAY_SOURCE_DIR) + "/docs/formats/fingerprint.md");
  for (const auto& vector : json["vectors"])
    for (const char* field : {"file", "shape", "content", "deletions"})
      CHECK(page.find(vector[field].get<std::string>()) != std::string::npos);
}
