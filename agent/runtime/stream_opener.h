// SPDX-License-Identifier: Apache-2.0
// Opens tar-splits and blobs in runtimes' stores.
#pragma once

#include "agent/core/exact.h"

namespace assay::agent {

/// Keeps nothing open between two calls. Thread-safe. Blocks on disk.
class StoreStreamOpener final : public StreamOpener {
 public:
  Result<UniqueFd> open(const StreamPlace& place) override;
};

}  // namespace assay::agent
