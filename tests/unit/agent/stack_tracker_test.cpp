// SPDX-License-Identifier: Apache-2.0
#include "agent/core/stack_tracker.h"

#include <catch2/catch.hpp>

namespace assay::agent {
namespace {

constexpr LayerRef kBase{1, 10, 7};
constexpr LayerRef kApplication{1, 11, 7};
const std::string kWhat = "/bin/ls (mode)";

template <typename D>
D filled(std::uint8_t byte) {
  D digest;
  digest.bytes.fill(byte);
  return digest;
}

/// A base that is known, and an application layer that is still being read.
catalog::Stack half_known_stack() {
  catalog::Stack stack{"test", "node-1", std::vector<catalog::StackLayer>(2), ""};
  stack.layers[0].instance.inode = kBase.inode;
  stack.layers[0].evidence.content = filled<ContentDigest>(1);
  stack.layers[1].instance.inode = kApplication.inode;
  return stack;
}

LayerResult content_of_application() {
  LayerResult result;
  result.ref = kApplication;
  result.layer.instance.inode = kApplication.inode;
  result.layer.evidence.content = filled<ContentDigest>(2);
  result.is_final = true;
  return result;
}

StackDigest add_run(StackTracker& tracker) {
  return tracker.add_run(half_known_stack(), {kBase, kApplication}, {true, false});
}

TEST_CASE("a layer that was changed concerns no stack on which nothing runs", "[agent][unit]") {
  StackTracker tracker(10);
  const StackDigest told = add_run(tracker);
  tracker.remove_run(told);
  CHECK_FALSE(tracker.lacks({kBase, kWhat}));
  CHECK(tracker.apply(LayerTampering{kBase, kWhat}).empty());
  const auto changes = tracker.apply(content_of_application());
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].from == told);
  CHECK(changes[0].stack->layers[0].evidence.tampered.empty());
}

TEST_CASE("evidence that comes after a layer was changed reaches the runs of before, too",
          "[agent][unit]") {
  StackTracker tracker(10);
  const StackDigest told = add_run(tracker);
  add_run(tracker);
  tracker.remove_run(told);  // one ended, one goes on
  const auto changed = tracker.apply(LayerTampering{kBase, kWhat});
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].from == told);
  CHECK(changed[0].stack->layers[0].evidence.tampered == kWhat);
  const auto changes = tracker.apply(content_of_application());
  REQUIRE(changes.size() == 2);
  for (const StackChange& change : changes) {
    const bool is_of_before = change.from == told;
    CHECK((is_of_before || change.from == changed[0].to));
    CHECK(change.stack->layers[0].evidence.tampered == (is_of_before ? "" : kWhat));
    CHECK(change.stack->layers[1].evidence.content);
  }
  CHECK(changes[0].from != changes[1].from);
  CHECK(tracker.entries().size() == 1);  // of the run that goes on
}

}  // namespace
}  // namespace assay::agent
