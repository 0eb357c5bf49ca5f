// SPDX-License-Identifier: Apache-2.0
// Who can be asked what a runtime says of a run.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "agent/runtime/kernel_layers.h"
#include "agent/runtime/store_record.h"

namespace assay::agent {

/// One kind of store. Each source has a thread of its own, so that one that hangs holds up no
/// other. Called on that thread only.
class ClaimSource {
 public:
  virtual ~ClaimSource() = default;
  /// Of its thread, at most 15 bytes.
  virtual std::string name() const = 0;
  /// What it says of the run; nothing when it knows none such: the next source is asked then.
  virtual std::optional<StoreRecord> read(const ClaimTask& task, const KernelLayers& kernel,
                                          const std::stop_token& stop) = 0;
};

}  // namespace assay::agent
