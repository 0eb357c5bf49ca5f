// SPDX-License-Identifier: Apache-2.0
// An auditor with ports that record, and containers as the probe would tell of them.
#pragma once

#include "common/base/sha256.h"
#include "tests/unit/agent/fakes.h"

namespace assay::agent::tests {

struct Fixture {
  FakeClock clock;
  Recorder journal;
  ManualIdentifier identifier;
  ManualRecords records;
  MemoryOpenRuns& open_runs = journal.open_runs;
  ManualSource source;
  ManualClaims claims;
  Auditor auditor = make();

  Auditor make(AuditorConfig config = {}) {
    config.cluster = "test";
    config.node = "node-1";
    config.boot_id = "boot-1";
    return Auditor({journal,
                    identifier,
                    records,
                    open_runs,
                    source,
                    clock,
                    [](LayerResult) {},
                    {},
                    &claims,
                    [](RunClaims) {}},
                   config);
  }
};

inline constexpr std::uint32_t kOverlay = 0x794c7630;

inline ContainerStart container(std::uint64_t upper, BootTime time, int layers = 2) {
  ContainerStart start;
  start.key = {{40, upper, 7, kOverlay}, 900 + upper};
  start.time = time;
  start.process = {{1000 + static_cast<std::uint32_t>(upper), time}, "sleep"};
  start.mount_namespace = 5000 + upper;
  start.is_overlay = true;
  for (int i = 0; i < layers; ++i) {
    LowerLayer layer;
    layer.device = 65024;
    layer.inode = 100 + static_cast<std::uint64_t>(i);
    layer.generation = 11;
    layer.name = "/store/" + std::to_string(i);
    start.layers.push_back(layer);
  }
  return start;
}

inline LayerResult shape_of(const LowerLayer& layer, bool is_final) {
  LayerResult result;
  result.ref = ref_of(layer);
  result.layer.instance = {"uuid:x", layer.inode, layer.generation, 1};
  result.layer.evidence.shape = ShapeDigest{sha256(std::to_string(layer.inode)).bytes};
  result.is_final = is_final;
  return result;
}

inline SweepCompleted sweep(BootTime began, std::vector<RunKey> live) {
  return {began, began + std::chrono::seconds(1), std::move(live), {}};
}

}  // namespace assay::agent::tests
