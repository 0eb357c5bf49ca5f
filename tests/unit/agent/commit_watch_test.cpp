// SPDX-License-Identifier: Apache-2.0
#include "agent/app/commit_watch.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::agent;
using std::chrono::seconds;

namespace {

struct Fixture {
  std::uint64_t recorded = 0;
  std::uint64_t stored = 0;
  std::vector<std::uint64_t> told;
  CommitWatch watch{CommitWatch::Ports{[this] { return recorded; }, [this] { return stored; },
                                       [this](std::uint64_t ticket) { told.push_back(ticket); }}};
};

}  // namespace

TEST_CASE("a checkpoint is told once all that was recorded before it is stored", "[agent][unit]") {
  Fixture f;
  f.recorded = 3;
  f.watch.on_recorded({1, seconds(10)});
  CHECK(f.told.empty());
  f.stored = 2;
  f.watch.look();
  CHECK(f.told.empty());
  f.stored = 3;
  f.watch.look();
  CHECK(f.told == std::vector<std::uint64_t>{1});
}

TEST_CASE("with nothing to store a checkpoint is told at once", "[agent][unit]") {
  Fixture f;
  f.watch.on_recorded({1, seconds(10)});
  REQUIRE(f.told.size() == 1);
}

TEST_CASE("of several stored checkpoints the newest counts", "[agent][unit]") {
  Fixture f;
  for (std::uint64_t ticket = 1; ticket <= 3; ++ticket) {
    f.recorded = ticket * 10;
    f.watch.on_recorded({ticket, seconds(ticket)});
  }
  f.stored = 25;
  f.watch.look();
  CHECK(f.told == std::vector<std::uint64_t>{2});
  f.stored = 30;
  f.watch.look();
  CHECK(f.told.back() == 3);
}
