// SPDX-License-Identifier: Apache-2.0
// Versions of the root, several signatures on one change, freshness marks, keys with a passphrase.
#include <catch2/catch.hpp>

#include "common/catalog/change_file.h"
#include "common/catalog/log.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

const SigningKey& key(std::size_t index) {
  static const std::vector<SigningKey> kKeys = [] {
    std::vector<SigningKey> keys;
    for (int i = 0; i < 4; ++i)
      keys.push_back(
          SigningKey::generate(i == 1 ? KeyType::kEcdsaP256 : KeyType::kEd25519).value());
    return keys;
  }();
  return kKeys[index];
}

std::vector<SigningKey> keys_of(const std::vector<std::size_t>& indexes) {
  std::vector<SigningKey> keys;
  for (const std::size_t index : indexes)
    keys.push_back(key(index));
  return keys;
}

Root root_with(std::uint64_t version, const std::vector<std::size_t>& keys,
               std::uint32_t threshold = 1) {
  Root root;
  root.version = version;
  root.issued_at = kNow;
  root.threshold = root.root_threshold = threshold;
  for (const std::size_t index : keys) {
    root.keys.push_back(key(index).public_key());
    root.owners[key(index).public_key().key_id()] = "person " + std::to_string(index);
  }
  return root;
}

std::string signed_root(const Root& root, const std::vector<std::size_t>& by) {
  return sign_envelope(to_in_toto(root), kInTotoPayloadType, keys_of(by)).value().to_json();
}

Result<TrustRoot> trust_of(const std::vector<std::string>& envelopes) {
  return TrustRoot::parse(RootFile{envelopes}.to_json());
}

/// A log with one more approval, signed by these keys.
void approve(SignedLog& log, Head& head, const std::string& id,
             const std::vector<std::size_t>& by) {
  Statement statement = next_statement(log, head, kNow);
  statement.base = id_of(id);
  statement.stacks = base(id, {id}).stacks;
  const SignedChange change = sign_change(statement, keys_of(by)).value();
  log.statements.push_back(change.statement);
  log.head = change.head;
  head = {statement.catalog_id, statement.sequence, statement_digest(change.statement).value(),
          kNow, kNow + kHeadLifetime};
}

}  // namespace

TEST_CASE("a root survives in-toto JSON whole", "[catalog][unit]") {
  Root root = root_with(3, {0, 1}, 2);
  root.reason = "Ann left";
  root.mark_keys = {key(2).public_key()};
  const Root read = root_from_in_toto(to_in_toto(root)).value();
  CHECK(to_in_toto(read) == to_in_toto(root));
  CHECK(read.owners == root.owners);
  CHECK(read.threshold == 2);
  CHECK(read.mark_keys.size() == 1);
}

TEST_CASE("a root file is trusted as far as old and new keys signed it", "[catalog][unit]") {
  const std::string one = signed_root(root_with(1, {0, 1}, 2), {0, 1});
  const auto second = [&](const std::vector<std::size_t>& by) {
    return trust_of({one, signed_root(root_with(2, {1, 2}, 2), by)});
  };
  CHECK(trust_of({one})->version == 1);
  const TrustRoot trust = second({0, 1, 2}).value();
  CHECK(trust.version == 2);
  CHECK(trust.earlier.size() == 1);
  CHECK(trust.keys[1].key_id() == key(2).public_key().key_id());
  CHECK(trust.owners.size() == 3);
  CHECK_THAT(second({1, 2}).error().message, Catch::Contains("keys of the version before it"));
  CHECK_THAT(second({0, 1}).error().message, Catch::Contains("keys of its own"));
  CHECK(second({}).error().code == ErrorCode::kUntrusted);
  CHECK(trust_of({signed_root(root_with(1, {0, 1}, 2), {0})}).error().code ==
        ErrorCode::kUntrusted);
}

TEST_CASE("versions of a root have no holes and begin with 1", "[catalog][unit]") {
  const std::string one = signed_root(root_with(1, {0}), {0});
  CHECK_THAT(trust_of({one, signed_root(root_with(3, {0}), {0})}).error().message,
             Catch::Contains("the versions between are missing"));
  CHECK(trust_of({signed_root(root_with(2, {0}), {0})}).error().code == ErrorCode::kUntrusted);
  CHECK(trust_of({one, one}).value().version == 1);  // what is known is skipped
}

TEST_CASE("a list of keys is followed by a root that they sign", "[catalog][unit]") {
  const TrustRoot pinned{1, {key(0).public_key()}};
  CHECK(extend_trust(pinned, {signed_root(root_with(1, {1}), {0, 1})}).value().version == 1);
  CHECK(extend_trust(pinned, {signed_root(root_with(1, {1}), {1})}).error().code ==
        ErrorCode::kUntrusted);
}

TEST_CASE("history by old keys counts, a head by old keys does not", "[catalog][unit]") {
  const TrustRoot pinned{1, {key(0).public_key()}};
  SignedLog log;
  Head head;
  approve(log, head, "debian:12", {0});
  log.roots = {signed_root(root_with(1, {1}), {0, 1})};
  CHECK_THAT(verify_log(log, pinned).error().message, Catch::Contains("head: 0 good signatures"));
  log.head = sign_new_head(head, kNow, {key(1)}).value().head;
  const VerifiedLog renewed = verify_log(log, pinned).value();
  CHECK(renewed.trust.version == 1);
  CHECK(renewed.signers[0] == std::vector<std::string>{key(0).public_key().key_id()});
  approve(log, head, "debian:13", {1});
  CHECK(verify_log(log, pinned));
  SignedLog backwards = log;  // the old key signs after the new one did
  approve(backwards, head, "debian:14", {0});
  backwards.head = sign_new_head(head, kNow, {key(1)}).value().head;
  CHECK_THAT(verify_log(backwards, pinned).error().message, Catch::Contains("entry 3"));
}

TEST_CASE("two people sign one change one after the other", "[catalog][unit]") {
  TrustRoot trust{2, {key(0).public_key(), key(1).public_key(), key(2).public_key()}};
  SignedLog log;
  Head head;
  approve(log, head, "debian:12", {0});
  CHECK_FALSE(verify_log(log, trust));
  ChangeFile file{{log.statements[0], log.head}, {"a file set"}};
  file = ChangeFile::from_json(file.to_json()).value();
  CHECK(file.file_sets == std::vector<std::string>{"a file set"});
  CHECK(add_signature(file.change.statement, key(0)).error().code == ErrorCode::kAlreadyExists);
  log.statements[0] = add_signature(file.change.statement, key(1)).value();
  CHECK_THAT(verify_log(log, trust).error().message, Catch::Contains("head"));
  log.head = add_signature(file.change.head, key(1)).value();
  const VerifiedLog verified = verify_log(log, trust).value();
  CHECK(verified.signers[0].size() == 2);
}

TEST_CASE("a change file that is none is refused", "[catalog][unit]") {
  CHECK(ChangeFile::from_json("{").error().code == ErrorCode::kCorrupt);
  CHECK(ChangeFile::from_json(R"({"format":"assay-change","version":2,"head":"x"})").error().code ==
        ErrorCode::kUnsupported);
  CHECK(ChangeFile::from_json(R"({"format":"assay-change","version":1,"head":"x","y":1})")
            .error()
            .code == ErrorCode::kCorrupt);
}

TEST_CASE("a mark is believed from a collector's key and for a day", "[catalog][unit]") {
  TrustRoot trust{1, {key(0).public_key()}};
  trust.mark_keys = {key(2).public_key()};
  const Head head{
      std::string(32, 'a'), 3, {}, kNow - std::chrono::hours(5), kNow + std::chrono::hours(500)};
  const Head mark = verify_mark(sign_mark(head, kNow, key(2)).value(), trust).value();
  CHECK(mark.sequence == 3);
  CHECK(mark.issued_at == kNow);
  CHECK(mark.expires_at == kNow + kMarkLifetime);
  CHECK(verify_mark(sign_mark(head, kNow, key(0)).value(), trust).error().code ==
        ErrorCode::kUntrusted);
  const std::string too_long =
      sign_envelope(mark_to_in_toto(head), kInTotoPayloadType, {key(2)}).value().to_json();
  CHECK_THAT(verify_mark(too_long, trust).error().message, Catch::Contains("longer than a day"));
  CHECK(verify_mark(sign_head(head, {key(2)}).value(), trust).error().code ==
        ErrorCode::kUnsupported);
}

TEST_CASE("a mark key signs neither statements nor heads", "[catalog][unit]") {
  TrustRoot trust{1, {key(0).public_key()}};
  trust.mark_keys = {key(2).public_key()};
  SignedLog log;
  Head head;
  approve(log, head, "debian:12", {2});
  CHECK(verify_log(log, trust).error().code == ErrorCode::kUntrusted);
}

TEST_CASE("keys survive PKCS #8 with a passphrase", "[catalog][unit]") {
  for (const std::size_t index : {0U, 1U}) {
    const std::string pem = key(index).private_pem("correct horse");
    CHECK_THAT(pem, Catch::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    CHECK(SigningKey::from_pem(pem, "correct horse").value().public_key().key_id() ==
          key(index).public_key().key_id());
    CHECK(SigningKey::from_pem(pem, "wrong").error().code == ErrorCode::kInvalidArgument);
    CHECK(SigningKey::from_pem(pem).error().code == ErrorCode::kInvalidArgument);
  }
}
