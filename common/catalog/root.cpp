// SPDX-License-Identifier: Apache-2.0
// Source: The Update Framework specification, 5.3 "Update the root role".
#include "common/catalog/root.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/json_reader.h"
#include "common/catalog/log.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kRootPredicate = "urn:assay:catalog:root:v1";
constexpr std::size_t kMaxRootBytes = 1 << 20;
constexpr std::size_t kMaxFileBytes = 16 << 20;
constexpr std::size_t kMaxPemBytes = 16 << 10;
constexpr std::size_t kMaxOwnerBytes = 255;

Error untrusted(std::string message) {
  return Error{ErrorCode::kUntrusted, std::move(message)};
}

/// What the root is about, as one digest: in-toto wants a subject.
Sha256 subject_digest(const Root& root) {
  std::string fields;
  append_field(fields, std::string_view("assay-root"));
  append_field(fields, std::string_view("1"));
  append_field(fields, root.version);
  append_field(fields, std::uint64_t{root.threshold});
  append_field(fields, std::uint64_t{root.root_threshold});
  for (const auto* keys : {&root.keys, &root.mark_keys}) {
    append_field(fields, std::uint64_t{keys->size()});
    for (const PublicKey& key : *keys)
      append_field(fields, key.key_id());
  }
  return sha256(fields);
}

json subject_json(const Root& root) {
  return json::array({{{"name", "root"}, {"digest", {{"sha256", subject_digest(root).hex()}}}}});
}

json keys_json(const Root& root, const std::vector<PublicKey>& keys) {
  json list = json::array();
  for (const PublicKey& key : keys) {
    json object = {{"public_key", key.pem()}};
    const auto owner = root.owners.find(key.key_id());
    if (owner != root.owners.end()) object["owner"] = owner->second;
    list.push_back(std::move(object));
  }
  return list;
}

std::vector<PublicKey> read_keys(JsonReader& reader, const char* name, bool is_required, Root& root,
                                 std::optional<Error>& fault) {
  std::vector<PublicKey> keys;
  for (const json& object : reader.array(name, is_required, kMaxKeys)) {
    JsonReader one(object, std::string(name) + "[" + std::to_string(keys.size()) + "]", fault);
    const std::string pem = one.text("public_key", true, kMaxPemBytes);
    const std::string owner = one.text("owner", false, kMaxOwnerBytes);
    one.expect_no_more();
    if (fault) return {};
    auto key = PublicKey::from_pem(pem);
    if (!key) {
      one.fail("public_key", "is none: " + key.error().message);
      return {};
    }
    for (const PublicKey& known : keys)
      if (known.key_id() == key->key_id()) one.fail("public_key", "is there twice");
    if (!owner.empty()) root.owners.emplace(key->key_id(), owner);
    keys.push_back(std::move(*key));
  }
  return keys;
}

Root read_root(const json& predicate, std::optional<Error>& fault) {
  JsonReader reader(predicate, "root", fault);
  Root root;
  root.version = reader.number("version", true, kMaxRoots);
  if (root.version == 0) reader.fail("version", "begins at 1");
  root.issued_at = reader.time("issued_at", true).value_or(WallTime{});
  root.reason = reader.text("reason", false, kMaxTextBytes);
  root.threshold = static_cast<std::uint32_t>(reader.number("threshold", true, kMaxKeys));
  root.root_threshold = static_cast<std::uint32_t>(reader.number("root_threshold", true, kMaxKeys));
  root.keys = read_keys(reader, "keys", true, root, fault);
  root.mark_keys = read_keys(reader, "mark_keys", false, root, fault);
  reader.expect_no_more();
  for (const auto& [name, threshold] :
       {std::pair{"threshold", root.threshold}, {"root_threshold", root.root_threshold}})
    if (threshold == 0 || threshold > root.keys.size())
      reader.fail(name, "is not between 1 and the number of keys");
  return root;
}

Result<Root> parse_root(std::string_view text) {
  std::optional<Error> fault;
  const json object = json::parse(text.begin(), text.end());
  JsonReader reader(object, "statement", fault);
  if (reader.text("_type", true, 255) != kStatementType)
    reader.fail("_type", "is not in-toto Statement v1");
  if (reader.text("predicateType", true, 255) != kRootPredicate)
    reader.fail("predicateType", "is not " + std::string(kRootPredicate), ErrorCode::kUnsupported);
  const json* predicate = reader.member("predicate", true);
  if (fault) return *std::move(fault);
  Root root = read_root(*predicate, fault);
  const json* subject = reader.member("subject", true);
  if (!fault && *subject != subject_json(root))
    reader.fail("subject", "is not what the predicate speaks of");
  if (fault) return *std::move(fault);
  return root;
}

struct OpenedRoot {
  Envelope envelope;
  Root root;
};

Result<OpenedRoot> open_root(std::string_view bytes) {
  ASSAY_ASSIGN(Envelope envelope, Envelope::from_json(bytes));
  if (envelope.payload_type != kInTotoPayloadType)
    return Error{ErrorCode::kCorrupt, "its payload is not an in-toto statement"};
  ASSAY_ASSIGN(Root root, root_from_in_toto(envelope.payload));
  return OpenedRoot{std::move(envelope), std::move(root)};
}

Result<void> expect_signatures(std::size_t count, std::uint32_t needed, std::uint64_t version,
                               std::string_view whose) {
  if (count >= needed) return ok();
  return untrusted("version " + std::to_string(version) + " has " + std::to_string(count) +
                   " good signatures by keys of " + std::string(whose) + ", " +
                   std::to_string(needed) + " needed");
}

std::uint32_t needed_of(const TrustRoot& trust) {
  return trust.root_threshold == 0 ? trust.threshold : trust.root_threshold;
}

/// `trust` gives way to `opened`, which is its next version. Without keys it is only asked that the
/// version signs for itself.
Result<void> advance(TrustRoot& trust, const OpenedRoot& opened, const std::string& bytes) {
  const Root& root = opened.root;
  if (root.version != trust.version + 1)
    return untrusted("version " + std::to_string(root.version) + " does not follow version " +
                     std::to_string(trust.version) + ": the versions between are missing");
  if (!trust.keys.empty()) {
    ASSAY_TRY(expect_signatures(verified_by(opened.envelope, trust.keys).size(), needed_of(trust),
                                root.version, "the version before it"));
    trust.earlier.push_back({trust.threshold, std::move(trust.keys)});
  }
  ASSAY_TRY(expect_signatures(verified_by(opened.envelope, root.keys).size(), root.root_threshold,
                              root.version, "its own"));
  trust.version = root.version;
  trust.threshold = root.threshold;
  trust.root_threshold = root.root_threshold;
  trust.keys = root.keys;
  trust.mark_keys = root.mark_keys;
  for (const auto& [id, owner] : root.owners)
    trust.owners[id] = owner;
  trust.roots.push_back(bytes);
  return ok();
}

}  // namespace

std::string to_in_toto(const Root& root) {
  json predicate = {{"version", root.version},
                    {"issued_at", to_rfc3339(root.issued_at, 9)},
                    {"threshold", root.threshold},
                    {"root_threshold", root.root_threshold},
                    {"keys", keys_json(root, root.keys)}};
  if (!root.reason.empty()) predicate["reason"] = root.reason;
  if (!root.mark_keys.empty()) predicate["mark_keys"] = keys_json(root, root.mark_keys);
  const json object = {{"_type", kStatementType},
                       {"subject", subject_json(root)},
                       {"predicateType", kRootPredicate},
                       {"predicate", std::move(predicate)}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Root> root_from_in_toto(std::string_view text) {
  if (text.size() > kMaxRootBytes)
    return Error{ErrorCode::kLimitExceeded, "a root is larger than 1 MiB"};
  try {
    return parse_root(text);
  } catch (const json::exception& error) {
    return Error{ErrorCode::kCorrupt, "not JSON: " + escape_untrusted(error.what(), 200)};
  }
}

std::vector<KeySet> TrustRoot::key_sets() const {
  std::vector<KeySet> sets = earlier;
  sets.push_back({threshold, keys});
  return sets;
}

Result<TrustRoot> extend_trust(const TrustRoot& trust, const std::vector<std::string>& envelopes) {
  if (envelopes.size() > kMaxRoots)
    return Error{ErrorCode::kLimitExceeded, "there are more than 128 versions of the root"};
  TrustRoot extended = trust;
  for (const std::string& bytes : envelopes) {
    ASSAY_ASSIGN(const OpenedRoot opened, open_root(bytes));
    if (opened.root.version <= extended.version) continue;
    ASSAY_TRY(advance(extended, opened, bytes));
  }
  return extended;
}

std::string RootFile::to_json() const {
  const json object = {{"roots", envelopes}};
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<RootFile> RootFile::from_json(std::string_view text) {
  if (text.size() > kMaxFileBytes)
    return Error{ErrorCode::kLimitExceeded, "the root file is larger than 16 MiB"};
  const json object = json::parse(text.begin(), text.end(), nullptr, false);
  std::optional<Error> fault;
  JsonReader reader(object, "root file", fault);
  RootFile file;
  for (const json& envelope : reader.array("roots", true, kMaxRoots)) {
    if (!envelope.is_string()) {
      reader.fail("roots", "holds something but text");
      break;
    }
    file.envelopes.push_back(envelope.get<std::string>());
  }
  reader.expect_no_more();
  if (file.envelopes.empty()) reader.fail("roots", "is empty");
  if (fault) return *std::move(fault);
  return file;
}

Result<TrustRoot> RootFile::before_last() const {
  ASSAY_ASSERT(!envelopes.empty());
  return extend_trust(TrustRoot{}, {envelopes.begin(), envelopes.end() - 1});
}

Result<Root> RootFile::last() const {
  ASSAY_ASSERT(!envelopes.empty());
  ASSAY_ASSIGN(OpenedRoot opened, open_root(envelopes.back()));
  return std::move(opened.root);
}

Result<RootSignatures> RootFile::signatures() const {
  ASSAY_ASSIGN(const TrustRoot before, before_last());
  ASSAY_ASSIGN(const OpenedRoot opened, open_root(envelopes.back()));
  return RootSignatures{verified_by(opened.envelope, before.keys),
                        verified_by(opened.envelope, opened.root.keys)};
}

}  // namespace assay::catalog
