// SPDX-License-Identifier: Apache-2.0
#include "agent/app/commit_watch.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::agent;
using std::chrono::seconds;

namespace {

struct Fixture {
  CommitWatch::Progress recorded;
  CommitWatch::Progress stored;
  std::vector<Checkpoint> told;
  CommitWatch watch{CommitWatch::Ports{[this] { return recorded; }, [this] { return stored; },
                                       [this](const Checkpoint& one) { told.push_back(one); }}};
};

}  // namespace

TEST_CASE("a checkpoint is told once all that was recorded before it is stored", "[agent][unit]") {
  Fixture f;
  f.recorded = {3, 1};
  f.watch.on_recorded({1, seconds(10)});
  CHECK(f.told.empty());
  f.stored = {3, 0};
  f.watch.look();
  CHECK(f.told.empty());
  f.stored = {3, 1};
  f.watch.look();
  REQUIRE(f.told.size() == 1);
  CHECK(f.told[0].ticket == 1);
  CHECK(f.told[0].well == seconds(10));
}

TEST_CASE("with nothing to store a checkpoint is told at once", "[agent][unit]") {
  Fixture f;
  f.watch.on_recorded({1, seconds(10)});
  REQUIRE(f.told.size() == 1);
}

TEST_CASE("of several stored checkpoints the newest counts", "[agent][unit]") {
  Fixture f;
  for (std::uint64_t ticket = 1; ticket <= 3; ++ticket) {
    f.recorded.outbox = ticket * 10;
    f.watch.on_recorded({ticket, seconds(ticket)});
  }
  f.stored.outbox = 25;
  f.watch.look();
  REQUIRE(f.told.size() == 1);
  CHECK(f.told[0].ticket == 2);
  f.stored.outbox = 30;
  f.watch.look();
  CHECK(f.told.back().ticket == 3);
}
