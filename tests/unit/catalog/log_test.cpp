// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>

#include "common/base/sha256.h"
#include "common/catalog/log.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00.123456789Z").value();

const SigningKey& key(std::size_t index) {
  static const std::vector<SigningKey> kKeys = [] {
    std::vector<SigningKey> keys;
    for (int i = 0; i < 3; ++i)
      keys.push_back(
          SigningKey::generate(i == 1 ? KeyType::kEcdsaP256 : KeyType::kEd25519).value());
    return keys;
  }();
  return kKeys[index];
}

TrustRoot trust_of(std::vector<std::size_t> indexes, std::uint32_t threshold = 1) {
  TrustRoot trust;
  trust.threshold = threshold;
  for (const std::size_t index : indexes)
    trust.keys.push_back(key(index).public_key());
  return trust;
}

/// A log under construction.
struct Writer {
  SignedLog log;
  Head head;
  std::vector<SigningKey> keys = {key(0)};

  Statement next() { return next_statement(log, head, kNow); }
  /// Signs whatever it is given: what is legal is for the reader to say.
  void add(const Statement& statement) {
    SignedChange change = sign_change(statement, keys).value();
    log.statements.push_back(change.statement);
    log.head = change.head;
    head = {statement.catalog_id, statement.sequence, statement_digest(change.statement).value(),
            kNow, kNow + kHeadLifetime};
  }
  void approve(const std::string& id, const std::vector<std::string>& layers) {
    Statement statement = next();
    statement.base = id_of(id);
    statement.stacks = base(id, layers).stacks;
    statement.reason = "for tests";
    add(statement);
  }
  void change(Action action, const std::string& id, const std::string& reason = "") {
    Statement statement = next();
    statement.action = action;
    statement.base = id_of(id);
    statement.reason = reason;
    add(statement);
  }
};

Writer three_entries() {
  Writer writer;
  writer.approve("debian:12", {"D"});
  writer.approve("java:17", {"D", "J"});
  writer.change(Action::kRevoke, "debian:12", "CVE");
  return writer;
}

Error refusal(const SignedLog& log, const TrustRoot& trust = trust_of({0})) {
  auto verified = verify_log(log, trust);
  return verified ? Error{ErrorCode::kInternal, "accepted"} : verified.error();
}

/// `envelope` with its payload changed in place and the signatures kept.
std::string with_payload(const std::string& envelope, const std::string& from,
                         const std::string& to) {
  Envelope opened = Envelope::from_json(envelope).value();
  const std::size_t at = opened.payload.find(from);
  REQUIRE(at != std::string::npos);
  opened.payload.replace(at, from.size(), to);
  return opened.to_json();
}

}  // namespace

TEST_CASE("an empty log is an empty catalog", "[catalog][unit]") {
  const VerifiedLog verified = verify_log({}, trust_of({0})).value();
  CHECK(verified.catalog.sequence() == 0);
  CHECK(verified.catalog.bases().empty());
  CHECK_FALSE(is_stale(verified.head, kNow));
}

TEST_CASE("a log replays into bases with their last change", "[catalog][unit]") {
  const Writer writer = three_entries();
  const VerifiedLog verified = verify_log(writer.log, trust_of({0})).value();
  CHECK(verified.catalog.sequence() == 3);
  CHECK(verified.catalog.id() == writer.head.catalog_id);
  CHECK(verified.history.size() == 3);
  const Base* debian = verified.catalog.find(id_of("debian:12"));
  REQUIRE(debian != nullptr);
  CHECK(debian->status == BaseStatus::kRevoked);
  CHECK(debian->reason == "CVE");
  CHECK(debian->changed_in == 3);
  CHECK(debian->changed_at == kNow);
  CHECK(debian->changed_by == key(0).public_key().key_id());
  REQUIRE(debian->stacks.size() == 1);
  CHECK(debian->stacks[0].layers[0].content == content("D"));
  CHECK(verified.catalog.find(id_of("java:17"))->status == BaseStatus::kApproved);
  CHECK(verified.head.expires_at == kNow + kHeadLifetime);
}

TEST_CASE("whatever is done to a log is refused", "[catalog][unit]") {
  struct Row {
    const char* name;
    std::function<void(SignedLog&)> tamper;
    ErrorCode code;
    const char* says;
  };
  using E = ErrorCode;
  const Writer other = three_entries();
  const std::string older_head = [] {
    Writer writer;
    writer.approve("debian:12", {"D"});
    return writer.log.head;
  }();
  const Row rows[] = {
      {"one word of a payload",
       [](SignedLog& l) { l.statements[2] = with_payload(l.statements[2], "revoke", "approv"); },
       E::kUntrusted, "entry 3: 0 good signatures"},
      {"one bit of a signature",
       [](SignedLog& l) {
         Envelope opened = Envelope::from_json(l.statements[1]).value();
         opened.signatures[0].signature[5] ^= 1;
         l.statements[1] = opened.to_json();
       },
       E::kUntrusted, "entry 2: 0 good signatures"},
      {"no signature",
       [](SignedLog& l) {
         Envelope opened = Envelope::from_json(l.statements[1]).value();
         opened.signatures.clear();
         l.statements[1] = opened.to_json();
       },
       E::kUntrusted, "entry 2: 0 good signatures"},
      {"the payload type",
       [](SignedLog& l) {
         Envelope opened = Envelope::from_json(l.statements[0]).value();
         opened.payload_type = "text/plain";
         l.statements[0] = opened.to_json();
       },
       E::kCorrupt, "entry 1"},
      {"an entry is cut off in the middle",
       [](SignedLog& l) { l.statements[1].resize(l.statements[1].size() / 2); }, E::kCorrupt,
       "entry 2"},
      {"an entry is dropped from the middle",
       [](SignedLog& l) { l.statements.erase(l.statements.begin() + 1); }, E::kUntrusted,
       "entry 2: it has sequence 3"},
      {"the first entry is dropped", [](SignedLog& l) { l.statements.erase(l.statements.begin()); },
       E::kUntrusted, "entry 1: it has sequence 2"},
      {"two entries change places",
       [](SignedLog& l) { std::swap(l.statements[0], l.statements[1]); }, E::kUntrusted, "entry 1"},
      {"an entry is there twice", [](SignedLog& l) { l.statements.push_back(l.statements.back()); },
       E::kUntrusted, "entry 4"},
      {"the revocation is cut off", [](SignedLog& l) { l.statements.pop_back(); }, E::kUntrusted,
       "the log was shortened"},
      {"all entries are cut off", [](SignedLog& l) { l.statements.clear(); }, E::kUntrusted,
       "the log is empty"},
      {"the head is missing", [](SignedLog& l) { l.head.clear(); }, E::kUntrusted,
       "head: it is missing"},
      {"the head is older", [&](SignedLog& l) { l.head = older_head; }, E::kUntrusted,
       "another catalog"},
      {"the head's date is moved",
       [](SignedLog& l) { l.head = with_payload(l.head, "2026-07-01", "2027-07-01"); },
       E::kUntrusted, "head: 0 good signatures"},
      {"an entry of another catalog",
       [&](SignedLog& l) { l.statements[1] = other.log.statements[1]; }, E::kUntrusted,
       "entry 2: it belongs to another catalog"},
      {"a statement stands where the head belongs", [](SignedLog& l) { l.head = l.statements[2]; },
       E::kUnsupported, "head"},
      {"a head stands where a statement belongs", [](SignedLog& l) { l.statements[0] = l.head; },
       E::kUnsupported, "entry 1"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    SignedLog log = three_entries().log;
    REQUIRE(verify_log(log, trust_of({0})));
    row.tamper(log);
    const Error error = refusal(log);
    INFO(error.message);
    CHECK(to_string(error.code) == to_string(row.code));
    CHECK_THAT(error.message, Catch::Contains(row.says));
  }
}

TEST_CASE("a head of an earlier entry does not stand for a longer log", "[catalog][unit]") {
  Writer writer;
  writer.approve("debian:12", {"D"});
  const std::string first_head = writer.log.head;
  writer.approve("java:17", {"D", "J"});
  writer.log.head = first_head;
  CHECK_THAT(refusal(writer.log).message, Catch::Contains("the head is old"));
}

TEST_CASE("bytes all over an entry count, but for the hint whose key it was", "[catalog][unit]") {
  Writer writer;
  writer.approve("debian:12", {"D"});
  const std::string& entry = writer.log.statements[0];
  const std::size_t hint = entry.find(key(0).public_key().key_id());
  REQUIRE(hint != std::string::npos);
  for (std::size_t at = 0; at < writer.log.statements[0].size(); at += 5) {
    SignedLog log = writer.log;
    log.statements[0][at] = static_cast<char>(log.statements[0][at] ^ 1);
    INFO("byte " << at);
    const auto is_in = [&](std::size_t begin, std::size_t size) {
      return at >= begin && at < begin + size;
    };
    const bool is_hint = is_in(hint, key(0).public_key().key_id().size()) ||
                         is_in(entry.find("keyid"), std::string_view("keyid").size());
    CHECK(verify_log(log, trust_of({0})).has_value() == is_hint);
  }
}

TEST_CASE("only pinned keys count, and as many as the threshold asks for", "[catalog][unit]") {
  Writer writer;
  writer.keys = {key(0), key(1)};
  writer.approve("debian:12", {"D"});
  CHECK(verify_log(writer.log, trust_of({0, 1, 2}, 2)));
  CHECK(verify_log(writer.log, trust_of({1})));
  CHECK(refusal(writer.log, trust_of({2})).code == ErrorCode::kUntrusted);
  CHECK_THAT(refusal(writer.log, trust_of({0, 2}, 2)).message,
             Catch::Contains("1 good signatures by trusted keys, 2 needed"));
  CHECK(refusal(writer.log, TrustRoot{}).code == ErrorCode::kUntrusted);
  writer.keys = {key(0), key(0)};
  writer.approve("debian:13", {"E"});
  CHECK_THAT(refusal(writer.log, trust_of({0, 1, 2}, 2)).message, Catch::Contains("entry 2"));
}

TEST_CASE("a base lives its life in one direction", "[catalog][unit]") {
  struct Row {
    const char* name;
    std::function<void(Writer&)> write;
    const char* says;  ///< "" when it is legal
  };
  const Row rows[] = {
      {"revoke what does not exist", [](Writer& w) { w.change(Action::kRevoke, "a:2"); },
       "base a:2 does not exist"},
      {"deprecate what does not exist", [](Writer& w) { w.change(Action::kDeprecate, "a:2"); },
       "base a:2 does not exist"},
      {"approve after revoke",
       [](Writer& w) {
         w.change(Action::kRevoke, "a:1");
         w.approve("a:1", {"A"});
       },
       "is revoked and cannot be approved again: use a new version"},
      {"approve after deprecate",
       [](Writer& w) {
         w.change(Action::kDeprecate, "a:1");
         w.approve("a:1", {"A"});
       },
       "is deprecated and cannot be approved again: use a new version"},
      {"deprecate after revoke",
       [](Writer& w) {
         w.change(Action::kRevoke, "a:1");
         w.change(Action::kDeprecate, "a:1");
       },
       "is revoked and stays so"},
      {"revoke twice",
       [](Writer& w) {
         w.change(Action::kRevoke, "a:1");
         w.change(Action::kRevoke, "a:1");
       },
       "is revoked already"},
      {"revoke after deprecate",
       [](Writer& w) {
         w.change(Action::kDeprecate, "a:1");
         w.change(Action::kRevoke, "a:1");
       },
       ""},
      {"deprecate twice",
       [](Writer& w) {
         w.change(Action::kDeprecate, "a:1");
         w.change(Action::kDeprecate, "a:1");
       },
       ""},
      {"another version after revoke",
       [](Writer& w) {
         w.change(Action::kRevoke, "a:1");
         w.approve("a:2", {"A"});
       },
       ""},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Writer writer;
    writer.approve("a:1", {"A"});
    row.write(writer);
    const Error error = refusal(writer.log);
    CHECK_THAT(error.message, Catch::Contains(*row.says == 0 ? "accepted" : row.says));
    CHECK(error.code == (*row.says == 0 ? ErrorCode::kInternal : ErrorCode::kInvalidArgument));
  }
}

TEST_CASE("approving again adds the stacks that are new", "[catalog][unit]") {
  Writer writer;
  writer.approve("a:1", {"A"});
  writer.approve("a:1", {"A"});
  writer.approve("a:1", {"B"});
  const VerifiedLog verified = verify_log(writer.log, trust_of({0})).value();
  CHECK(verified.catalog.find(id_of("a:1"))->stacks.size() == 2);
}

TEST_CASE("a draft becomes a base by approval, with the layers that the approval names",
          "[catalog][unit]") {
  Writer writer;
  const auto draft = [&](const std::vector<std::string>& layers) {
    Statement statement = writer.next();
    statement.action = Action::kDraft;
    statement.base = id_of("a:1");
    statement.stacks = base("a:1", layers).stacks;
    writer.add(statement);
    return verify_log(writer.log, trust_of({0}));
  };
  const auto first = draft({"A"});
  REQUIRE(first);
  CHECK(first->catalog.find(id_of("a:1"))->status == BaseStatus::kDraft);
  CHECK_FALSE(first->catalog.find(id_of("a:1"))->approved_at);
  LayerEvidence evidence;
  evidence.shape = shape("A");
  CHECK(first->catalog.candidates(evidence).empty());
  const auto second = draft({"B"});
  REQUIRE(second);
  CHECK(second->catalog.find(id_of("a:1"))->stacks.front().layers.front().shape == shape("B"));
  writer.approve("a:1", {"C"});
  const auto approved = verify_log(writer.log, trust_of({0}));
  REQUIRE(approved);
  const Base* made = approved->catalog.find(id_of("a:1"));
  CHECK(made->status == BaseStatus::kApproved);
  CHECK(made->approved_at == kNow);
  REQUIRE(made->stacks.size() == 1);
  CHECK(made->stacks.front().layers.front().shape == shape("C"));
  CHECK_FALSE(draft({"D"}));
}

TEST_CASE("when a base was built is what its approval says, and no day in the future",
          "[catalog][unit]") {
  struct Row {
    const char* created;
    std::optional<WallTime> expected;
  };
  for (const Row& row :
       {Row{"2026-05-01T00:00:00Z", parse_rfc3339("2026-05-01T00:00:00Z").value()},
        Row{"2099-01-01T00:00:00Z", kNow}, Row{"1970-01-01T00:00:00Z", {}}, Row{"yesterday", {}}}) {
    INFO(row.created);
    Writer writer;
    Statement approval = writer.next();
    approval.base = id_of("a:1");
    approval.stacks = base("a:1", {"A"}).stacks;
    approval.annotations = {{"assay.created", row.created}};
    writer.add(approval);
    const VerifiedLog verified = verify_log(writer.log, trust_of({0})).value();
    CHECK(verified.catalog.find(id_of("a:1"))->built_at == row.expected);
  }
}

TEST_CASE("policy and dates reach the catalog", "[catalog][unit]") {
  Writer writer;
  Statement approval = writer.next();
  approval.base = id_of("a:1");
  approval.stacks = base("a:1", {"A"}).stacks;
  approval.expires_at = kNow + std::chrono::hours(9);
  approval.annotations = {{"distribution", "Debian 12"}};
  writer.add(approval);
  Statement deprecation = writer.next();
  deprecation.action = Action::kDeprecate;
  deprecation.base = id_of("a:1");
  deprecation.deprecated_until = kNow + std::chrono::hours(5);
  deprecation.successor = "a:2";
  writer.add(deprecation);
  Statement policy = writer.next();
  policy.action = Action::kSetPolicy;
  policy.policy = Policy{Rung::kExact, std::chrono::seconds(60)};
  writer.add(policy);
  const VerifiedLog verified = verify_log(writer.log, trust_of({0})).value();
  const Base* made = verified.catalog.find(id_of("a:1"));
  CHECK(made->expires_at == kNow + std::chrono::hours(9));
  CHECK(made->deprecated_until == kNow + std::chrono::hours(5));
  CHECK(made->successor == "a:2");
  CHECK(made->annotations.at("distribution") == "Debian 12");
  CHECK(verified.catalog.policy().required_rung == Rung::kExact);
  CHECK(verified.catalog.policy().pending_deadline == std::chrono::seconds(60));
}

TEST_CASE("only a longer log of the same history follows", "[catalog][unit]") {
  Writer writer;
  writer.approve("a:1", {"A"});
  writer.approve("a:2", {"B"});
  const Writer held = writer;
  Writer longer = held, forked;
  longer.approve("a:3", {"C"});
  forked.log = {{held.log.statements[0]}, ""};
  forked.head = {held.head.catalog_id, 1, statement_digest(held.log.statements[0]).value(), {}, {}};
  forked.approve("b:2", {"B"});
  forked.approve("b:3", {"B"});
  REQUIRE(verify_log(forked.log, trust_of({0})));

  CHECK(check_successor(Head{}, held.log, held.head));
  CHECK(check_successor(held.head, held.log, held.head));
  CHECK(check_successor(held.head, longer.log, longer.head));
  CHECK_THAT(check_successor(longer.head, held.log, held.head).error().message,
             Catch::Contains("lower sequence"));
  CHECK_THAT(check_successor(held.head, forked.log, forked.head).error().message,
             Catch::Contains("fork"));
  CHECK_THAT(check_successor(held.head, SignedLog{}, Head{}).error().message,
             Catch::Contains("another catalog"));
  const Writer other = three_entries();
  CHECK(check_successor(held.head, other.log, other.head).error().code == ErrorCode::kUntrusted);
}

TEST_CASE("a head is stale from its date on, and can be signed again", "[catalog][unit]") {
  Writer writer = three_entries();
  CHECK_FALSE(is_stale(writer.head, kNow + kHeadLifetime - std::chrono::nanoseconds(1)));
  CHECK(is_stale(writer.head, kNow + kHeadLifetime));
  writer.head.expires_at += kHeadLifetime;
  writer.log.head = sign_head(writer.head, {key(0)}).value();
  const VerifiedLog verified = verify_log(writer.log, trust_of({0})).value();
  CHECK_FALSE(is_stale(verified.head, kNow + kHeadLifetime));
}

TEST_CASE("no statement is signed that no reader would take", "[catalog][unit]") {
  const auto code_of = [](const std::function<void(Statement&)>& spoil) {
    Statement statement = Writer().next();
    statement.base = id_of("a:1");
    statement.stacks = base("a:1", {"A"}).stacks;
    spoil(statement);
    auto change = sign_change(statement, {key(0)});
    return change ? std::string() : std::string(to_string(change.error().code));
  };
  const std::string refused(to_string(ErrorCode::kInvalidArgument));
  CHECK(code_of([](Statement&) {}).empty());
  CHECK(code_of([](Statement& s) { s.base.version = ""; }) == refused);
  CHECK(code_of([](Statement& s) { s.base.name = "A B"; }) == refused);
  CHECK(code_of([](Statement& s) { s.stacks.clear(); }) == refused);
  CHECK(code_of([](Statement& s) { s.stacks[0].layers.clear(); }) == refused);
  CHECK(code_of([](Statement& s) { s.stacks.resize(65, s.stacks[0]); }) == refused);
  CHECK(code_of([](Statement& s) { s.stacks[0].manifest_digest = "sha256:0"; }) == refused);
  CHECK(code_of([](Statement& s) { s.catalog_id = "x"; }) == refused);
  CHECK(code_of([](Statement& s) { s.sequence = 0; }) == refused);
  CHECK(code_of([](Statement& s) { s.reason.assign(5000, 'x'); }) == refused);
  CHECK(code_of([](Statement& s) { s.successor = "no such:na:me"; }) == refused);
  CHECK(code_of([](Statement& s) { s.action = Action::kRevoke; }) == refused);
  CHECK(code_of([](Statement& s) { s.action = Action::kSetPolicy; }) == refused);
  CHECK(code_of([](Statement& s) { s.deprecated_until = kNow; }) == refused);
  CHECK(code_of([](Statement& s) { s.policy = Policy{}; }) == refused);
  CHECK(sign_change(Writer().next(), {}).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("the first statement begins a catalog of its own", "[catalog][unit]") {
  const Statement first = Writer().next(), second = Writer().next();
  CHECK(first.catalog_id.size() == 32);
  CHECK(first.catalog_id != second.catalog_id);
  CHECK(first.sequence == 1);
  CHECK(first.previous == Sha256{});
}

TEST_CASE("a log of ten thousand entries replays in seconds", "[.][catalog][slow]") {
  Writer writer;
  writer.keys = {key(1)};
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    writer.approve("base:" + number, {"D", number});
  }
  const auto start = std::chrono::steady_clock::now();
  const auto verified = verify_log(writer.log, trust_of({1}));
  const auto took = std::chrono::steady_clock::now() - start;
  REQUIRE(verified);
  WARN("10,000 entries took " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                              << " ms");
  CHECK(took < std::chrono::seconds(10));
}
