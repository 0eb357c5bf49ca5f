// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/bundle.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/catalog/log.h"

using namespace assay;
using namespace assay::catalog;
using nlohmann::json;

namespace {

std::string golden(const std::string& name) {
  return read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/golden/sigstore/" + name, 1 << 20)
      .value();
}

PublicKey key_of(const std::string& name) {
  return PublicKey::from_pem(golden(name)).value();
}

}  // namespace

TEST_CASE("a bundle that cosign made with a key verifies over its blob alone", "[catalog][unit]") {
  const Bundle bundle = Bundle::from_json(golden("managed-key.sigstore.json")).value();
  const PublicKey key = key_of("managed-key.pub");
  CHECK(verify_bundle(bundle, key, golden("a.txt")));
  CHECK(verify_bundle(bundle, key, golden("a.txt") + " ").error().code == ErrorCode::kUntrusted);
  CHECK(verify_bundle(bundle, key, std::nullopt).error().code == ErrorCode::kInvalidArgument);
  CHECK(verify_bundle(bundle, key_of("intoto-in-dsse.pub"), golden("a.txt")).error().code ==
        ErrorCode::kUntrusted);
}

TEST_CASE("a keyless bundle is read and said to be beyond us", "[catalog][unit]") {
  const Bundle bundle = Bundle::from_json(golden("intoto-in-dsse.sigstore.json")).value();
  CHECK(bundle.has_certificate);
  REQUIRE(bundle.envelope);
  CHECK(verified_by(*bundle.envelope, {key_of("intoto-in-dsse.pub")}).size() == 1);
  CHECK(verify_bundle(bundle, key_of("intoto-in-dsse.pub"), std::nullopt).error().code ==
        ErrorCode::kUnsupported);
}

TEST_CASE("malformed bundles and unknown versions are refused", "[catalog][unit]") {
  CHECK(Bundle::from_json(golden("malformed.sigstore.json")).error().code == ErrorCode::kCorrupt);
  CHECK(Bundle::from_json(golden("unknown-version.sigstore.json")).error().code ==
        ErrorCode::kUnsupported);
  CHECK(Bundle::from_json(std::string(1000, '[')).error().code == ErrorCode::kCorrupt);
  CHECK(Bundle::from_json("").error().code == ErrorCode::kCorrupt);
}

TEST_CASE("our bundle has the published shape and verifies", "[catalog][unit]") {
  const SigningKey key = SigningKey::generate(KeyType::kEcdsaP256).value();
  const SigningKey other = SigningKey::generate(KeyType::kEd25519).value();
  const std::string payload =
      R"({"predicateType":"p","subject":[{"name":"n","digest":{"sha256":")" + sha256("x").hex() +
      R"("}}]})";
  const Envelope envelope = sign_envelope(payload, kInTotoPayloadType, {other, key}).value();
  const std::string text = make_bundle(envelope, key.public_key()).value();
  const json object = json::parse(text);
  CHECK(object["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json");
  const std::string hint = object["verificationMaterial"]["publicKey"]["hint"];
  CHECK(to_hex(from_base64(hint).value()) == key.public_key().key_id());
  CHECK(object["dsseEnvelope"]["signatures"].size() == 1);
  const Bundle bundle = Bundle::from_json(text).value();
  const BundleContent content = verify_bundle(bundle, key.public_key(), std::nullopt).value();
  CHECK(content.predicate_type == "p");
  CHECK(content.subjects == std::vector<std::string>{"n sha256:" + sha256("x").hex()});
  CHECK(verify_bundle(bundle, key.public_key(), "x"));
  CHECK(verify_bundle(bundle, key.public_key(), "y").error().code == ErrorCode::kUntrusted);
  CHECK(verify_bundle(bundle, other.public_key(), std::nullopt).error().code ==
        ErrorCode::kUntrusted);
  const SigningKey stranger = SigningKey::generate(KeyType::kEd25519).value();
  CHECK(make_bundle(envelope, stranger.public_key()).error().code == ErrorCode::kNotFound);
}

TEST_CASE("what a bundle may not be is refused", "[catalog][unit]") {
  const SigningKey key = SigningKey::generate(KeyType::kEd25519).value();
  const Envelope envelope = sign_envelope("{}", kInTotoPayloadType, {key}).value();
  const json good = json::parse(make_bundle(envelope, key.public_key()).value());
  struct Row {
    const char* name;
    std::function<void(json&)> spoil;
  };
  const Row rows[] = {
      {"no type", [](json& j) { j.erase("mediaType"); }},
      {"no material", [](json& j) { j.erase("verificationMaterial"); }},
      {"neither key nor certificate",
       [](json& j) { j["verificationMaterial"].erase("publicKey"); }},
      {"key and certificate",
       [](json& j) {
         j["verificationMaterial"]["certificate"] = {{"rawBytes", ""}};
       }},
      {"no content", [](json& j) { j.erase("dsseEnvelope"); }},
      {"two contents",
       [](json& j) {
         j["messageSignature"] = {{"signature", ""}};
       }},
      {"two signatures",
       [](json& j) {
         auto& list = j["dsseEnvelope"]["signatures"];
         list.push_back(json(list[0]));
       }},
      {"no signature", [](json& j) { j["dsseEnvelope"]["signatures"] = json::array(); }},
      {"another key id than the hint",
       [](json& j) { j["dsseEnvelope"]["signatures"][0]["keyid"] = "x"; }},
      {"payload is not base64", [](json& j) { j["dsseEnvelope"]["payload"] = "*"; }},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    json object = good;
    row.spoil(object);
    CHECK(Bundle::from_json(object.dump()).error().code == ErrorCode::kCorrupt);
  }
}
