// SPDX-License-Identifier: Apache-2.0
#include "agent/app/catalog_keeper.h"

#include <catch2/catch.hpp>
#include <condition_variable>

#include "common/base/sha256.h"
#include "tests/support/full_disk.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/catalog/make.h"

namespace assay::agent {
namespace {

using catalog::SignedLog;

/// Signs logs of one catalog that grow by one entry.
class Author {
 public:
  explicit Author(const SystemClock& clock) : clock_(clock) {}

  SignedLog add(const std::string& base) {
    catalog::Statement statement = catalog::next_statement(log_, head_, clock_.wall_now());
    statement.base = assay::tests::id_of(base);
    statement.stacks = assay::tests::base(base, {base}).stacks;
    statement.reason = "for tests";
    auto change = catalog::sign_change(statement, {key_}).value();
    head_ = {statement.catalog_id, statement.sequence, sha256(change.statement), clock_.wall_now(),
             clock_.wall_now() + catalog::kHeadLifetime};
    log_.statements.push_back(std::move(change.statement));
    log_.head = std::move(change.head);
    return log_;
  }
  catalog::TrustRoot trust() const { return {1, {key_.public_key()}}; }

 private:
  const SystemClock& clock_;
  catalog::SigningKey key_ = catalog::SigningKey::generate(catalog::KeyType::kEd25519).value();
  SignedLog log_;
  catalog::Head head_;
};

/// Waits for what a keeper says of an offer.
class Answers {
 public:
  CatalogKeeper::Callbacks callbacks() {
    return {[this](const auto& trusted) { add(std::to_string(trusted->sequence())); },
            [this](std::uint64_t, const std::string& reason) { add(reason); }};
  }
  std::string next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return !answers_.empty(); }))
      return "no answer";
    std::string answer = std::move(answers_.front());
    answers_.erase(answers_.begin());
    return answer;
  }

 private:
  void add(std::string answer) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> answers_;
};

TEST_CASE("a stored catalog that no longer verifies keeps its head as a floor", "[agent][unit]") {
  const tests::Scratch scratch;
  const SystemClock clock;
  Author author(clock);
  const SignedLog one = author.add("debian:12");
  const SignedLog two = author.add("debian:13");
  auto state = StateDb::open(scratch.path("state.db")).value();
  {
    Answers answers;
    CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
    REQUIRE(keeper.load());
    keeper.offer(two);
    REQUIRE(answers.next() == "2");
  }
  auto stored = state->load_catalog().value();
  stored.head = "tampered";
  REQUIRE(state->save_catalog(stored));

  Answers answers;
  CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
  CHECK_FALSE(keeper.load());
  keeper.offer(one);
  CHECK(answers.next().find("lower sequence") != std::string::npos);
  CHECK(keeper.status().sequence == 0);
  keeper.offer(two);
  CHECK(answers.next() == "2");
}

TEST_CASE("a stored catalog below the floor is not used", "[agent][unit]") {
  const tests::Scratch scratch;
  const SystemClock clock;
  Author author(clock);
  const SignedLog one = author.add("debian:12");
  const SignedLog two = author.add("debian:13");
  auto state = StateDb::open(scratch.path("state.db")).value();
  Answers answers;
  {
    CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
    keeper.offer(two);
    REQUIRE(answers.next() == "2");
  }
  REQUIRE(state->save_catalog({one.statements, one.head}));  // an older copy, put back
  CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
  CHECK_FALSE(keeper.load());
  CHECK(keeper.status().sequence == 0);
}

TEST_CASE("a new trust file for a new catalog is no rollback", "[agent][unit]") {
  const tests::Scratch scratch;
  const SystemClock clock;
  Author old_author(clock);
  Author new_author(clock);
  (void)old_author.add("debian:12");
  auto state = StateDb::open(scratch.path("state.db")).value();
  Answers answers;
  {
    CatalogKeeper keeper(old_author.trust(), *state, clock, answers.callbacks());
    keeper.offer(old_author.add("debian:13"));
    REQUIRE(answers.next() == "2");
  }
  CatalogKeeper keeper(new_author.trust(), *state, clock, answers.callbacks());
  CHECK_FALSE(keeper.load());
  keeper.offer(new_author.add("debian:13"));
  CHECK(answers.next() == "1");
}

TEST_CASE("a catalog that cannot be stored is not used until it can", "[agent][unit]") {
  const tests::Scratch scratch;
  const SystemClock clock;
  Author author(clock);
  const SignedLog one = author.add("debian:12");
  auto state = StateDb::open(scratch.path("state.db")).value();
  Answers answers;
  CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
  {
    const assay::tests::FullDisk full(1);
    keeper.offer(one);
    CHECK(answers.next().find("could not be stored") != std::string::npos);
    CHECK(keeper.status().sequence == 0);
  }
  keeper.offer(one);
  CHECK(answers.next() == "1");
  CHECK(keeper.status().refused.empty());
}

TEST_CASE("new keys are used for what is held and for what comes", "[agent][unit]") {
  const tests::Scratch scratch;
  const SystemClock clock;
  Author author(clock);
  Author stranger(clock);
  auto state = StateDb::open(scratch.path("state.db")).value();
  Answers answers;
  CatalogKeeper keeper(author.trust(), *state, clock, answers.callbacks());
  keeper.offer(author.add("debian:12"));
  REQUIRE(answers.next() == "1");
  catalog::TrustRoot both = author.trust();
  both.keys.push_back(stranger.trust().keys.front());
  keeper.set_trust(both);
  CHECK(answers.next() == "1");  // verified again
  keeper.set_trust(stranger.trust());
  CHECK(answers.next() == "0");  // the old catalog is not believed any more
  CHECK_FALSE(answers.next().empty());
  CHECK(keeper.status().sequence == 0);
  keeper.set_trust(author.trust());
  CHECK(answers.next() == "1");
}

}  // namespace
}  // namespace assay::agent
