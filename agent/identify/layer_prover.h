// SPDX-License-Identifier: Apache-2.0
// Holds one layer's directory against the tar stream that its store keeps, and that against its
// diff ID.
#pragma once

#include <optional>
#include <stop_token>

#include "agent/core/exact.h"
#include "common/image/fingerprint.h"

namespace assay::agent {

struct Proof {
  ExactOutcome outcome;
  std::optional<LayerExact> exact;  ///< with kExact
  std::optional<LayerKey> key;      ///< of the cache; when the directory was looked at
};

/// Stateless: remembers nothing of a layer. Thread-safe.
class LayerProver {
 public:
  struct Ports {
    LayerOpener& opener;
    ClaimReader& claims;
    StreamOpener& streams;
  };
  explicit LayerProver(Ports ports) : ports_(ports) {}

  /// A difference counts when a second look finds one again: directories change while they are
  /// read. Errors: as of ExactChecker::check.
  Result<Proof> prove(const LayerTask& task, const image::FingerprintLimits& limits,
                      const std::stop_token& stop) const;

 private:
  const Ports ports_;
};

}  // namespace assay::agent
