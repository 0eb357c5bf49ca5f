// SPDX-License-Identifier: Apache-2.0
// Source: sigstore/protobuf-specs, protos/sigstore_bundle.proto and sigstore_common.proto.
#include "common/catalog/bundle.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::string_view kMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::array<std::string_view, 4> kMediaTypes{
    kMediaType, "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1"};
constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxSubjects = 1024;
constexpr std::size_t kMaxShownBytes = 200;

Error corrupt(std::string message) {
  return Error{ErrorCode::kCorrupt, "this is no Sigstore bundle: " + std::move(message)};
}

Error untrusted(std::string message) {
  return Error{ErrorCode::kUntrusted, std::move(message)};
}

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const std::string* text_member(const json& object, const char* name) {
  const json* found = member(object, name);
  return found == nullptr ? nullptr : found->get_ptr<const std::string*>();
}

Result<std::string> base64_member(const json& object, const char* name) {
  const std::string* text = text_member(object, name);
  if (text == nullptr) return corrupt("\"" + std::string(name) + "\" is missing");
  auto bytes = from_base64(*text);
  if (!bytes) return corrupt("\"" + std::string(name) + "\" is not base64");
  return bytes;
}

Result<void> read_media_type(const json& object, Bundle& bundle) {
  const std::string* type = text_member(object, "mediaType");
  if (type == nullptr) return corrupt("\"mediaType\" is missing");
  if (std::find(kMediaTypes.begin(), kMediaTypes.end(), *type) == kMediaTypes.end())
    return Error{ErrorCode::kUnsupported, "bundles of type " +
                                              escape_untrusted(*type, kMaxShownBytes) +
                                              " are not known here (0.1, 0.2 and 0.3 are)"};
  bundle.media_type = *type;
  return ok();
}

Result<void> read_material(const json& object, Bundle& bundle) {
  const json* material = member(object, "verificationMaterial");
  if (material == nullptr) return corrupt("\"verificationMaterial\" is missing");
  const json* key = member(*material, "publicKey");
  const bool has_chain = member(*material, "x509CertificateChain") != nullptr;
  const bool has_leaf = member(*material, "certificate") != nullptr;
  if ((key != nullptr ? 1 : 0) + (has_chain ? 1 : 0) + (has_leaf ? 1 : 0) != 1)
    return corrupt("it needs a public key or a certificate, and one only");
  bundle.has_certificate = key == nullptr;
  if (key == nullptr) return ok();
  if (!key->is_object()) return corrupt("\"publicKey\" is not an object");
  if (const std::string* hint = text_member(*key, "hint")) bundle.key_hint = *hint;
  return ok();
}

Result<void> read_blob_signature(const json& object, Bundle& bundle) {
  ASSAY_ASSIGN(bundle.signature, base64_member(object, "signature"));
  const json* digest = member(object, "messageDigest");
  if (digest == nullptr) return ok();
  const std::string* algorithm = text_member(*digest, "algorithm");
  if (algorithm == nullptr || *algorithm != "SHA2_256") return ok();  // identifies, proves nothing
  ASSAY_ASSIGN(bundle.message_digest, base64_member(*digest, "digest"));
  return ok();
}

Result<void> read_envelope(const json& object, Bundle& bundle) {
  ASSAY_ASSIGN(Envelope envelope, Envelope::from_json(object.dump()));
  if (envelope.signatures.size() != 1)
    return corrupt("its envelope has " + std::to_string(envelope.signatures.size()) +
                   " signatures; a bundle has exactly one");
  const std::string& key_id = envelope.signatures.front().key_id;
  if (!key_id.empty() && !bundle.key_hint.empty() && key_id != bundle.key_hint)
    return corrupt("the envelope's \"keyid\" is another than the bundle's \"hint\"");
  bundle.envelope = std::move(envelope);
  return ok();
}

Result<Bundle> read_bundle(const json& object) {
  Bundle bundle;
  ASSAY_TRY(read_media_type(object, bundle));
  ASSAY_TRY(read_material(object, bundle));
  const json* blob = member(object, "messageSignature");
  const json* envelope = member(object, "dsseEnvelope");
  if ((blob != nullptr) == (envelope != nullptr))
    return corrupt("it needs \"messageSignature\" or \"dsseEnvelope\", and one only");
  if (blob != nullptr)
    ASSAY_TRY(read_blob_signature(*blob, bundle));
  else
    ASSAY_TRY(read_envelope(*envelope, bundle));
  return bundle;
}

struct InToto {
  BundleContent content;
  std::vector<std::string> digests;  // SHA-256 of the subjects, hex
};

Result<InToto> read_in_toto(const std::string& payload) {
  const json object = json::parse(payload.begin(), payload.end(), nullptr, false);
  const std::string* predicate = text_member(object, "predicateType");
  const json* subjects = member(object, "subject");
  if (predicate == nullptr || subjects == nullptr || !subjects->is_array() ||
      subjects->size() > kMaxSubjects)
    return Error{ErrorCode::kCorrupt, "the bundle's payload is no in-toto statement"};
  InToto read;
  read.content.predicate_type = *predicate;
  for (const json& subject : *subjects) {
    const json* digest = member(subject, "digest");
    const std::string* sha = digest == nullptr ? nullptr : text_member(*digest, "sha256");
    if (sha == nullptr) continue;  // known by another kind of digest
    const std::string* name = text_member(subject, "name");
    read.digests.push_back(*sha);
    read.content.subjects.push_back((name == nullptr ? "" : *name) + " sha256:" + *sha);
  }
  return read;
}

Result<BundleContent> verify_envelope(const Envelope& envelope, const PublicKey& key,
                                      const std::optional<std::string>& artifact) {
  if (verified_by(envelope, {key}).empty())
    return untrusted("its signature is not one by this key over this payload");
  if (envelope.payload_type != kInTotoPayloadType) return BundleContent{};
  ASSAY_ASSIGN(InToto read, read_in_toto(envelope.payload));
  if (!artifact) return std::move(read.content);
  const std::string digest = sha256(*artifact).hex();
  if (std::find(read.digests.begin(), read.digests.end(), digest) == read.digests.end())
    return untrusted(
        "the signature is good, but the statement is about something else than sha256:" + digest);
  return std::move(read.content);
}

}  // namespace

Result<Bundle> Bundle::from_json(std::string_view text) {
  if (text.size() > kMaxBundleBytes)
    return Error{ErrorCode::kLimitExceeded, "the bundle is larger than 32 MiB"};
  bool is_deep = false;
  const json object = json::parse(
      text.begin(), text.end(),
      [&](int depth, json::parse_event_t, const json&) {
        is_deep = is_deep || depth > kMaxDepth;
        return !is_deep;
      },
      /*allow_exceptions=*/false);
  if (is_deep || !object.is_object()) return corrupt("it is no JSON object, or a truncated one");
  return read_bundle(object);
}

Result<std::string> make_bundle(const Envelope& envelope, const PublicKey& signer) {
  for (const Envelope::Signature& one : envelope.signatures) {
    const Envelope alone{envelope.payload, envelope.payload_type, {{"", one.signature}}};
    if (verified_by(alone, {signer}).empty()) continue;
    const std::string hint = to_base64(from_hex(signer.key_id()).value());
    const json object = {
        {"mediaType", kMediaType},
        {"verificationMaterial", {{"publicKey", {{"hint", hint}}}, {"tlogEntries", json::array()}}},
        {"dsseEnvelope", json::parse(alone.to_json())}};
    return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  return Error{ErrorCode::kNotFound,
               "key " + signer.key_id().substr(0, 12) + " has not signed this statement"};
}

Result<BundleContent> verify_bundle(const Bundle& bundle, const PublicKey& key,
                                    const std::optional<std::string>& artifact) {
  if (bundle.has_certificate)
    return Error{ErrorCode::kUnsupported,
                 "the bundle was signed with a certificate (keyless); only bundles that were "
                 "signed with a key can be verified here"};
  if (bundle.envelope) return verify_envelope(*bundle.envelope, key, artifact);
  if (!artifact)
    return Error{ErrorCode::kInvalidArgument,
                 "the bundle signs a blob: say which one with --artifact FILE"};
  if (bundle.message_digest && *bundle.message_digest != sha256(*artifact).raw())
    return untrusted("the bundle is of another file: the digests differ");
  if (!key.verify(*artifact, *bundle.signature))
    return untrusted("its signature is not one by this key over this file");
  return BundleContent{};
}

}  // namespace assay::catalog
