// SPDX-License-Identifier: Apache-2.0
// Which image of an index is read: tables over choose_manifest(), and one index in another.
#include "common/image/manifest_choice.h"

#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "common/image/image.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace {

constexpr const char* kManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kIndex = "application/vnd.oci.image.index.v1+json";

// A descriptor of `bytes`; `platform` is "os/arch[/variant]", "" for none, `more` is JSON.
std::string descriptor(const std::string& bytes, const std::string& platform,
                       const std::string& more = "", const std::string& media_type = kManifest) {
  std::string text = R"({"mediaType":")" + media_type + R"(","digest":")" + digest_text(bytes) +
                     R"(","size":)" + std::to_string(bytes.size());
  if (!platform.empty()) {
    const Platform parts = parse_platform_text(platform).value();
    text += R"(,"platform":{"os":")" + parts.os + R"(","architecture":")" + parts.architecture +
            "\"" + (parts.variant.empty() ? "" : R"(,"variant":")" + parts.variant + "\"") + "}";
  }
  return text + more + "}";
}

std::string index_of(const std::vector<std::string>& descriptors) {
  std::string list;
  for (const std::string& each : descriptors)
    list += (list.empty() ? "" : ",") + each;
  return R"({"schemaVersion":2,"manifests":[)" + list + "]}";
}

// An index with one manifest for each platform; each is named by its platform.
std::vector<Descriptor> manifests(const std::vector<std::string>& platforms,
                                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = more;
  for (const std::string& platform : platforms)
    all.push_back(descriptor(platform, platform));
  return parse_index(index_of(all)).value();
}

struct Choice {
  std::vector<std::string> offered;
  std::string wanted;
  std::string chosen;  // "" when it is an error
};

const std::string kAttestation =
    descriptor("attestation", "unknown/unknown",
               R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})");
const std::string kSignature =
    descriptor("signature", "", R"(,"artifactType":"application/vnd.example.signature")");
const std::string kUnknown = descriptor("unnamed artifact", "unknown/unknown");

}  // namespace

TEST_CASE("the image for the platform is chosen", "[image][unit]") {
  const std::vector<Choice> choices = {
      {{"linux/amd64", "linux/arm64"}, "linux/arm64", "linux/arm64"},
      {{"linux/arm64/v8", "linux/amd64"}, "linux/arm64", "linux/arm64/v8"},
      {{"linux/arm64"}, "linux/arm64/v8", "linux/arm64"},
      {{"linux/arm/v6", "linux/arm/v7"}, "linux/arm/v7", "linux/arm/v7"},
      {{"linux/amd64", "linux/amd64/v3"}, "linux/amd64", "linux/amd64"},
      {{"linux/amd64/v2", "linux/amd64/v3"}, "linux/amd64/v3", "linux/amd64/v3"},
      {{"linux/s390x"}, "", "linux/s390x"},
      {{"linux/amd64", "windows/amd64"}, "windows/amd64", "windows/amd64"},
      {{"linux/arm/v6", "linux/arm/v7"}, "linux/arm", ""},
      {{"linux/arm/v6", "linux/arm/v7"}, "linux/arm/v5", ""},
      {{"linux/amd64"}, "linux/riscv64", ""},
  };
  for (const Choice& choice : choices) {
    CAPTURE(choice.offered, choice.wanted);
    const auto chosen = choose_manifest(manifests(choice.offered), choice.wanted);
    REQUIRE(chosen.has_value() == !choice.chosen.empty());
    if (chosen) CHECK(chosen->digest == sha256(choice.chosen));
  }
}

TEST_CASE("an unclear choice lists the platforms and says how to choose", "[image][unit]") {
  const auto unclear = choose_manifest(manifests({"linux/arm/v6", "linux/arm/v7"}), "linux/arm");
  CHECK(unclear.error().code == ErrorCode::kInvalidArgument);
  const auto none = choose_manifest(manifests({"linux/arm/v6", "linux/arm/v7"}), "linux/amd64");
  CHECK(none.error().code == ErrorCode::kNotFound);
  for (const Error& error : {unclear.error(), none.error()})
    for (const char* words : {"linux/arm/v6", "linux/arm/v7", "--platform OS/ARCH"}) {
      CAPTURE(error.message);
      CHECK(error.message.find(words) != std::string::npos);
    }
  const auto same =
      parse_index(index_of({descriptor("a", "linux/amd64"), descriptor("b", "linux/amd64")}));
  const auto names = choose_manifest(*same, "linux/amd64");
  REQUIRE_FALSE(names);
  CHECK(names.error().message.find("skopeo copy") != std::string::npos);
}

TEST_CASE("a long list of platforms is cut in the error", "[image][unit]") {
  std::vector<std::string> many;
  for (int i = 0; i < 900; ++i)
    many.push_back("linux/cpu" + std::to_string(i));
  const auto none = choose_manifest(manifests(many), "linux/amd64");
  REQUIRE_FALSE(none);
  CHECK(none.error().message.size() < 1000);
  CHECK(none.error().message.find("and 880 more") != std::string::npos);
}

TEST_CASE("attestations, signatures and unknown platforms are passed over", "[image][unit]") {
  const auto chosen =
      choose_manifest(manifests({"linux/s390x"}, {kAttestation, kSignature, kUnknown}), "");
  REQUIRE(chosen);
  CHECK(chosen->digest == sha256("linux/s390x"));
  const auto nothing = choose_manifest(manifests({}, {kAttestation, kSignature}), "");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == ErrorCode::kNotFound);
}

TEST_CASE("an index in an index is followed, but not without end", "[image][unit]") {
  const TempFolder folder("index");
  const std::string tar = TarBuilder().add(tar_item("a")).finish();
  auto files = oci_files({{tar, "", ""}}, "linux", "arm64");
  const auto blob = [&](const std::string& bytes) {
    files.push_back({"blobs/sha256/" + digest_text(bytes).substr(7), bytes});
    return bytes;
  };
  std::string inner = blob(index_of({descriptor(files[2].bytes, "linux/arm64/v8"), kAttestation}));
  const auto read = [&] {
    files[1].bytes = index_of({descriptor(inner, "", "", kIndex)});
    write_bytes(folder / "image.tar", pack(files));
    return read_image(folder / "image.tar", {}, {});
  };
  const auto image = read();
  REQUIRE(image);
  CHECK(image->manifest_digest == digest_text(files[2].bytes));
  CHECK(image->platform == "linux/arm64");
  for (int i = 0; i < 4; ++i)
    inner = blob(index_of({descriptor(inner, "", "", kIndex)}));
  const auto deep = read();
  REQUIRE_FALSE(deep);
  CHECK(deep.error().message.find("too deep") != std::string::npos);
}
