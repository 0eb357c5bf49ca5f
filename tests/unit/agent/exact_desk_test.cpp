// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/exact_desk.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <thread>

#include "agent/identify/layer_dialect.h"
#include "tests/unit/agent/exact_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

class SetClock final : public Clock {
 public:
  WallTime wall_now() const override { return SystemClock().wall_now(); }
  BootTime boot_now() const override { return BootTime(boot.load()); }
  std::atomic<BootTime::rep> boot{BootTime(100s).count()};
  void pass(BootTime time) { boot += time.count(); }
};

struct Scheduled : ExactFixture {
  SetClock clock;
  bool is_exact = false;  // as the stacks have it
  std::mutex mutex;
  std::vector<std::optional<LayerExact>> proofs;
  std::vector<LayerMismatch> mismatches;
  std::vector<LayerUnproven> unproven;
  std::vector<LayerTask> changed;
  std::vector<std::string> failures;
  ExactOptions options;
  std::unique_ptr<ExactDesk> desk;

  void start() {
    options.interval = 1h;
    const auto note = [this](auto& list) {
      return [this, &list](const auto& value) {
        const std::lock_guard lock(mutex);
        list.push_back(value);
      };
    };
    ExactDesk::Ports ports{{opener, claims, streams}, cache, clock, {}, {}, {}, {}, {}, {}};
    ports.find_layers = [this](const auto& wants, const auto& then) {
      then(wants(ref_of(task.layer), is_exact) ? std::vector{task} : std::vector<LayerTask>());
    };
    ports.on_proof = [this](const LayerRef&, const std::optional<LayerExact>& exact) {
      const std::lock_guard lock(mutex);
      proofs.push_back(exact);
    };
    ports.on_mismatch = note(mismatches);
    ports.on_unproven = note(unproven);
    ports.on_changed = note(changed);
    ports.on_failure = [this](const LayerTask&, const Error& error) {
      const std::lock_guard lock(mutex);
      failures.push_back(error.text());
    };
    desk = std::make_unique<ExactDesk>(std::move(ports), options);
  }
  /// A look around, and all that it asked for is done.
  void look() {
    clock.pass(5s);
    desk->on_tick();
    const auto end = std::chrono::steady_clock::now() + kDeadline;
    while (desk->counts().waiting != 0) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      std::this_thread::yield();
    }
  }
  /// What is known of the layer in state.db, as its content was read.
  KnownLayer& known() {
    image::WalkOptions walk;
    const UniqueFd root(::open(scratch.path("tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto found = image::fingerprint_directory(root.get(), walk, {});
    REQUIRE(found);
    const LayerKey key{{"uuid:1", task.layer.inode, task.layer.generation, 1},
                       "",
                       overlay_options_of(task),
                       image::kFingerprintVersion};
    KnownLayer& layer = cache.rows[key];
    layer.evidence.shape = found->shape;
    layer.evidence.content = found->content;
    return layer;
  }
  std::uint64_t checks() const {
    const ExactCounts counts = desk->counts();
    return counts.exact + counts.differs + counts.no_source + counts.failed;
  }
};

TEST_CASE("a layer is proven once, then at the interval", "[agent][unit]") {
  Scheduled fixture;
  fixture.start();
  fixture.known();
  fixture.look();
  CHECK(fixture.desk->counts().exact == 1);
  REQUIRE(fixture.proofs.size() == 1);
  CHECK(fixture.proofs[0]->diff_id == fixture.diff_id());
  CHECK(fixture.known().evidence.exact == fixture.diff_id());  // and so it is after a restart
  fixture.is_exact = true;
  fixture.look();
  CHECK(fixture.checks() == 1);
  fixture.clock.pass(1h);
  fixture.look();
  CHECK(fixture.desk->counts().exact == 2);
  fixture.desk->set_options(true, 0s, {});
  fixture.clock.pass(24h);
  fixture.look();
  CHECK(fixture.checks() == 2);
}

TEST_CASE("one that was proven before a restart has its time", "[agent][unit]") {
  Scheduled fixture;
  fixture.is_exact = true;
  fixture.start();
  fixture.look();
  CHECK(fixture.checks() == 0);
  fixture.clock.pass(1h);
  fixture.look();
  CHECK(fixture.checks() == 1);
}

TEST_CASE("a difference is told, ends what was proven and asks for the record", "[agent][unit]") {
  Scheduled fixture;
  fixture.start();
  fixture.known().evidence.exact = fixture.diff_id();
  fixture.change("etc/one", "ONE\n");
  fixture.look();
  CHECK(fixture.desk->counts().differs == 1);
  REQUIRE(fixture.mismatches.size() == 1);
  CHECK(fixture.mismatches[0].text.find("/etc/one (content)") != std::string::npos);
  CHECK(fixture.changed.size() == 1);
  REQUIRE(fixture.proofs.size() == 1);
  CHECK_FALSE(fixture.proofs[0]);
  CHECK_FALSE(fixture.cache.rows.begin()->second.evidence.exact);
}

TEST_CASE("a proof of other bytes than were known is not kept", "[agent][unit]") {
  Scheduled fixture;
  fixture.start();
  fixture.known().evidence.content = ContentDigest{sha256("of before").bytes};
  fixture.look();
  CHECK(fixture.desk->counts().exact == 1);
  CHECK_FALSE(fixture.cache.rows.begin()->second.evidence.exact);
}

TEST_CASE("without a source the reason is told, and it is looked for again", "[agent][unit]") {
  Scheduled fixture;
  fixture.start();
  const auto claim = fixture.claims.known;
  fixture.claims.known.clear();
  fixture.look();
  REQUIRE(fixture.unproven.size() == 1);
  CHECK(fixture.unproven[0].reason == "no tar stream: no store says which layer it is");
  fixture.claims.known = claim;
  fixture.look();
  CHECK(fixture.checks() == 1);
  fixture.clock.pass(1min);
  fixture.look();
  CHECK(fixture.desk->counts().exact == 1);
}

TEST_CASE("what costs much to find out again is not tried again soon", "[agent][unit]") {
  Scheduled fixture;
  const auto expect = [&](BootTime after, std::uint64_t checks) {
    fixture.clock.pass(after);
    fixture.look();
    CHECK(fixture.checks() == checks);
  };
  SECTION("a stream that is gone: at the interval") {
    std::filesystem::remove(fixture.scratch.path("store/split"));
    fixture.start();
    fixture.look();
    expect(50min, 1);
    expect(10min, 2);
    CHECK(fixture.desk->counts().no_source == 2);
  }
  SECTION("a layer that is too large: at the interval") {
    fixture.options.limits.max_entries = 1;
    fixture.start();
    fixture.look();
    expect(50min, 1);
    expect(10min, 2);
    CHECK(fixture.desk->counts().failed == 2);
  }
  SECTION("a directory that could not be opened: after ten minutes") {
    fixture.opener.error = ErrorCode::kUnavailable;
    std::filesystem::remove_all(fixture.scratch.path("tree"));
    fixture.start();
    fixture.look();
    expect(9min, 1);
    expect(1min, 2);
  }
}

TEST_CASE("switched off, only who asks is answered", "[agent][unit]") {
  Scheduled fixture;
  fixture.options.is_on = false;
  fixture.start();
  fixture.look();
  CHECK(fixture.checks() == 0);
  const auto outcome = fixture.desk->check(fixture.task, {});
  REQUIRE(outcome);
  CHECK(outcome->status == ExactStatus::kExact);
  CHECK(fixture.proofs.size() == 1);
  fixture.desk->set_options(true, 1h, {});
  fixture.look();
  CHECK(fixture.checks() == 2);
}

TEST_CASE("a check that cannot be made is told and counted", "[agent][unit]") {
  Scheduled fixture;
  fixture.start();
  std::filesystem::remove_all(fixture.scratch.path("tree"));
  fixture.look();
  CHECK(fixture.desk->counts().failed == 1);
  CHECK(fixture.failures.size() == 1);
  CHECK(fixture.proofs.empty());
}

}  // namespace
}  // namespace assay::agent
