// SPDX-License-Identifier: Apache-2.0
// Who is asked, in which order, and what is believed of the answers.
#include "agent/runtime/claim_desk.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <future>

#include "common/base/sha256.h"

namespace assay::agent {
namespace {

using namespace std::chrono_literals;
using Read = std::function<std::optional<StoreRecord>(const ClaimTask&, const std::stop_token&)>;

class FakeSource final : public ClaimSource {
 public:
  explicit FakeSource(Read read) : read_(std::move(read)) {}
  std::string name() const override { return "fake"; }
  std::optional<StoreRecord> read(const ClaimTask& task, const KernelLayers&,
                                  const std::stop_token& stop) override {
    return read_(task, stop);
  }

 private:
  const Read read_;
};

struct NoDirectories final : DirectoryCheck {
  bool is_layer(int, const LowerLayer&) override { return false; }
  bool is_upper(int, const RootIdentity&) override { return false; }
};

DiffId diff_id(const std::string& word) {
  return DiffId{sha256(word).bytes};
}

ContainerStart on_one_layer(std::uint32_t generation = 7) {
  ContainerStart start;
  start.is_overlay = true;
  LowerLayer layer;
  layer.device = 1;
  layer.inode = 2;
  layer.generation = generation;
  start.layers = {layer};
  return start;
}

StoreRecord saying(const std::string& word) {
  StoreRecord record;
  record.store = "the record";
  record.is_complete = true;
  record.layers = {{diff_id(word), std::nullopt, 0}};
  return record;
}

class Desk {
 public:
  explicit Desk(std::vector<Read> sources, ClaimDeskOptions options = {}) {
    std::vector<std::unique_ptr<ClaimSource>> made;
    for (Read& read : sources)
      made.push_back(std::make_unique<FakeSource>(std::move(read)));
    desk = std::make_unique<ClaimDesk>(std::move(made), check_, options);
  }
  std::future<RunClaims> ask(const std::string& run_id,
                             const ContainerStart& start = on_one_layer()) {
    auto promise = std::make_shared<std::promise<RunClaims>>();  // shared with the callback
    auto answer = promise->get_future();
    desk->look_up({run_id, start, {}},
                  [promise](RunClaims claims) { promise->set_value(std::move(claims)); });
    return answer;
  }

 private:
  NoDirectories check_;

 public:
  std::unique_ptr<ClaimDesk> desk;
};

RunClaims must_get(std::future<RunClaims>& answer) {
  REQUIRE(answer.wait_for(60s) == std::future_status::ready);
  return answer.get();
}

TEST_CASE("the sources are asked in turn until one knows the run", "[agent][unit]") {
  std::vector<int> asked;
  Desk desk({[&](const ClaimTask&, const std::stop_token&) {
               asked.push_back(1);
               return std::optional<StoreRecord>();
             },
             [&](const ClaimTask&, const std::stop_token&) {
               asked.push_back(2);
               return std::optional(saying("a"));
             },
             [&](const ClaimTask&, const std::stop_token&) {
               asked.push_back(3);
               return std::optional(saying("b"));
             }});
  auto answer = desk.ask("run");
  const RunClaims claims = must_get(answer);
  CHECK(claims.run_id == "run");
  REQUIRE(claims.layers.size() == 1);
  CHECK(claims.layers[0].diff_id == diff_id("a"));
  CHECK(asked == std::vector<int>{1, 2});
  const LayerRef ref{1, 2, 7};
  REQUIRE(desk.desk->recall(ref));
  CHECK(desk.desk->recall(ref)->diff_id == diff_id("a"));
  CHECK_FALSE(desk.desk->recall({1, 2, 8}));
}

TEST_CASE("a run that nobody knows is answered with nothing", "[agent][unit]") {
  Desk desk(
      {[](const ClaimTask&, const std::stop_token&) { return std::optional<StoreRecord>(); }});
  auto answer = desk.ask("run");
  CHECK(must_get(answer).layers.empty());
  Desk nobody({});
  auto other = nobody.ask("run");
  CHECK(must_get(other).conflicts.empty());
}

TEST_CASE("a conflict counts when a second look finds the same", "[agent][unit]") {
  int looks = 0;
  const auto problem = [](const std::string& text) {
    StoreRecord record = saying("a");
    record.problems = {"the record: " + text};
    return std::optional(record);
  };
  SECTION("it stands") {
    Desk desk({[&](const ClaimTask&, const std::stop_token&) {
      ++looks;
      return problem("broken");
    }});
    auto answer = desk.ask("run");
    const RunClaims claims = must_get(answer);
    CHECK(claims.conflicts == std::vector<std::string>{"the record: broken"});
    CHECK(claims.layers.empty());
    CHECK(looks == 2);
  }
  SECTION("it was a container on its way out") {
    Desk desk({[&](const ClaimTask&, const std::stop_token&) {
      return ++looks == 1 ? problem("broken") : std::nullopt;
    }});
    auto answer = desk.ask("run");
    CHECK(must_get(answer).conflicts.empty());
  }
  SECTION("it was a store at work") {
    Desk desk({[&](const ClaimTask&, const std::stop_token&) {
      return ++looks == 1 ? problem("broken") : std::optional(saying("a"));
    }});
    auto answer = desk.ask("run");
    const RunClaims claims = must_get(answer);
    CHECK(claims.conflicts.empty());
    CHECK(claims.layers.size() == 1);
  }
  SECTION("it never says the same twice") {
    Desk desk({[&](const ClaimTask&, const std::stop_token&) {
      return problem(std::to_string(++looks));
    }});
    auto answer = desk.ask("run");
    const RunClaims claims = must_get(answer);
    CHECK(claims.conflicts.empty());
    CHECK(claims.layers.empty());
    CHECK(looks == 3);
  }
}

TEST_CASE("what a store said of a directory first holds against what it says later",
          "[agent][unit]") {
  std::string word = "a";
  Desk desk(
      {[&](const ClaimTask&, const std::stop_token&) { return std::optional(saying(word)); }});
  auto first = desk.ask("one");
  CHECK(must_get(first).conflicts.empty());
  word = "b";
  auto second = desk.ask("two");
  const RunClaims claims = must_get(second);
  REQUIRE(claims.conflicts.size() == 1);
  CHECK_THAT(claims.conflicts[0], Catch::StartsWith("the record: it says diff ID sha256:") &&
                                      Catch::Contains("inode 2, and said diff ID sha256:"));
  CHECK(claims.layers[0].diff_id == diff_id("a"));
  CHECK(desk.desk->recall({1, 2, 7})->diff_id == diff_id("a"));
  auto third = desk.ask("three", on_one_layer(0));  // generation 0 never proves that it is the same
  CHECK(must_get(third).conflicts.empty());
  CHECK_FALSE(desk.desk->recall({1, 2, 0}));
}

TEST_CASE("a source that hangs holds up neither others nor the end", "[agent][unit]") {
  std::promise<void> hangs;
  Desk desk({[](const ClaimTask& task, const std::stop_token&) {
               return task.run_id == "quick" ? std::optional(saying("a")) : std::nullopt;
             },
             [&](const ClaimTask&, const std::stop_token& stop) {
               hangs.set_value();
               std::mutex mutex;
               std::condition_variable_any never;
               std::unique_lock lock(mutex);
               never.wait(lock, stop, [] { return false; });
               return std::optional<StoreRecord>();
             }},
            {.max_waiting = 1});
  auto slow = desk.ask("slow");
  hangs.get_future().wait();
  auto quick = desk.ask("quick");
  CHECK(must_get(quick).layers.size() == 1);
  auto waits = desk.ask("waits");  // in the hanging source's queue, which is full then
  std::vector<std::future<RunClaims>> more;
  for (int i = 0; i < 3 && desk.desk->dropped() == 0; ++i) {
    more.push_back(desk.ask("too many"));
    (void)more.back().wait_for(60s);
  }
  CHECK(desk.desk->dropped() > 0);
  desk.desk.reset();                                        // joins
  CHECK(slow.wait_for(0s) != std::future_status::timeout);  // its promise went unanswered
}

TEST_CASE("the least recently used directory is forgotten first", "[agent][unit]") {
  Desk desk({[](const ClaimTask&, const std::stop_token&) { return std::optional(saying("a")); }},
            {.max_remembered = 2});
  for (const std::uint32_t generation : {1U, 2U, 3U}) {
    auto answer = desk.ask("run", on_one_layer(generation));
    must_get(answer);
    (void)desk.desk->recall({1, 2, 1});
  }
  CHECK(desk.desk->recall({1, 2, 1}));
  CHECK_FALSE(desk.desk->recall({1, 2, 2}));
  CHECK(desk.desk->recall({1, 2, 3}));
}

}  // namespace
}  // namespace assay::agent
