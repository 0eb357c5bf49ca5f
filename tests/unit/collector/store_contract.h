// SPDX-License-Identifier: Apache-2.0
// What every store must do. A backend's test calls this once with a way to open the same store
// again and again.
#pragma once

#include <functional>
#include <memory>

#include "collector/core/store.h"

namespace assay::collector::tests {

using OpenStore = std::function<std::unique_ptr<Store>()>;

/// To be called inside a TEST_CASE: each behaviour is a SECTION.
void check_store_contract(const OpenStore& open);
/// Its parts about the catalog and nodes, about scans, about what is over, and about people; called
/// by it.
void check_catalog_contract(const OpenStore& open);
void check_scan_contract(const OpenStore& open);
void check_retention_contract(const OpenStore& open);
void check_people_contract(const OpenStore& open);

inline const NodeKey kNode{"test", "node-1"};

/// Writes and expects success.
void write(Store& store, const std::function<Result<void>(StoreWriter&)>& work);

}  // namespace assay::collector::tests
