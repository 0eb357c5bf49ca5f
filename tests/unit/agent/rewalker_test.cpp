// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_rewalker.h"

#include <filesystem>

#include "tests/unit/agent/rewalk_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
namespace fs = std::filesystem;
using Fixture = RewalkFixture;

TEST_CASE("a layer that is as it was is walked and nothing is told", "[agent][unit]") {
  Fixture fixture;
  CHECK(fixture.identify(fixture.layer()).layer.evidence.tampered.empty());
  fixture.walk_all();
  CHECK(fixture.take_told().empty());
  CHECK(fixture.rewalker->counts().walks == 1);
  CHECK(fixture.rewalker->counts().entries == 6);  // with the root directory
  CHECK(fixture.rewalker->counts().files_read == 0);
  CHECK(fixture.records.renewed == 1);
}

TEST_CASE("a changed layer is told with its paths, its neighbour is not", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.identify(fixture.layer("other", 8));
  fixture.scratch.write("layer/usr/bin/tool", "evil tool");
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].ref.inode == 7);
  CHECK(told[0].tampered == "/usr/bin/tool (content, size, time)");
  CHECK(told[0].is_news);
  CHECK(fixture.rewalker->counts().changed == 1);
  CHECK(fixture.rewalker->counts().files_read == 1);
}

TEST_CASE("what was found stays, and is no news again", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.scratch.write("layer/usr/bin/tool", "evil tool");
  fixture.walk_all();
  fixture.scratch.write("layer/usr/bin/tool", "tool");
  fixture.scratch.write("layer/new", "new");
  fixture.walk_all();
  fixture.take_told();
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tampered == "/usr/bin/tool (content, size, time); /new (added)");
  CHECK_FALSE(told[0].is_news);
}

TEST_CASE("what was found is known to whoever identifies the layer later", "[agent][unit]") {
  Fixture fixture;
  const LayerTask task = fixture.layer();
  fixture.identify(task);
  fixture.scratch.write("layer/usr/bin/tool", "evil tool");
  SECTION("a walk found it") {
    fixture.walk_all();
    fixture.scratch.write("layer/usr/bin/tool", "tool");
  }
  SECTION("nobody did") {}
  CHECK(fixture.identify(task).layer.evidence.tampered == "/usr/bin/tool (content, size, time)");
}

TEST_CASE("a directory that makes room for another one is told", "[agent][unit]") {
  Fixture fixture;
  LayerTask task = fixture.layer("store/id/diff");
  fixture.identify(task);
  SECTION("beside it") {
    fs::rename(fixture.scratch.path("store/id/diff"), fixture.scratch.path("store/id/old"));
    fixture.running[0].layer.name = fixture.scratch.path("store/id/old");
  }
  SECTION("with its folder") {
    fs::rename(fixture.scratch.path("store/id"), fixture.scratch.path("store/old"));
    fixture.running[0].layer.name = fixture.scratch.path("store/old/diff");
  }
  SECTION("elsewhere under the same names") {
    fs::create_directory(fixture.scratch.path("elsewhere"));
    fs::rename(fixture.scratch.path("store/id"), fixture.scratch.path("elsewhere/id"));
    fixture.running[0].layer.name = fixture.scratch.path("elsewhere/id/diff");
  }
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tampered.starts_with("the layer's directory (moved or replaced, it is "));
}

TEST_CASE("a directory that was there and is gone is told", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.walk_all();
  fs::remove_all(fixture.scratch.path("layer"));
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tampered == "the layer's directory (removed)");
}

TEST_CASE("a directory that never could be opened is a failure", "[agent][unit]") {
  Fixture fixture;
  fixture.running.push_back(task_for(fixture.scratch.path("nothing")));
  fixture.walk_all();
  CHECK(fixture.take_told().empty());
  CHECK(fixture.rewalker->counts().failed == 1);
  CHECK(fixture.failures.size() == 1);
}

TEST_CASE("a directory that was there and cannot be looked for is a failure", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.walk_all();
  fixture.opener.error = ErrorCode::kUnavailable;
  fs::rename(fixture.scratch.path("layer"), fixture.scratch.path("away"));
  fixture.walk_all();
  fs::rename(fixture.scratch.path("away"), fixture.scratch.path("layer"));
  fixture.walk_all();
  CHECK(fixture.take_told().empty());
  CHECK(fixture.rewalker->counts().failed == 1);
  CHECK(fixture.failures.size() == 1);
}

TEST_CASE("a start walks its layers at most once an interval", "[agent][unit]") {
  Fixture fixture;
  const LayerTask task = fixture.layer();
  fixture.identify(task);
  const auto start = [&] {
    fixture.rewalker->on_start(task);
    fixture.wait();
  };
  start();
  start();
  CHECK(fixture.rewalker->counts().walks == 1);
  fixture.clock.pass(30s);
  start();
  CHECK(fixture.rewalker->counts().walks == 1);
  fixture.clock.pass(30s);
  start();
  CHECK(fixture.rewalker->counts().walks == 2);
}

TEST_CASE("a round comes once an interval, and not before", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  const auto tick = [&](BootTime later) {
    fixture.clock.pass(later);
    fixture.rewalker->on_tick();
    fixture.wait();
    return fixture.rewalker->counts().walks;
  };
  CHECK(tick(59s) == 0);
  CHECK(tick(1s) == 1);
  CHECK(tick(1s) == 1);
  CHECK(tick(59s) == 2);
  fixture.rewalker->set_interval(5s);
  CHECK(tick(4s) == 2);
  CHECK(tick(1s) == 3);
  fixture.rewalker->set_interval(0s);
  CHECK(tick(1h) == 3);
  fixture.rewalker->on_start(fixture.running[0]);
  fixture.wait();
  CHECK(fixture.rewalker->counts().walks == 3);
}

TEST_CASE("a layer without a record gets one by the second round", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.records.lose(7);
  fixture.walk_all();
  CHECK(fixture.rewalker->counts().walks == 0);  // it may be in identification just now
  fixture.walk_all();
  CHECK(fixture.rewalker->counts().walks == 1);
  fixture.scratch.write("layer/new", "new");
  fixture.walk_all();
  REQUIRE(fixture.take_told().size() == 1);
}

TEST_CASE("a layer that grew over a limit is told, one that always was is counted",
          "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  image::FingerprintLimits limits;
  limits.max_content_bytes = 100;
  fixture.rewalker->set_limits(limits);
  fixture.scratch.write("layer/large", std::string(1000, 'x'));
  SECTION("it has a record") {
    fixture.walk_all();
    const auto told = fixture.take_told();
    REQUIRE(told.size() == 1);
    CHECK(told[0].tampered == "the layer (grown over the limits of a walk)");
  }
  SECTION("it has none") {
    fixture.records.lose(7);
    for (int round = 1; round <= 4; ++round)
      fixture.walk_all();
    CHECK(fixture.take_told().empty());
    CHECK(fixture.failures.size() == 1);  // said once, counted each time
    CHECK(fixture.rewalker->counts().failed == 3);
  }
}

image::RecordLimits entries(std::uint64_t most) {
  image::RecordLimits limits;
  limits.max_entries = most;
  return limits;
}

TEST_CASE("a layer too large for a record is not read until it is identified anew",
          "[agent][unit]") {
  Fixture fixture;
  const LayerTask task = fixture.layer();
  std::uint64_t tried = 0;
  SECTION("the walk that identifies it finds that") {
    fixture.identify(task, entries(3));
  }
  SECTION("the second round finds that") {
    tried = 1;
  }
  fixture.rewalker = fixture.make(entries(3));
  for (int round = 1; round <= 4; ++round)
    fixture.walk_all();
  CHECK(fixture.failures.size() == tried);
  CHECK(fixture.rewalker->counts().failed == 4 - tried);
  fixture.rewalker = fixture.make(entries(3));  // after a restart
  for (int round = 1; round <= 2; ++round)
    fixture.walk_all();
  CHECK(fixture.failures.size() == tried);
  CHECK(fixture.take_told().empty());

  fixture.identify(task);
  fixture.rewalker = fixture.make();
  fixture.scratch.write("layer/new", "new");
  fixture.walk_all();
  CHECK(fixture.take_told().size() == 1);
}

TEST_CASE("a layer that grew over the limits of a record is told once, and not read again",
          "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  fixture.scratch.write("layer/new", "new");
  fixture.rewalker = fixture.make(entries(6));
  for (int round = 1; round <= 3; ++round)
    fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 3);
  CHECK(told[0].is_news);
  CHECK_FALSE(told[1].is_news);
  CHECK(told[2].tampered == kGrown);
  CHECK(fixture.rewalker->counts().failed == 2);
}

TEST_CASE("a layer did not grow when a limit was lowered", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  image::FingerprintLimits limits;
  limits.max_entries = 3;
  fixture.rewalker->set_limits(limits);
  fixture.walk_all();
  CHECK(fixture.take_told().empty());
  CHECK(fixture.rewalker->counts().failed == 1);
  fixture.rewalker->set_limits({});  // and its record is still there
  fixture.scratch.write("layer/new", "new");
  fixture.walk_all();
  CHECK(fixture.take_told().size() == 1);
}

TEST_CASE("a record that cannot be read is not replaced", "[agent][unit]") {
  Fixture fixture;
  const LayerTask task = fixture.layer();
  fixture.identify(task);
  fixture.scratch.write("layer/usr/bin/tool", "evil tool");
  fixture.records.is_broken = true;
  fixture.walk_all();
  fixture.walk_all();
  CHECK(fixture.failures.size() == 2);
  CHECK(fixture.rewalker->counts().failed == 2);
  const LayerResult unsure = fixture.identify(task);  // not known is not the same as not changed
  CHECK_THAT(unsure.layer.evidence.gap, Catch::Contains("disk I/O error"));
  CHECK(fixture.take_told().empty());
  fixture.records.is_broken = false;
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tampered == "/usr/bin/tool (content, size, time)");
}

TEST_CASE("what is known already is no news, however long it is", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  for (int i = 0; i < 1000; ++i)
    fixture.scratch.write("layer/new/" + std::to_string(i), "");
  fixture.walk_all();
  const auto first = fixture.take_told();
  REQUIRE(first.size() == 1);
  const char* said = kRemoved.data();
  SECTION("removed") {
    fs::remove_all(fixture.scratch.path("layer"));
  }
  SECTION("grown") {
    image::FingerprintLimits limits;
    limits.max_content_bytes = 100;
    fixture.rewalker->set_limits(limits);
    fixture.scratch.write("layer/large", std::string(1000, 'x'));
    said = kGrown.data();
  }
  for (int round = 1; round <= 3; ++round)
    fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 3);
  CHECK(told[0].is_news);
  CHECK(told[0].tampered == std::string(said) + "; " + first[0].tampered);
  for (std::size_t round = 1; round <= 2; ++round) {
    CHECK_FALSE(told[round].is_news);
    CHECK(told[round].tampered == told[0].tampered);
  }
}

TEST_CASE("there is always room for what is true of the whole layer", "[agent][unit]") {
  image::RecordDifference difference;
  for (int i = 0; i < 64; ++i)
    difference.named.push_back("/" + std::to_string(i) + std::string(30, 'x') + " (added)");
  difference.changed = 1'000'000'000'000;
  const std::string text =
      add_of_whole(add_of_whole(add_changes("", difference), kRemoved), kGrown);
  CHECK(text.size() <= kMaxTamperedBytes + 64);  // with the count of the others
  CHECK(add_of_whole(text, kRemoved) == text);
  CHECK(add_of_whole(text, kGrown) == text);
  CHECK(add_changes(text, {}) == text);
}

TEST_CASE("where no record is kept, none is compared", "[agent][unit]") {
  Fixture fixture;
  fixture.opener.is_cacheable = false;
  fixture.identify(fixture.layer());
  fixture.walk_all();
  CHECK(fixture.rewalker->counts().unrecorded == 1);
  CHECK(fixture.rewalker->counts().walks == 0);
  LayerTask unknown = fixture.running[0];
  unknown.layer.generation = 0;  // proves nothing
  fixture.running = {unknown};
  fixture.walk_all();
  CHECK(fixture.rewalker->counts().unrecorded == 1);
}

TEST_CASE("an inode that another layer took over has no past", "[agent][unit]") {
  Fixture fixture;
  LayerTask task = fixture.layer();
  fixture.identify(task);
  fs::remove_all(fixture.scratch.path("layer"));
  fixture.scratch.write("layer/other", "of another image");
  ++task.layer.generation;
  fixture.running = {task};
  CHECK(fixture.identify(task).layer.evidence.tampered.empty());
  fixture.walk_all();
  CHECK(fixture.take_told().empty());
}

TEST_CASE("many changes are counted, and the first ones named", "[agent][unit]") {
  Fixture fixture;
  fixture.identify(fixture.layer());
  for (int i = 0; i < 1000; ++i)
    fixture.scratch.write("layer/new/" + std::to_string(i), "");
  fixture.walk_all();
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  const std::string& text = told[0].tampered;
  CHECK(text.starts_with("/new (added); /new/0 (added)"));
  CHECK(text.size() <= kMaxTamperedBytes + 64);
  CHECK(text.ends_with(" more"));
  const auto named = static_cast<std::size_t>(std::count(text.begin(), text.end(), '('));
  CHECK(text.ends_with("; and " + std::to_string(1001 - named) + " more"));
}

TEST_CASE("further changes join what is known", "[agent][unit]") {
  image::RecordDifference difference;
  difference.named = {"/a (mode)", "/b (added)"};
  difference.changed = 2;
  CHECK(add_changes("", difference) == "/a (mode); /b (added)");
  CHECK(add_changes("/a (mode)", difference) == "/a (mode); /b (added)");
  CHECK(add_changes("/a (mode); /b (added)", difference) == "/a (mode); /b (added)");
  difference.changed = 10;
  CHECK(add_changes("/c (removed)", difference) ==
        "/c (removed); /a (mode); /b (added); and 8 more");
  CHECK(add_changes("/a (mode); and 3 more", difference) == "/a (mode); /b (added); and 11 more");
  difference.named.clear();
  CHECK(add_changes("", difference) == "and 10 more");
  CHECK(add_changes("and 10 more", difference) == "and 20 more");
}

}  // namespace
}  // namespace assay::agent
