// SPDX-License-Identifier: Apache-2.0
#include "cli/head_store.h"

#include <catch2/catch.hpp>

#include "tests/unit/cli/program.h"

using namespace assay;
using namespace assay::cli;
using assay::cli::tests::Home;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kCollector = "collector.example:7443";

/// A log that one key signs, statement by statement.
class SignedCatalog {
 public:
  explicit SignedCatalog(const catalog::SigningKey& key) : key_(key) {
    trust.keys.push_back(key.public_key());
  }

  void approve(const std::string& version) {
    catalog::Statement statement =
        catalog::next_statement(log, head(), *parse_rfc3339("2026-11-22T16:00:00Z"));
    statement.base = {"debian", version};
    catalog::BaseStack stack;
    stack.layers.resize(1);
    statement.stacks.push_back(stack);
    const auto change = catalog::sign_change(statement, {key_});
    REQUIRE(change);
    log.statements.push_back(change->statement);
    log.head = change->head;
  }

  catalog::Head head() const {
    const auto verified = catalog::verify_log(log, trust);
    if (!verified) FAIL(verified.error().text());
    return verified->head;
  }

  catalog::SignedLog log;
  catalog::TrustRoot trust;

 private:
  catalog::SigningKey key_;
};

struct Fixture {
  Home home;
  HeadStore store{home.path() + "/state"};
  catalog::SigningKey key = *catalog::SigningKey::generate(catalog::KeyType::kEd25519);
  SignedCatalog catalog{key};

  Result<void> check(const SignedCatalog& served) const {
    return store.check(kCollector, served.trust, served.log, served.head());
  }
  void remember(const SignedCatalog& served) const {
    REQUIRE(store.remember(kCollector, served.trust, served.log, served.head()));
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a log that grew is taken, again and again", "[cli][unit]") {
  CHECK(check(catalog));
  catalog.approve("1");
  CHECK(check(catalog));
  remember(catalog);
  CHECK(check(catalog));
  catalog.approve("2");
  CHECK(check(catalog));
}

TEST_CASE_METHOD(Fixture, "a collector that was rolled back is refused", "[cli][unit]") {
  catalog.approve("1");
  const SignedCatalog older = catalog;
  catalog.approve("2");
  remember(catalog);
  const auto refused = check(older);
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::kUntrusted);
  CHECK_THAT(refused.error().message, Contains("sequence 1 now, 2 seen") && Contains("remove "));
}

TEST_CASE_METHOD(Fixture, "a forked log of the same length is refused", "[cli][unit]") {
  catalog.approve("1");
  SignedCatalog fork = catalog;
  catalog.approve("2");
  remember(catalog);
  fork.approve("3");
  REQUIRE(!check(fork));
  CHECK(check(fork).error().code == ErrorCode::kUntrusted);
}

TEST_CASE_METHOD(Fixture, "an empty or another catalog in place of a known one is refused",
                 "[cli][unit]") {
  catalog.approve("1");
  remember(catalog);
  const SignedCatalog empty(key);
  REQUIRE(!check(empty));
  CHECK_THAT(check(empty).error().message, Contains("empty catalog"));
  SignedCatalog other(key);
  other.approve("1");
  REQUIRE(!check(other));
  CHECK(check(other).error().code == ErrorCode::kUntrusted);
}

TEST_CASE_METHOD(Fixture, "another collector, or other keys, start afresh", "[cli][unit]") {
  catalog.approve("1");
  remember(catalog);
  SignedCatalog other(*catalog::SigningKey::generate(catalog::KeyType::kEcdsaP256));
  CHECK(check(other));
  const SignedCatalog empty(key);
  CHECK(store.check("other.example:7443", empty.trust, empty.log, empty.head()));
}
