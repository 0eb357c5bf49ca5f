// SPDX-License-Identifier: Apache-2.0
// A fleet in a collector's store, as large as wanted: nodes, their stacks, and what runs on them.
// For benches and tests of what a store of that size answers.
#pragma once

#include <cstdint>

#include "collector/core/store.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace assay::tests {

struct FleetOptions {
  int nodes = 5000;
  int runs_per_node = 60;
  int stacks_per_node = 20;  ///< of runs_per_node / stacks_per_node runs each
  int bases = 20;            ///< golden bases; every image stands on one of them
  int images = 400;          ///< of the whole fleet
  int base_layers = 3;
  int application_layers = 3;
  int namespaces = 60;
};

/// The bases of the fleet. The first is under every image, with one layer; the others have
/// `base_layers`, that one among them. `revoked`: number of the base that is revoked, -1 for none.
catalog::Catalog fleet_catalog(const FleetOptions& options, std::uint64_t sequence, int revoked);

/// Writes the fleet; every run began at some moment before `now`. Errors: those of the store.
Result<void> fill_with_fleet(collector::Store& store, const FleetOptions& options, WallTime now);

}  // namespace assay::tests
