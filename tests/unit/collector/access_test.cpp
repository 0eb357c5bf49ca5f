// SPDX-License-Identifier: Apache-2.0
// Tokens, call rates, the log of refusals and the doorkeeper, with a clock that stands still.
#include "collector/core/doorkeeper.h"
#include "collector/core/token.h"
#include "common/base/sha256.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using namespace tests;
using namespace std::chrono_literals;
using Outcome = Admission::Outcome;

struct FakeLedger final : Ledger {
  std::vector<AuditEntry> entries;

  Result<void> change_catalog(const CatalogEntry&,
                              std::shared_ptr<const catalog::Catalog>) override {
    return ok();
  }
  Result<std::vector<ScanOutcome>> import_scan(const ScanImport&) override {
    return std::vector<ScanOutcome>();
  }
  Result<void> change(std::size_t, std::function<Result<void>(StoreWriter&)>) override {
    return ok();
  }
  void audit(AuditEntry entry) override { entries.push_back(std::move(entry)); }
};

TokenRow row_of(const NewToken& token, const FakeClock& clock, Role role = Role::kViewer,
                std::vector<Scope> scopes = {}) {
  TokenRow row;
  row.view = {token.id, "ci", role, std::move(scopes), to_unix_ns(clock.wall_now()), "user:ann"};
  row.view.expires_ns = to_unix_ns(clock.wall_now() + 1h);
  row.hash = token.hash;
  return row;
}

TEST_CASE("a token is an id and 256 random bits, and its header is read back",
          "[collector][unit]") {
  const NewToken token = make_token();
  CHECK(token.text.size() == kTokenBytes);
  CHECK(token.text.starts_with("assay_" + token.id + "_"));
  CHECK(make_token().text.substr(23) != token.text.substr(23));
  for (const char* word : {"Bearer ", "bearer ", "BEARER "}) {
    const auto shown = parse_authorization(word + token.text);
    REQUIRE(shown);
    CHECK(shown->id == token.id);
    CHECK(shown->hash == token.hash);
  }
}

TEST_CASE("no part of a header that is refused is in the message", "[collector][unit]") {
  const std::string token = make_token().text;
  std::string upper = token;
  upper.back() = 'F';
  for (const std::string& header :
       {std::string(), token, "Basic " + token, "Bearer  " + token, "Bearer " + token + " ",
        "Bearer " + token.substr(1), "Bearer " + upper, "Bearer assay-" + token.substr(6),
        "Bearer " + std::string(kTokenBytes, '_'), std::string(1 << 20, 'x')}) {
    const auto shown = parse_authorization(header);
    REQUIRE_FALSE(shown);
    CHECK(shown.error().code == ErrorCode::kUntrusted);
    CHECK(shown.error().message.find(token.substr(24, 8)) == std::string::npos);
    CHECK(shown.error().message.size() < 200);
  }
}

TEST_CASE("a token that is given for a name is not repeated", "[collector][unit]") {
  TokenBook book({});
  const std::string token = make_token().text;
  CHECK(book.get(token).error().code == ErrorCode::kInvalidArgument);
  CHECK(book.get(token).error().message.find(token.substr(6, 8)) == std::string::npos);
  CHECK(book.get("nobody").error().code == ErrorCode::kNotFound);
}

TEST_CASE("a token is known by all of it, until it is revoked or over", "[collector][unit]") {
  FakeClock clock;
  const NewToken token = make_token();
  TokenBook book({row_of(token, clock, Role::kApprover)});
  const auto who = book.find({token.id, token.hash}, clock.wall_now());
  REQUIRE(who);
  CHECK(who->text() == "token:ci/" + token.id);
  CHECK(who->has(Role::kApprover));
  CHECK_FALSE(who->has(Role::kAdmin));
  const std::string unknown = book.find({"0000000000000000", token.hash}, {}).error().message;
  CHECK(book.find({token.id, sha256("other")}, clock.wall_now()).error().message == unknown);
  clock.advance(1h);
  CHECK_THAT(book.find({token.id, token.hash}, clock.wall_now()).error().message,
             Catch::Contains("expired at"));
  book.revoke(token.id, 5, "user:ann");
  CHECK_THAT(book.find({token.id, token.hash}, clock.wall_now()).error().message,
             Catch::Contains("was revoked at"));
}

TEST_CASE("who watches a token hears of its revocation once, also too late", "[collector][unit]") {
  FakeClock clock;
  const NewToken token = make_token();
  TokenBook book({row_of(token, clock)});
  int heard = 0, gone = 0;
  const auto watch = book.watch(token.id, [&] { ++heard; });
  book.watch(token.id, [&] { ++gone; }).reset();
  book.revoke(token.id, 5, "user:ann");
  book.revoke(token.id, 6, "user:ann");
  CHECK(heard == 1);
  CHECK(gone == 0);
  const auto late = book.watch(token.id, [&] { ++heard; });
  CHECK(heard == 2);
  CHECK(book.list().front().revoked_ns == 5);
}

TEST_CASE("that a token was used is told once a minute", "[collector][unit]") {
  FakeClock clock;
  const NewToken token = make_token();
  TokenBook book({row_of(token, clock)});
  CHECK(book.take_used().empty());
  for (int i = 0; i < 100; ++i)
    CHECK(book.find({token.id, token.hash}, clock.wall_now()));
  CHECK(book.take_used().size() == 1);
  CHECK(book.find({token.id, token.hash}, clock.wall_now()));
  CHECK(book.take_used().empty());
  clock.advance(61s);
  CHECK(book.find({token.id, token.hash}, clock.wall_now()));
  CHECK(book.take_used().size() == 1);
}

TEST_CASE("a caller may make so many calls at once, then so many a second", "[collector][unit]") {
  CallRates rates({2, 3}, 10);
  const BootTime now(1h);
  for (int i = 0; i < 3; ++i)
    CHECK(rates.take("ann", now) == 0ms);
  CHECK(rates.take("ann", now) == 500ms);
  CHECK(rates.take("bob", now) == 0ms);
  CHECK(rates.take("ann", now + 500ms) == 0ms);
  CHECK(rates.take("ann", now + 500ms) > 0ms);
  rates.set_rate({0, 1});
  CHECK(rates.take("ann", now + 500ms) == 0ms);
}

TEST_CASE("a table of callers that is full stays as it is, and strangers share one place",
          "[collector][unit]") {
  CallRates rates({1, 1}, 100);
  const BootTime now(1h);
  for (int i = 0; i < 100; ++i)
    CHECK(rates.take("caller-" + std::to_string(i), now) == 0ms);
  int let_in = 0;
  for (int i = 0; i < 10'000; ++i)
    if (rates.take("stranger-" + std::to_string(i), now) == 0ms) ++let_in;
  CHECK(rates.callers() == 100);
  CHECK(let_in == 1);
  CHECK(rates.take("caller-7", now) > 0ms);  // nobody's bucket was lost to the flood
  CHECK(rates.take("stranger", now + 2s) == 0ms);
  CHECK(rates.callers() < 100);  // idle ones were forgotten
}

TEST_CASE("a peer's host is its address without the port, of IPv6 the network",
          "[collector][unit]") {
  CHECK(host_of_peer("ipv4:192.0.2.7:50000") == "192.0.2.7");
  CHECK(host_of_peer("ipv6:[2001:db8:1:2:3:4:5:6]:50000") == "2001:db8:1:2::/64");
  CHECK(host_of_peer("ipv6:%5B2001:db8:1:2::9%5D:50000") == "2001:db8:1:2::/64");
  CHECK(host_of_peer("ipv6:[::ffff:192.0.2.7]:50000") == "192.0.2.7");
  CHECK(host_of_peer("unix:/run/x") == "unix:/run/x");
  CHECK(host_of_peer("") == "");
}

struct FakeProof final : PeerProof {
  std::vector<std::string> peers;
  void proven(const std::string& peer) override { peers.push_back(peer); }
};

struct Door {
  FakeClock clock;
  FakeLedger ledger;
  FakeProof proofs;
  NewToken token = make_token();
  TokenBook book{{row_of(token, clock, Role::kApprover, {Scope::kRunsRead, Scope::kTriageWrite})}};
  Doorkeeper keeper{book, ledger, proofs, clock, {{10, 20}, {1, 2}}};

  Credentials with_token() const {
    return {false, {}, {"Bearer " + token.text}, "ipv4:192.0.2.7:1"};
  }
  static Credentials with_certificate(const std::string& uri) {
    return {true, {uri}, {}, "ipv4:192.0.2.7:1"};
  }
};

TEST_CASE("a narrowed token may what its scopes and its role say, both", "[collector][unit]") {
  Door door;
  const auto outcome = [&](const char* method, Role least) {
    return door.keeper.admit(door.with_token(), {method, least}).outcome;
  };
  CHECK(outcome("Query.ListRuns", Role::kViewer) == Outcome::kAdmitted);
  CHECK(outcome("Triage.ChangeFinding", Role::kApprover) == Outcome::kAdmitted);
  CHECK(outcome("Access.WhoAmI", Role::kViewer) == Outcome::kAdmitted);
  CHECK(outcome("Query.ListNodes", Role::kViewer) == Outcome::kDenied);
  CHECK(outcome("NodeCommands.Verify", Role::kAdmin) == Outcome::kDenied);
  CHECK(outcome("Some.NewMethod", Role::kViewer) == Outcome::kDenied);
  CHECK(door.ledger.entries.size() == 3);
}

TEST_CASE("who is let in has proven its connection, who is not has not", "[collector][unit]") {
  Door door;
  const auto proven = [&](Credentials shown, const char* method) {
    door.proofs.peers.clear();
    shown.peer = "ipv4:192.0.2.7:9";
    (void)door.keeper.admit(shown, {method, Role::kViewer});
    return door.proofs.peers;
  };
  const std::vector<std::string> one = {"ipv4:192.0.2.7:9"}, none;
  CHECK(proven(door.with_token(), "Query.ListRuns") == one);
  CHECK(proven(Door::with_certificate("assay:viewer:vic"), "Query.ListRuns") == one);
  CHECK(proven(door.with_token(), "Query.ListNodes") == none);
  CHECK(proven(Door::with_certificate("assay:node:test/node-1"), "Query.ListRuns") == none);
  CHECK(proven({}, "Query.ListRuns") == none);
}

TEST_CASE("failures of an address are limited, and what is valid is let in all the same",
          "[collector][unit]") {
  Door door;
  const Credentials nothing{false, {}, {}, "ipv4:192.0.2.7:1"};
  const Errand errand{"Query.ListRuns", Role::kViewer};
  CHECK(door.keeper.admit(nothing, errand).outcome == Outcome::kUnauthenticated);
  CHECK(door.keeper.admit(nothing, errand).outcome == Outcome::kUnauthenticated);
  const Admission limited = door.keeper.admit(nothing, errand);
  CHECK(limited.outcome == Outcome::kLimited);
  CHECK(limited.retry_after == 1000ms);
  CHECK(door.keeper.admit(door.with_token(), errand).outcome == Outcome::kAdmitted);
  CHECK(door.keeper.admit(Door::with_certificate("assay:viewer:vic"), errand).outcome ==
        Outcome::kAdmitted);
}

TEST_CASE("a token is who calls, also on a connection with a certificate", "[collector][unit]") {
  Door door;
  Credentials both = Door::with_certificate("assay:admin:ann");
  both.authorizations = {"Bearer " + door.token.text};
  const auto admitted = door.keeper.admit(both, {"Query.ListRuns", Role::kViewer});
  CHECK(admitted.who.text() == "token:ci/" + door.token.id);
  both.authorizations = {"Bearer nonsense"};
  CHECK(door.keeper.admit(both, {"Query.ListRuns", Role::kViewer}).outcome ==
        Outcome::kUnauthenticated);
  both.authorizations = {"Bearer " + door.token.text, "Bearer " + door.token.text};
  CHECK(door.keeper.admit(both, {"Query.ListRuns", Role::kViewer}).outcome ==
        Outcome::kUnauthenticated);
}

}  // namespace
}  // namespace assay::collector
