// SPDX-License-Identifier: Apache-2.0
// One layer that somebody asks about, and orders to verify.
#include <sys/stat.h>

#include <filesystem>

#include "agent/identify/verify_desk.h"
#include "tests/unit/agent/rewalk_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
namespace fs = std::filesystem;
using catalog::LayerOutcome;
using catalog::VerifiedLayer;
using catalog::VerifyDone;

struct Fixture : RewalkFixture {
  /// What the auditor knows of a layer that was identified.
  VerifyTask known(const LayerTask& task, const image::RecordLimits& limits = {}) {
    const LayerResult result = identify(task, limits);
    VerifyTask verify{task, {}, ""};
    verify.known.shape = result.layer.evidence.shape;
    verify.known.content = result.layer.evidence.content;
    return verify;
  }
  VerifiedLayer verify(const VerifyTask& task, const std::stop_token& stop = {}) {
    return rewalker->verify(task, {}, stop);
  }
};

TEST_CASE("a layer that is as it was is read wholly and is as recorded", "[agent][unit]") {
  Fixture fixture;
  const VerifyTask task = fixture.known(fixture.layer());
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kAsRecorded);
  CHECK(found.checked == std::vector<std::string>{"record", "content"});
  CHECK(found.files_read == 2);  // though neither looks changed
  CHECK(found.bytes_read == 8);
  CHECK(found.content == task.known.content);
  CHECK(fixture.take_told().empty());
}

TEST_CASE("bytes that changed behind equal metadata are found by reading them", "[agent][unit]") {
  Fixture fixture;
  const LayerTask layer = fixture.layer();
  const VerifyTask task = fixture.known(layer);
  // As if the disk had been written below the file system: the record has another digest, and
  // everything that lstat shows is the same.
  const catalog::LayerInstance instance{"uuid:1", 7, 5, 1};
  auto kept = fixture.records.find_record(instance);
  REQUIRE(kept);
  REQUIRE(*kept);
  auto record = image::NodeRecord::decode((*kept)->record);
  REQUIRE(record);
  for (image::RecordEntry& entry : record->entries)
    if (entry.path == "usr/bin/tool") entry.digest->bytes[0] ^= 1U;
  REQUIRE(fixture.records.keep_record(instance, {*record->encode(), ""}));
  fixture.walk_all();
  CHECK(fixture.take_told().empty());  // a walk on the schedule reads what looks changed
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kChanged);
  CHECK(found.changes == std::vector<std::string>{"/usr/bin/tool (content)"});
  const auto told = fixture.take_told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tampered == "/usr/bin/tool (content)");
  CHECK(told[0].is_news);
}

TEST_CASE("what was found once is never as recorded again", "[agent][unit]") {
  Fixture fixture;
  const VerifyTask task = fixture.known(fixture.layer());
  fixture.scratch.write("layer/usr/bin/tool", "evil tool");
  CHECK(fixture.verify(task).changes ==
        std::vector<std::string>{"/usr/bin/tool (content, size, time)"});
  const VerifiedLayer again = fixture.verify(task);
  CHECK(again.outcome == LayerOutcome::kChanged);
  CHECK(again.changes.empty());
  CHECK(again.tampered == "/usr/bin/tool (content, size, time)");
}

TEST_CASE("without a record the content of the first reading counts", "[agent][unit]") {
  Fixture fixture;
  SECTION("none is kept on its file system") {
    fixture.opener.is_cacheable = false;
  }
  SECTION("it was lost") {}
  const VerifyTask task = fixture.known(fixture.layer());
  fixture.records.lose(7);
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kAsRecorded);
  CHECK(found.checked == std::vector<std::string>{"content"});
  fixture.records.lose(7);
  fixture.scratch.write("layer/usr/bin/tool", "evil");
  const VerifiedLayer changed = fixture.verify(task);
  CHECK(changed.outcome == LayerOutcome::kChanged);
  CHECK(changed.tampered == "the layer (content, not as it was first read)");
  REQUIRE(fixture.take_told().size() == 1);
}

TEST_CASE("ids that are not known any more make no change of a content", "[agent][unit]") {
  Fixture fixture;
  VerifyTask task = fixture.known(fixture.layer());
  fixture.records.lose(7);
  task.task.start = {};  // nothing is remembered of the container
  task.known.content->bytes[0] ^= 1U;
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kNoRecord);
  CHECK_THAT(found.reason, Catch::Contains("ids of its container are not known"));
  CHECK(fixture.take_told().empty());
}

TEST_CASE("a layer of which nothing is kept is not told as clean", "[agent][unit]") {
  Fixture fixture;
  VerifyTask task{fixture.layer(), {}, ""};
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kNoRecord);
  CHECK_THAT(found.reason, Catch::Contains("content was not read to its end before"));
  task.unreadable = "a root without layers";
  CHECK(fixture.verify(task).reason == "a root without layers");
}

TEST_CASE("a layer at which nobody could look is not told as clean", "[agent][unit]") {
  Fixture fixture;
  const VerifyTask task = fixture.known(fixture.layer());
  SECTION("its directory cannot be opened") {
    fixture.opener.error = ErrorCode::kUnavailable;
    fs::rename(fixture.scratch.path("layer"), fixture.scratch.path("away"));
    CHECK(fixture.verify(task).outcome == LayerOutcome::kNotChecked);
  }
  SECTION("its record cannot be read") {
    fixture.records.is_broken = true;
    const VerifiedLayer found = fixture.verify(task);
    CHECK(found.outcome == LayerOutcome::kNotChecked);
    CHECK_THAT(found.reason, Catch::Contains("disk I/O error"));
  }
  SECTION("it was stopped") {
    std::stop_source stop;
    stop.request_stop();
    const VerifiedLayer found = fixture.verify(task, stop.get_token());
    CHECK(found.outcome == LayerOutcome::kNotChecked);
    CHECK_THAT(found.reason, Catch::Contains("stopped"));
  }
  CHECK(fixture.take_told().empty());
}

TEST_CASE("a directory that is gone is a change", "[agent][unit]") {
  Fixture fixture;
  const VerifyTask task = fixture.known(fixture.layer());
  REQUIRE(fixture.verify(task).outcome == LayerOutcome::kAsRecorded);
  fs::remove_all(fixture.scratch.path("layer"));
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kChanged);
  CHECK(found.tampered == "the layer's directory (removed)");
}

TEST_CASE("a layer that is too large for a record is compared by its content", "[agent][unit]") {
  Fixture fixture;
  image::RecordLimits small;
  small.max_entries = 3;
  fixture.rewalker = fixture.make(small);
  const VerifyTask task = fixture.known(fixture.layer(), small);
  const VerifiedLayer found = fixture.verify(task);
  CHECK(found.outcome == LayerOutcome::kAsRecorded);
  CHECK(found.checked == std::vector<std::string>{"content"});
}

struct SaysExact final : ExactChecker {
  Result<ExactOutcome> check(const LayerTask&, const std::stop_token&) override {
    if (error) return *error;
    return outcome;
  }
  ExactOutcome outcome;
  std::optional<Error> error;
};

/// A desk, and all that came of its orders.
struct DeskFixture : Fixture {
  std::vector<VerifyTask> tasks;
  std::vector<catalog::VerifiedContainer> runs;
  std::vector<VerifiedLayer> views;
  std::optional<Error> find_error;
  bool finds = true;
  SaysExact exact;
  std::mutex events_mutex;
  std::condition_variable changed;
  std::vector<catalog::VerifyEvent> events;
  std::vector<VerifyDone> done;
  std::unique_ptr<VerifyDesk> desk =
      std::make_unique<VerifyDesk>(VerifyDesk::Ports{*rewalker,
                                                     [this](const std::string&, const auto& then) {
                                                       if (!finds) return;
                                                       if (find_error) return then(*find_error);
                                                       then(VerifyScope{tasks, runs});
                                                     },
                                                     [this](const auto& of, const auto& then) {
                                                       if (of.size() == views.size()) then(views);
                                                     },
                                                     &exact});

  Result<std::uint64_t> order(const VerifyOrder& wanted = {}) {
    return desk->order(wanted, [this](const catalog::VerifyEvent& event) {
      const std::lock_guard lock(events_mutex);
      events.push_back(event);
      if (const auto* last = std::get_if<VerifyDone>(&event)) done.push_back(*last);
      changed.notify_all();
      return true;
    });
  }
  VerifyDone wait(std::size_t orders = 1) {
    std::unique_lock lock(events_mutex);
    REQUIRE(changed.wait_for(lock, kDeadline, [&] { return done.size() >= orders; }));
    return done.back();
  }
  std::vector<VerifiedLayer> layers() {
    const std::lock_guard lock(events_mutex);
    std::vector<VerifiedLayer> all;
    for (const auto& event : events)
      if (const auto* one = std::get_if<VerifiedLayer>(&event)) all.push_back(*one);
    return all;
  }
  ~DeskFixture() { desk.reset(); }
};

TEST_CASE("an order tells how many layers, each of them, and its end", "[agent][unit]") {
  DeskFixture fixture;
  fixture.tasks = {fixture.known(fixture.layer()), fixture.known(fixture.layer("other", 8))};
  REQUIRE(fixture.order());
  CHECK(fixture.wait() == VerifyDone{});
  CHECK(std::get<catalog::VerifyBegun>(fixture.events.front()).layers == 2);
  REQUIRE(fixture.layers().size() == 2);
  CHECK(fixture.layers()[1].outcome == LayerOutcome::kAsRecorded);
  CHECK(fixture.desk->counts().layers == 2);
  CHECK(fixture.desk->counts().waiting == 0);
}

TEST_CASE("what running containers see is told after their layers", "[agent][unit]") {
  DeskFixture fixture;
  fixture.tasks = {fixture.known(fixture.layer())};
  fixture.runs = {{"run-1", "c0ffee", "web"}};
  SECTION("when somebody looked") {
    VerifiedLayer view;
    view.outcome = LayerOutcome::kChanged;
    view.checked = {std::string(catalog::kCheckedView)};
    fixture.views = {view};
    REQUIRE(fixture.order());
    CHECK(fixture.wait() == VerifyDone{});
    REQUIRE(fixture.layers().size() == 2);
    CHECK(fixture.layers()[1] == view);
  }
  SECTION("and nobody's answer is not clean") {
    REQUIRE(fixture.order({"", 300ms}));
    CHECK(fixture.wait().error == ErrorCode::kUnavailable);
  }
}

TEST_CASE("what is not found is the end of the order", "[agent][unit]") {
  DeskFixture fixture;
  fixture.find_error = Error{ErrorCode::kNotFound, "no such container"};
  REQUIRE(fixture.order());
  CHECK(fixture.wait() == VerifyDone{ErrorCode::kNotFound, "no such container"});
}

TEST_CASE("an order ends when its time is over", "[agent][unit]") {
  DeskFixture fixture;
  fixture.finds = false;  // an auditor that does not answer
  REQUIRE(fixture.order({"", 100ms}));
  const VerifyDone done = fixture.wait();
  CHECK(done.error == ErrorCode::kUnavailable);
  CHECK_THAT(done.message, Catch::Contains("not done within the time"));
}

TEST_CASE("only so many orders wait, and a cancelled one makes room", "[agent][unit]") {
  DeskFixture fixture;
  fixture.finds = false;
  std::vector<std::uint64_t> taken;
  for (;;) {
    const auto order = fixture.order();
    if (!order) {
      CHECK(order.error().code == ErrorCode::kLimitExceeded);
      break;
    }
    taken.push_back(*order);
    REQUIRE(taken.size() <= 8);
  }
  CHECK(taken.size() == 8);
  fixture.desk->cancel(taken[0]);
  CHECK(fixture.wait().error == ErrorCode::kCancelled);
  CHECK(fixture.order());
  CHECK(fixture.desk->counts().refused == 1);
  CHECK(fixture.order({std::string(600, 'x'), 1s}).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("a desk that goes ends what waits", "[agent][unit]") {
  DeskFixture fixture;
  fixture.finds = false;
  REQUIRE(fixture.order());
  fixture.desk.reset();
  CHECK(fixture.done.size() <= 1);
}

TEST_CASE("the exact check adds to what the record says", "[agent][unit]") {
  DeskFixture fixture;
  fixture.tasks = {fixture.known(fixture.layer())};
  LayerOutcome expected = LayerOutcome::kAsRecorded;
  SECTION("the stream agrees") {
    fixture.exact.outcome.status = ExactStatus::kExact;
    REQUIRE(fixture.order());
    fixture.wait();
    CHECK(fixture.layers()[0].checked == std::vector<std::string>{"record", "content", "exact"});
  }
  SECTION("there is none") {
    REQUIRE(fixture.order());
    fixture.wait();
    CHECK(fixture.layers()[0].checked == std::vector<std::string>{"record", "content"});
  }
  SECTION("it differs") {
    fixture.exact.outcome.status = ExactStatus::kDiffers;
    fixture.exact.outcome.paths = {"/etc/passwd (content)"};
    expected = LayerOutcome::kChanged;
    REQUIRE(fixture.order());
    fixture.wait();
    CHECK(fixture.layers()[0].changes == fixture.exact.outcome.paths);
  }
  SECTION("it cannot be looked at") {
    fixture.exact.error = Error{ErrorCode::kUnavailable, "disk I/O error"};
    expected = LayerOutcome::kNotChecked;
    REQUIRE(fixture.order());
    fixture.wait();
    CHECK(fixture.layers()[0].reason == "exact check: disk I/O error");
  }
  CHECK(fixture.layers()[0].outcome == expected);
}

}  // namespace
}  // namespace assay::agent
