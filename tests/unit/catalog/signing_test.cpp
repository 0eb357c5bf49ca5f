// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/catalog/log.h"
#include "common/catalog/signing.h"

using namespace assay;
using namespace assay::catalog;

namespace {

// The key and signature of secure-systems-lab/dsse protocol.md "Test Vectors"; the signature there
// is r and s side by side, here it is the same in DER, as Sigstore writes it.
constexpr const char* kDsseKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMr\n"
    "CrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6pnrIDOoSYI3fdA==\n"
    "-----END PUBLIC KEY-----\n";
constexpr const char* kDsseSignature =
    "MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA"
    "==";

// openssl ecparam -name secp384r1, and an RSA key: good keys, but not ones we take.
constexpr const char* kP384Key =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEd5+lxXCVp34QSDKjXPQ5F/aMyWb71oSD\n"
    "uEAjr0QPmKAQiLrrqjN9ViikQunb8POv/D0mC5KQYAHJhby8VhFu2tJqEbRN6Qan\n"
    "PqEp4O6cpo5BJ4UUg4oxxJYEkMGKsxsT\n"
    "-----END PUBLIC KEY-----\n";

std::string golden(const std::string& name) {
  return read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/golden/sigstore/" + name, 1 << 20)
      .value();
}

std::string envelope_json(const std::string& payload, const std::string& signature) {
  return R"({"payload":")" + payload +
         R"(","payloadType":"http://example.com/HelloWorld","signatures":[{"sig":")" + signature +
         R"("}]})";
}

}  // namespace

TEST_CASE("the published DSSE vector verifies", "[catalog][unit]") {
  const PublicKey key = PublicKey::from_pem(kDsseKey).value();
  const auto envelope =
      Envelope::from_json(envelope_json("aGVsbG8gd29ybGQ=", kDsseSignature)).value();
  CHECK(envelope.payload == "hello world");
  CHECK(verified_by(envelope, {key}) == std::vector<std::string>{key.key_id()});
  const auto altered =
      Envelope::from_json(envelope_json("aGVsbG8gd29ybGE=", kDsseSignature)).value();
  CHECK(verified_by(altered, {key}).empty());
}

TEST_CASE("an in-toto statement that Sigstore signed verifies", "[catalog][unit]") {
  const auto bundle = nlohmann::json::parse(golden("intoto-in-dsse.sigstore.json"));
  const PublicKey key = PublicKey::from_pem(golden("intoto-in-dsse.pub")).value();
  Envelope envelope = Envelope::from_json(bundle["dsseEnvelope"].dump()).value();
  CHECK(envelope.payload_type == kInTotoPayloadType);
  CHECK(verified_by(envelope, {key}).size() == 1);
  envelope.payload.back() ^= 1;
  CHECK(verified_by(envelope, {key}).empty());
}

TEST_CASE("a blob that cosign signed with a key verifies", "[catalog][unit]") {
  const auto bundle = nlohmann::json::parse(golden("managed-key.sigstore.json"));
  const PublicKey key = PublicKey::from_pem(golden("managed-key.pub")).value();
  const std::string hint = bundle["verificationMaterial"]["publicKey"]["hint"];
  CHECK(to_hex(from_base64(hint).value()) == key.key_id());
  const std::string text = bundle["messageSignature"]["signature"];
  const std::string signature = from_base64(text).value();
  CHECK(key.verify(golden("a.txt"), signature));
  CHECK_FALSE(key.verify(golden("a.txt") + " ", signature));
}

TEST_CASE("both kinds of keys sign, and survive PEM", "[catalog][unit]") {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEd25519}) {
    const SigningKey made = SigningKey::generate(type).value();
    const SigningKey read = SigningKey::from_pem(made.private_pem()).value();
    const PublicKey key = PublicKey::from_pem(made.public_key().pem()).value();
    CHECK(read.public_key().key_id() == key.key_id());
    CHECK(key.key_id().size() == 64);
    const std::string signature = read.sign("message").value();
    CHECK(key.verify("message", signature));
    CHECK_FALSE(key.verify("massage", signature));
    CHECK_FALSE(key.verify("message", signature.substr(1)));
    CHECK_FALSE(key.verify("message", ""));
    CHECK_FALSE(SigningKey::generate(type).value().public_key().verify("message", signature));
  }
}

TEST_CASE("the same point in compressed form is the same key", "[catalog][unit]") {
  // openssl ec -conv_form compressed of the DSSE key.
  const PublicKey compressed =
      PublicKey::from_pem(
          "-----BEGIN PUBLIC KEY-----\n"
          "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACZ805D3eqNZywjCI19lInBJOp7YMr\n"
          "CrzAH3CVTAOQ0jg=\n"
          "-----END PUBLIC KEY-----\n")
          .value();
  CHECK(compressed.key_id() == PublicKey::from_pem(kDsseKey).value().key_id());
}

TEST_CASE("what is no key that we take is refused", "[catalog][unit]") {
  CHECK(PublicKey::from_pem(kP384Key).error().code == ErrorCode::kUnsupported);
  for (const std::string& text :
       {std::string(), std::string("hello"), std::string(kDsseKey).substr(0, 100),
        std::string(20'000, 'x'), SigningKey::generate(KeyType::kEd25519).value().private_pem()}) {
    INFO(text.substr(0, 40));
    CHECK(PublicKey::from_pem(text).error().code == ErrorCode::kInvalidArgument);
  }
  CHECK(SigningKey::from_pem(kDsseKey).error().code == ErrorCode::kInvalidArgument);
  // Encrypted with a passphrase: refused at once, nobody is asked on the terminal.
  CHECK(SigningKey::from_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                             "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAilVJhl43l2ogICCAAw\n"
                             "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENz1vXoX8hvqUsyngYPnTzMEQLSj\n"
                             "KFehD0W+KSS9R2K6gZ5J9zAp11/vnXA0tB9/e94KakwVWpM6wzi4Zt8VBxPy0ZxS\n"
                             "MbvIZPGXXQ80V4Je9Hg=\n"
                             "-----END ENCRYPTED PRIVATE KEY-----\n")
            .error()
            .code == ErrorCode::kInvalidArgument);
}

TEST_CASE("an envelope survives JSON", "[catalog][unit]") {
  const SigningKey key = SigningKey::generate(KeyType::kEd25519).value();
  const std::string payload("any\0bytes\xff", 10);
  const Envelope made = sign_envelope(payload, "text/\"x\"", {key}).value();
  const Envelope read = Envelope::from_json(made.to_json()).value();
  CHECK(read.payload == payload);
  CHECK(read.payload_type == made.payload_type);
  CHECK(verified_by(read, {key.public_key()}).size() == 1);
}

TEST_CASE("base64 may be URL-safe and unknown members are ignored", "[catalog][unit]") {
  const auto read = [](const char* payload) {
    return Envelope::from_json(std::string(R"({"more":[1],"payload":")") + payload +
                               R"(","payloadType":"t","signatures":[{"sig":"AA==","cert":"x"}]})");
  };
  CHECK(read("-_8=").value().payload == "\xfb\xff");
  CHECK(read("-_8").value().payload == "\xfb\xff");
  CHECK(read("+/8=").value().payload == "\xfb\xff");
}

TEST_CASE("what is no envelope is refused", "[catalog][unit]") {
  for (const char* text :
       {"", "[]", "{}", "null", "{\"payload\":\"AA==\"}",
        "{\"payload\":\"AA==\",\"payloadType\":\"t\"}",
        R"({"payload":1,"payloadType":"t","signatures":[]})",
        R"({"payload":"*","payloadType":"t","signatures":[]})",
        R"({"payload":"","payloadType":"t","signatures":{}})",
        R"({"payload":"","payloadType":"t","signatures":[1]})",
        R"({"payload":"","payloadType":"t","signatures":[{}]})",
        R"({"payload":"","payloadType":"t","signatures":[{"sig":"*"}]})",
        R"({"payload":"","payloadType":"t","signatures":[]} x)", "{\"payload\":\"\xff\"}"}) {
    INFO(text);
    CHECK(Envelope::from_json(text).error().code == ErrorCode::kCorrupt);
  }
  std::string many = R"({"payload":"","payloadType":"t","signatures":[{"sig":""})";
  for (int i = 0; i < 64; ++i)
    many += R"(,{"sig":""})";
  CHECK(Envelope::from_json(many + "]}").error().code == ErrorCode::kLimitExceeded);
  CHECK(Envelope::from_json(std::string((16 << 20) + 1, ' ')).error().code ==
        ErrorCode::kLimitExceeded);
  CHECK(Envelope::from_json(std::string(1 << 20, '[')).error().code == ErrorCode::kCorrupt);
}

TEST_CASE("one key counts once, whatever the hints say", "[catalog][unit]") {
  const SigningKey a = SigningKey::generate(KeyType::kEd25519).value();
  const SigningKey b = SigningKey::generate(KeyType::kEcdsaP256).value();
  const std::vector<PublicKey> trusted = {a.public_key(), b.public_key()};
  CHECK(verified_by(sign_envelope("x", "t", {a, a}).value(), trusted).size() == 1);
  CHECK(verified_by(sign_envelope("x", "t", {a, b}).value(), trusted).size() == 2);
  Envelope envelope = sign_envelope("x", "t", {a, b, b}).value();
  for (auto& one : envelope.signatures)
    one.key_id = b.public_key().key_id();
  CHECK(verified_by(envelope, trusted).size() == 2);
  envelope.signatures[0].signature = "bad";
  for (auto& one : envelope.signatures)
    one.key_id.clear();
  CHECK(verified_by(envelope, trusted) == std::vector<std::string>{b.public_key().key_id()});
  envelope.payload_type += "x";
  CHECK(verified_by(envelope, trusted).empty());
}

TEST_CASE("a trust file is PEM keys, or JSON with a threshold", "[catalog][unit]") {
  const std::string a = SigningKey::generate(KeyType::kEd25519).value().public_key().pem();
  const std::string b = SigningKey::generate(KeyType::kEcdsaP256).value().public_key().pem();
  const TrustRoot plain = TrustRoot::parse("# keys\n" + a + "\n" + b).value();
  CHECK(plain.keys.size() == 2);
  CHECK(plain.threshold == 1);
  const nlohmann::json object = {{"threshold", 2}, {"keys", {a, b}}};
  CHECK(TrustRoot::parse(object.dump()).value().threshold == 2);
  for (const std::string& text :
       {std::string(), std::string("hello"), a + a, a + b.substr(0, 90), std::string("{"),
        std::string("{}"), nlohmann::json{{"keys", nlohmann::json::array()}}.dump(),
        nlohmann::json{{"threshold", 3}, {"keys", {a, b}}}.dump(),
        nlohmann::json{{"threshold", 0}, {"keys", {a, b}}}.dump(),
        nlohmann::json{{"threshold", -1}, {"keys", {a, b}}}.dump(),
        nlohmann::json{{"keys", {a, 1}}}.dump()}) {
    INFO(text);
    CHECK(TrustRoot::parse(text).error().code == ErrorCode::kInvalidArgument);
  }
}
