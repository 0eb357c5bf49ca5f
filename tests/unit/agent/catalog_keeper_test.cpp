// SPDX-License-Identifier: Apache-2.0
#include "agent/app/catalog_keeper.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>

#include "agent/core/time_floor.h"
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
    head_ = {statement.catalog_id, statement.sequence,
             catalog::statement_digest(change.statement).value(), clock_.wall_now(),
             clock_.wall_now() + catalog::kHeadLifetime};
    log_.statements.push_back(std::move(change.statement));
    log_.head = std::move(change.head);
    return log_;
  }
  /// The same log with a head that was signed at `time`.
  SignedLog with_head_of(WallTime time) const {
    SignedLog log = log_;
    log.head = catalog::sign_new_head(head_, time, {key_}).value().head;
    return log;
  }
  std::string mark(WallTime time, const catalog::SigningKey& by) const {
    return catalog::sign_mark(head_, time, by).value();
  }
  const catalog::SigningKey& key() const { return key_; }
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
  CHECK(keeper.status().refused.starts_with("the stored catalog: "));  // told at the next Welcome
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

/// A keeper that holds two entries of `author`, and what it answers to an offer.
struct Bench {
  Bench() : author(clock), state(StateDb::open(scratch.path("state.db")).value()) {
    first = author.add("debian:12");
    second = author.add("debian:13");
  }
  void start(const catalog::TrustRoot& trust, const Clock& with) {
    keeper = std::make_unique<CatalogKeeper>(trust, *state, with, answers.callbacks());
  }
  void hold_two() {
    start(author.trust(), clock);
    keeper->offer(second);
    REQUIRE(answers.next() == "2");
  }
  std::string offer(const SignedLog& log) {
    keeper->offer(log);
    return answers.next();
  }

  const tests::Scratch scratch;
  const SystemClock clock;
  Author author;
  SignedLog first, second;
  std::unique_ptr<StateDb> state;
  Answers answers;
  std::unique_ptr<CatalogKeeper> keeper;
};

TEST_CASE("what a node refuses changes nothing, not even after a restart", "[agent][unit]") {
  struct Row {
    const char* name;
    std::function<SignedLog(Bench&)> offer;
    const char* says;
  };
  const Row rows[] = {
      {"rollback", [](Bench& b) { return b.first; }, "lower sequence"},
      {"an older head",
       [](Bench& b) { return b.author.with_head_of(b.clock.wall_now() - std::chrono::hours(1)); },
       "older head"},
      {"fork",
       [](Bench& b) {
         catalog::Statement other =
             catalog::statement_from_in_toto(
                 catalog::Envelope::from_json(b.second.statements[1])->payload)
                 .value();
         other.reason = "another history";
         const auto change = catalog::sign_change(other, {b.author.key()}).value();
         SignedLog log = b.second;
         log.statements[1] = change.statement;
         log.head = change.head;
         return log;
       },
       "fork"},
      {"expired head",
       [](Bench& b) {
         SignedLog log = b.author.add("debian:14");
         log.head = b.author.with_head_of(b.clock.wall_now() - catalog::kHeadLifetime * 2).head;
         return log;
       },
       "its head expired"},
      {"wrong key",
       [](Bench& b) {
         Author stranger(b.clock);
         return stranger.add("debian:12");
       },
       "0 good signatures"},
      {"broken chain",
       [](Bench& b) {
         SignedLog log = b.author.add("debian:14");
         log.statements.erase(log.statements.begin());
         return log;
       },
       "entry 1: it has sequence 2"},
      {"half-written",
       [](Bench& b) {
         SignedLog log = b.author.add("debian:14");
         log.statements[2].resize(log.statements[2].size() / 2);
         return log;
       },
       "entry 3"},
      {"over-size",
       [](Bench& b) {
         SignedLog log = b.author.add("debian:14");
         log.statements[2] += std::string(std::size_t{16} << 20, ' ');
         return log;
       },
       "larger than 16 MiB"},
      {"the head is missing",
       [](Bench& b) {
         SignedLog log = b.author.add("debian:14");
         log.head.clear();
         return log;
       },
       "head: it is missing"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Bench bench;
    bench.hold_two();
    const std::string reason = bench.offer(row.offer(bench));
    INFO(reason);
    CHECK(reason.find(row.says) != std::string::npos);
    CHECK(bench.keeper->status().sequence == 2);
    CHECK_FALSE(bench.keeper->status().refused.empty());
    CHECK(bench.keeper->status().state.empty());
    bench.start(bench.author.trust(), bench.clock);
    REQUIRE(bench.keeper->load());
    CHECK(bench.answers.next() == "2");
    CHECK(bench.keeper->status().sequence == 2);
  }
}

TEST_CASE("a clock that is set back makes no expired head good again", "[agent][unit]") {
  Bench bench;
  TimeFloor floor(bench.clock, bench.clock.wall_now() + catalog::kHeadLifetime * 2);
  bench.start(bench.author.trust(), floor);
  CHECK(bench.offer(bench.second).find("its head expired") != std::string::npos);
}

TEST_CASE("what was refused is forgotten when the held head comes again", "[agent][unit]") {
  Bench bench;
  bench.hold_two();
  REQUIRE(bench.offer(bench.first).find("lower") != std::string::npos);
  bench.keeper->offer(bench.second);
  CHECK(bench.offer(bench.author.add("debian:14")) == "3");
  CHECK(bench.keeper->status().refused.empty());
}

TEST_CASE("a new root is taken without a restart and kept over one", "[agent][unit]") {
  Bench bench;
  bench.hold_two();
  const auto key = catalog::SigningKey::generate(catalog::KeyType::kEcdsaP256).value();
  catalog::Root root;
  root.issued_at = bench.clock.wall_now();
  root.keys = {key.public_key()};
  SignedLog log = bench.second;
  log.roots = {catalog::sign_envelope(catalog::to_in_toto(root), catalog::kInTotoPayloadType,
                                      {bench.author.key(), key})
                   .value()
                   .to_json()};
  const catalog::Head held = catalog::verify_log(bench.second, bench.author.trust()).value().head;
  log.head = catalog::sign_new_head(held, bench.clock.wall_now(), {key}).value().head;
  CHECK(bench.offer(log) == "2");
  CHECK(bench.keeper->status().root_version == 1);
  CHECK(bench.keeper->status().state == catalog::held_state(log));
  // The old key's time is over, for a collector that goes on with it as well.
  CHECK(bench.offer(bench.author.add("debian:14")).find("head: 0 good") != std::string::npos);
  bench.start(bench.author.trust(), bench.clock);
  REQUIRE(bench.keeper->load());
  CHECK(bench.keeper->status().root_version == 1);
}

TEST_CASE("without a fresh mark the catalog is stale where the root asks for marks",
          "[agent][unit]") {
  Bench bench;
  const auto collector = catalog::SigningKey::generate(catalog::KeyType::kEd25519).value();
  catalog::TrustRoot trust = bench.author.trust();
  trust.mark_keys = {collector.public_key()};
  bench.start(trust, bench.clock);
  REQUIRE(bench.offer(bench.second) == "2");
  CHECK(bench.keeper->status().is_stale);
  const WallTime now = bench.clock.wall_now();
  struct Row {
    const char* name;
    std::string mark;
    const char* says;
  };
  const std::string good = bench.author.mark(now, collector);
  const auto offer_mark = [&](const std::string& mark) {
    return bench.offer(SignedLog{{}, "", {}, mark});
  };
  for (const Row& row :
       {Row{"expired", bench.author.mark(now - std::chrono::hours(25), collector), "was over on"},
        Row{"wrong key", bench.author.mark(now, bench.author.key()), "no collector's key"},
        Row{"no mark", "{", "not a DSSE envelope"}}) {
    INFO(row.name);
    CHECK(offer_mark(row.mark).find(row.says) != std::string::npos);
    CHECK(bench.keeper->status().is_stale);
  }
  SignedLog with_mark = bench.author.with_head_of(now + std::chrono::seconds(1));
  with_mark.mark = good;
  REQUIRE(bench.offer(with_mark) == "2");
  CHECK(offer_mark(bench.author.mark(now - std::chrono::hours(1), collector))
            .find("older than the one held") != std::string::npos);
  CHECK_FALSE(bench.keeper->status().is_stale);
  REQUIRE(bench.state->flush(std::chrono::seconds(30)));
  bench.start(trust, bench.clock);
  REQUIRE(bench.keeper->load());
  CHECK_FALSE(bench.keeper->status().is_stale);
  (void)bench.answers.next();
  TimeFloor later(bench.clock, now + std::chrono::hours(25));
  bench.start(trust, later);
  REQUIRE(bench.keeper->load());
  CHECK(bench.keeper->status().is_stale);
  CHECK(bench.keeper->status().stale_reason.find("mark") != std::string::npos);
}

}  // namespace
}  // namespace assay::agent
