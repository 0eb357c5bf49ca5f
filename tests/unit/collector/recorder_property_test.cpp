// SPDX-License-Identifier: Apache-2.0
// Whatever happens to batches on their way, the store ends as if nothing had: random scenarios,
// random interleavings, with the seed in every failure.
#include <random>

#include "collector/core/recorder.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "tests/support/store_dump.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using namespace tests;

constexpr std::int64_t kStartNs = 1'700'000'000'000'000'000;

/// One node's life: numbered events, and the stacks that each describes.
struct Life {
  NodeKey node;
  Epoch epoch;
  std::vector<Event> events;
  std::vector<catalog::Stack> stacks;
};

/// Runs that start, gain evidence, get names, execute and end, in an order that could have been.
class LifeMaker {
 public:
  LifeMaker(NodeKey node, std::uint32_t seed) : random_(seed) {
    life_.node = std::move(node);
    life_.epoch = Epoch(16, static_cast<char>('a' + seed % 20));
  }

  Life make(int steps) {
    for (int i = 0; i < steps; ++i) {
      const unsigned dice = pick(10);
      if (open_.empty() || dice < 3)
        start();
      else if (dice < 5)
        end();
      else if (dice < 6)
        advance();
      else if (dice < 8)
        add(RunNamed{open_[pick(open_.size())], names(), conflicts()});
      else if (dice < 9)
        exec();
      else
        add(EvidenceGap{kStartNs, kStartNs + i, "lost", static_cast<std::uint64_t>(i)});
    }
    return std::move(life_);
  }

 private:
  unsigned pick(std::size_t below) {
    return std::uniform_int_distribution<unsigned>(0, static_cast<unsigned>(below - 1))(random_);
  }
  template <typename Body>
  void add(Body body) {
    Event event;
    event.sequence = life_.events.size() + 1;
    event.time_ns = kStartNs + static_cast<std::int64_t>(event.sequence);
    event.body = std::move(body);
    life_.events.push_back(std::move(event));
  }
  ContainerNames names() {
    ContainerNames one;
    one.name = "named-" + std::to_string(pick(1000));
    return one;
  }
  void start() {
    catalog::Stack on = stack(life_.node, {layer(static_cast<std::uint8_t>(1 + pick(4)), false),
                                           layer(static_cast<std::uint8_t>(10 + pick(3)), false)});
    const StackDigest digest = catalog::digest_of(on);
    life_.stacks.push_back(on);
    add(run_started(next_run_, digest, kStartNs + next_run_));
    open_.push_back(run_id(next_run_++));
    tracked_.push_back(std::move(on));
  }
  void end() {
    const std::size_t which = pick(open_.size());
    add(RunEnded{open_[which], kStartNs + 1'000'000, pick(2) == 0});
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  void advance() {
    catalog::Stack& one = tracked_[pick(tracked_.size())];
    const StackDigest from = catalog::digest_of(one);
    for (auto& part : one.layers)
      part.evidence.content =
          digest_with<ContentDigest>(static_cast<std::uint8_t>(part.instance.inode));
    life_.stacks.push_back(one);
    add(StackAdvanced{from, catalog::digest_of(one)});
  }
  std::vector<std::string> conflicts() {
    if (pick(3) != 0) return {};
    return {"docker's record: it names " + std::to_string(pick(4)) + " layers"};
  }
  void exec() {
    Exec one;
    one.time_ns = kStartNs + pick(1000);
    one.executable = "/bin/" + std::to_string(pick(10));
    add(ExecSeen{open_[pick(open_.size())], one});
  }

  std::mt19937 random_;
  Life life_;
  int next_run_ = 1;
  std::vector<RunId> open_;
  std::vector<catalog::Stack> tracked_;
};

/// A store with everything that writes to it.
struct Sink {
  TempDir dir;
  FakeClock clock;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<Judging> judging;
  std::unique_ptr<Recorder> recorder;

  Sink() {
    store = *SqliteStore::open({dir.path() + "/store.db", 1});
    judging = std::make_unique<Judging>(
        make_catalog(1, {base("debian:12", catalog::BaseStatus::kApproved, {1}),
                         base("old:1", catalog::BaseStatus::kRevoked, {2})}),
        *store->load_round(), catalog::ScanSummaries{}, Judging::Limits{});
    recorder = std::make_unique<Recorder>(*judging);
  }

  /// As the commit loop does it: a batch that fails leaves nothing. `fails`: so does the disk.
  Result<BatchOutcome> apply(const Life& life, const Batch& batch, bool fails = false) {
    Result<BatchOutcome> outcome = BatchOutcome{};
    const auto written = store->write_repeatable([&](StoreWriter& writer) -> Result<void> {
      const auto attempt = writer.attempt([&]() -> Result<void> {
        outcome = recorder->apply(writer, life.node, life.epoch, batch, clock.wall_now());
        return outcome ? ok() : Result<void>(outcome.error());
      });
      if (!attempt) judging->forget();
      if (fails) return Error{ErrorCode::kUnavailable, "the disk is full"};
      return ok();
    });
    if (written) return outcome;
    judging->forget();
    return written.error();
  }

  std::vector<std::string> dump() { return assay::tests::dump_store(dir.path() + "/store.db"); }
};

/// The agent's side of one node and the way between, which loses, repeats and reorders.
class Way {
 public:
  Way(Life life, std::uint32_t seed) : life_(std::move(life)), random_(seed) {}

  bool is_done() const { return acknowledged_ == life_.events.size(); }

  void step(Sink& sink) {
    const std::size_t dice = pick(10);
    Batch batch;
    if (dice < 4)
      batch = slice(acknowledged_, 1 + pick(20));  // as it should be
    else if (dice < 7)
      batch = slice(pick(acknowledged_ + 1), 1 + pick(30));  // sent again, with or without more
    else if (dice < 9)
      batch = slice(acknowledged_ + 1 + pick(20), 1 + pick(20));  // what came before was lost
    else
      batch = shuffled(slice(acknowledged_, 1 + pick(8)));
    if (batch.events.empty()) return;
    const auto outcome = sink.apply(life_, batch, pick(20) == 0);
    if (!outcome || pick(5) == 0) return;  // refused, or the acknowledgement got lost
    REQUIRE(outcome->acknowledged >= acknowledged_);
    CHECK_FALSE(outcome->state_wish);
    acknowledged_ = outcome->acknowledged;
  }

 private:
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  Batch slice(std::size_t after, std::size_t count) const {
    Batch batch;
    batch.stacks = life_.stacks;  // known ones cost nothing
    for (std::size_t i = after; i < std::min(after + count, life_.events.size()); ++i)
      batch.events.push_back(life_.events[i]);
    return batch;
  }
  Batch shuffled(Batch batch) {
    std::shuffle(batch.events.begin(), batch.events.end(), random_);
    return batch;
  }

  const Life life_;
  std::mt19937 random_;
  std::size_t acknowledged_ = 0;
};

TEST_CASE(
    "batches that are lost, repeated, reordered and cut end in the state of an undisturbed run",
    "[collector][unit]") {
  const std::uint32_t first_seed = std::random_device{}();
  for (std::uint32_t seed = first_seed; seed < first_seed + 4; ++seed) {
    INFO("seed " << seed);
    // Two nodes of one name in two clusters, with runs of the same ids, and a third.
    std::vector<Life> lives;
    lives.push_back(LifeMaker({"red", "node-1"}, seed).make(120));
    lives.push_back(LifeMaker({"blue", "node-1"}, seed + 1).make(120));
    lives.push_back(LifeMaker({"red", "node-2"}, seed + 2).make(120));
    Sink quiet;
    for (const Life& life : lives) {
      Batch all{life.events, life.stacks};
      REQUIRE(quiet.apply(life, all));
    }
    Sink stormy;
    std::mt19937 random(seed);
    std::vector<Way> ways;
    for (const Life& life : lives)
      ways.emplace_back(life, seed + static_cast<std::uint32_t>(ways.size()));
    while (!std::all_of(ways.begin(), ways.end(), [](const Way& way) { return way.is_done(); })) {
      Way& way = ways[random() % ways.size()];
      if (!way.is_done()) way.step(stormy);
    }
    const std::string left = assay::tests::difference(quiet.dump(), stormy.dump());
    INFO(left);
    CHECK(left.empty());
  }
}

}  // namespace
}  // namespace assay::collector
