// SPDX-License-Identifier: Apache-2.0
// The vectors of docs/formats/fingerprint.md, computed by an implementation that shares no code.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/image/root_form.h"
#include "common/image/tar_layer.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::read_bytes;

namespace {

const std::string kFolder = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/fingerprint/";

nlohmann::json read_vectors() {
  return nlohmann::json::parse(read_bytes(kFolder + "vectors.json"));
}

Result<LayerFingerprint> fingerprint(const std::string& name) {
  const std::string tar = read_bytes(kFolder + name);
  MemorySource source(tar);
  return fingerprint_tar(source, Scope::kContent, {});
}

}  // namespace

TEST_CASE("the published vectors come out", "[image][unit][golden]") {
  const auto json = read_vectors();
  REQUIRE(json["version"] == kFingerprintVersion);
  REQUIRE(json["vectors"].size() >= 15);
  for (const auto& vector : json["vectors"]) {
    const std::string name = vector["file"];
    CAPTURE(name);
    const auto result = fingerprint(name);
    REQUIRE(result);
    CHECK(result->entries == vector["entries"]);
    CHECK(result->shape.hex() == vector["shape"]);
    CHECK(result->content->hex() == vector["content"]);
    CHECK(result->deletions->hex() == vector["deletions"]);
  }
}

TEST_CASE("the published vectors of other forms come out", "[image][unit][golden]") {
  const auto json = read_vectors();
  REQUIRE(json["forms"].size() >= 6);
  for (const auto& vector : json["forms"]) {
    CAPTURE(vector["form"], vector["files"]);
    MergedTree merged;
    LayerTree top;
    for (const std::string name : vector["files"]) {
      const std::string tar = read_bytes(kFolder + name);
      MemorySource source(tar);
      LayerTreeKeeper keeper(nullptr);
      REQUIRE(fingerprint_tar(source, Scope::kContent, {}, &keeper));
      top = std::move(keeper.tree());
      merged.add(top);
    }
    if (vector["form"] == "root") {
      const RootFingerprint root = merged.fingerprint(Scope::kContent);
      CHECK(root.entries == vector["entries"]);
      CHECK(root.shape.hex() == vector["shape"]);
      CHECK(root.content->hex() == vector["content"]);
    } else {
      const auto deviceless = fingerprint_without_devices(top, Scope::kContent);
      REQUIRE(deviceless);
      CHECK(deviceless->shape.hex() == vector["shape"]);
      CHECK(deviceless->content->hex() == vector["content"]);
    }
  }
}

TEST_CASE("tars that the format refuses have no fingerprint", "[image][unit][golden]") {
  const auto json = read_vectors();
  REQUIRE(json["refused"].size() >= 25);
  for (const auto& vector : json["refused"]) {
    const std::string name = vector["file"];
    CAPTURE(name);
    const auto result = fingerprint(name);
    REQUIRE_FALSE(result);
    const bool is_of_the_tar = result.error().code == ErrorCode::kCorrupt ||
                               result.error().code == ErrorCode::kUnsupported;
    CHECK(is_of_the_tar);
  }
}

TEST_CASE("the format's page lists the digests of every vector", "[image][unit][golden]") {
  const auto json = read_vectors();
  const std::string page =
      read_bytes(std::string(ASSAY_SOURCE_DIR) + "/docs/formats/fingerprint.md");
  for (const auto& vector : json["vectors"])
    for (const char* field : {"file", "holds", "shape", "content", "deletions"})
      CHECK(page.find(vector[field].get<std::string>()) != std::string::npos);
  for (const auto& vector : json["forms"])
    for (const char* field : {"shape", "content"})
      CHECK(page.find(vector[field].get<std::string>()) != std::string::npos);
}
