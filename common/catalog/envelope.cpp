// SPDX-License-Identifier: Apache-2.0
// DSSE envelopes: secure-systems-lab/dsse v1.0.2, protocol.md and envelope.md.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/catalog/signing.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxEnvelopeBytes = 16 << 20;
constexpr std::size_t kMaxSignatures = 64;

Error corrupt(std::string message) {
  return Error{ErrorCode::kCorrupt, "not a DSSE envelope: " + std::move(message)};
}

/// The bytes that are signed: lengths in decimal, so that type and payload cannot run together.
std::string pre_authentication_encoding(std::string_view type, std::string_view payload) {
  std::string encoded = "DSSEv1 " + std::to_string(type.size()) + " ";
  encoded += type;
  encoded += " " + std::to_string(payload.size()) + " ";
  encoded += payload;
  return encoded;
}

const std::string* string_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_string() ? nullptr
                                                      : found->get_ptr<const std::string*>();
}

Result<Envelope::Signature> read_signature(const json& object) {
  if (!object.is_object()) return corrupt("a signature is not an object");
  const std::string* text = string_member(object, "sig");
  if (text == nullptr) return corrupt("a signature lacks \"sig\"");
  auto bytes = from_base64(*text);
  if (!bytes) return corrupt("\"sig\" is not base64");
  const std::string* key_id = string_member(object, "keyid");
  return Envelope::Signature{key_id == nullptr ? "" : *key_id, std::move(*bytes)};
}

Result<Envelope> read_envelope(const json& object) {
  if (!object.is_object()) return corrupt("it is not a JSON object");
  const std::string* payload = string_member(object, "payload");
  const std::string* type = string_member(object, "payloadType");
  const auto signatures = object.find("signatures");
  if (payload == nullptr) return corrupt("\"payload\" is missing");
  if (type == nullptr) return corrupt("\"payloadType\" is missing");
  if (signatures == object.end() || !signatures->is_array())
    return corrupt("\"signatures\" is missing");
  if (signatures->size() > kMaxSignatures)
    return Error{ErrorCode::kLimitExceeded, "an envelope has more than 64 signatures"};
  auto bytes = from_base64(*payload);
  if (!bytes) return corrupt("\"payload\" is not base64");
  Envelope envelope{std::move(*bytes), *type, {}};
  for (const json& object_of_one : *signatures) {
    ASSAY_ASSIGN(Envelope::Signature signature, read_signature(object_of_one));
    envelope.signatures.push_back(std::move(signature));
  }
  return envelope;
}

}  // namespace

std::string Envelope::to_json() const {
  json list = json::array();
  for (const Signature& one : signatures)
    list.push_back({{"keyid", one.key_id}, {"sig", to_base64(one.signature)}});
  const json object = {
      {"payload", to_base64(payload)}, {"payloadType", payload_type}, {"signatures", list}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Envelope> Envelope::from_json(std::string_view text) {
  if (text.size() > kMaxEnvelopeBytes)
    return Error{ErrorCode::kLimitExceeded, "an envelope is larger than 16 MiB"};
  try {
    return read_envelope(json::parse(text.begin(), text.end()));
  } catch (const json::exception& error) {
    return corrupt(escape_untrusted(error.what(), 200));
  }
}

Result<Envelope> sign_envelope(std::string payload, std::string_view payload_type,
                               const std::vector<SigningKey>& keys) {
  const std::string message = pre_authentication_encoding(payload_type, payload);
  Envelope envelope{std::move(payload), std::string(payload_type), {}};
  for (const SigningKey& key : keys) {
    ASSAY_ASSIGN(std::string signature, key.sign(message));
    envelope.signatures.push_back({key.public_key().key_id(), std::move(signature)});
  }
  return envelope;
}

Result<std::string> add_signature(std::string_view bytes, const SigningKey& key) {
  ASSAY_ASSIGN(Envelope envelope, Envelope::from_json(bytes));
  if (!verified_by(envelope, {key.public_key()}).empty())
    return Error{
        ErrorCode::kAlreadyExists,
        "it has a signature by key " + key.public_key().key_id().substr(0, 12) + " already"};
  if (envelope.signatures.size() >= kMaxSignatures)
    return Error{ErrorCode::kLimitExceeded, "an envelope has more than 64 signatures"};
  ASSAY_ASSIGN(std::string signature,
               key.sign(pre_authentication_encoding(envelope.payload_type, envelope.payload)));
  envelope.signatures.push_back({key.public_key().key_id(), std::move(signature)});
  return envelope.to_json();
}

std::vector<std::string> verified_by(const Envelope& envelope,
                                     const std::vector<PublicKey>& trusted) {
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  std::vector<std::string> verified;
  const auto try_key = [&](const PublicKey& key, const Envelope::Signature& one) {
    const bool is_counted =
        std::find(verified.begin(), verified.end(), key.key_id()) != verified.end();
    if (is_counted || !key.verify(message, one.signature)) return false;
    verified.push_back(key.key_id());
    return true;
  };
  for (const Envelope::Signature& one : envelope.signatures) {
    // The hint only saves work: a wrong one costs time, never a signature.
    const auto hinted = std::find_if(trusted.begin(), trusted.end(), [&](const PublicKey& key) {
      return key.key_id() == one.key_id;
    });
    if (hinted != trusted.end() && try_key(*hinted, one)) continue;
    for (const PublicKey& key : trusted)
      if (try_key(key, one)) break;
  }
  return verified;
}

}  // namespace assay::catalog
