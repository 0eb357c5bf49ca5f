// SPDX-License-Identifier: Apache-2.0
// The contract's part about what is no run: the catalog's log, file sets of bases, nodes.
#include "tests/unit/collector/store_contract.h"

#include "common/base/sha256.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

void check_base_file_sets(const OpenStore& open) {
  const FileSetDigest digest{sha256("a base's files").bytes};
  {
    const auto store = open();
    CHECK(store->base_file_sets({digest})->empty());
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_TRY(writer.append_catalog({1, "one", "head", "user:x", 5, {"a base's files"}}));
      return writer.append_catalog({2, "two", "head", "user:x", 5, {"a base's files"}});
    });
  }
  const auto store = open();
  CHECK(*store->base_file_sets({FileSetDigest{}, digest}) ==
        std::vector<std::string>{"a base's files"});
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const std::string bytes, writer.base_file_set(digest));
    CHECK(bytes == "a base's files");
    ASSAY_ASSIGN(const std::string nothing, writer.base_file_set(FileSetDigest{}));
    CHECK(nothing.empty());
    return ok();
  });
}

void check_catalog(const OpenStore& open) {
  {
    const auto store = open();
    CHECK(store->load_catalog()->statements.empty());
    write(*store, [](StoreWriter& writer) -> Result<void> {
      ASSAY_TRY(writer.append_catalog({1, "one", "head-1", "user:x", 5}));
      ASSAY_TRY(writer.append_catalog({2, std::string("t\0wo", 4), "head-2", "user:x", 6}));
      return writer.set_round({7, 2, 99});
    });
    const auto again = store->write([](StoreWriter& writer) {
      return writer.append_catalog({2, "fork", "head", "user:y", 7});
    });
    CHECK_FALSE(again);
  }
  const auto store = open();
  const auto log = store->load_catalog();
  REQUIRE(log);
  CHECK(log->statements == std::vector<std::string>{"one", std::string("t\0wo", 4)});
  CHECK(log->head == "head-2");
  CHECK(store->load_round()->round == 7);
  CHECK(store->load_round()->began_ns == 99);
}

void check_nodes(const OpenStore& open) {
  {
    const auto store = open();
    NodeView node;
    node.key = kNode;
    node.last_seen_ns = 77;
    node.heartbeat.probe_state = "seen";
    node.heartbeat.catalog_is_stale = true;
    node.acknowledged = 12;
    node.heartbeat_ns = 76;
    node.clock_offset_ns = -5;
    node.address = "ipv4:10.0.0.1:1";
    node.heartbeat.probe_is_attached = true;
    node.heartbeat.late_starts = 3;
    node.heartbeat.outbox_oldest_ns = 70;
    node.heartbeat.degraded = {{"catalog-stale", "why"}};
    write(*store, [&](StoreWriter& writer) { return writer.save_node(node); });
  }
  const auto nodes = open()->load_nodes();
  REQUIRE(nodes->size() == 1);
  CHECK(nodes->front().key == kNode);
  CHECK(nodes->front().heartbeat.probe_state == "seen");
  CHECK(nodes->front().heartbeat.catalog_is_stale);
  CHECK(nodes->front().acknowledged == 12);
  CHECK(nodes->front().heartbeat_ns == 76);
  CHECK(nodes->front().clock_offset_ns == -5);
  CHECK(nodes->front().address == "ipv4:10.0.0.1:1");
  CHECK(nodes->front().heartbeat.probe_is_attached);
  CHECK_FALSE(nodes->front().heartbeat.probe_has_seen);
  CHECK(nodes->front().heartbeat.late_starts == 3);
  CHECK(nodes->front().heartbeat.outbox_oldest_ns == 70);
  CHECK(nodes->front().heartbeat.degraded == std::vector<Degradation>{{"catalog-stale", "why"}});
  CHECK_FALSE(nodes->front().is_state_wanted);
}

}  // namespace

void check_catalog_contract(const OpenStore& open) {
  SECTION("the catalog's log only grows") {
    check_catalog(open);
  }
  SECTION("file sets of bases stay beside the log") {
    check_base_file_sets(open);
  }
  SECTION("nodes are kept") {
    check_nodes(open);
  }
}

}  // namespace assay::collector::tests
