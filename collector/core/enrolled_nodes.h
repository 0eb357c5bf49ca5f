// SPDX-License-Identifier: Apache-2.0
// The nodes with what is known of their certificates.
#pragma once

#include "collector/core/ports.h"

namespace assay::collector {

/// Thread-safe.
class EnrolledNodes final : public NodeDirectory {
 public:
  /// All references must outlive it.
  EnrolledNodes(const NodeDirectory& nodes, const NodeAdmission& admission,
                const NodeCertifier& certifier)
      : nodes_(nodes), admission_(admission), certifier_(certifier) {}

  std::vector<NodeView> nodes() const override;

 private:
  const NodeDirectory& nodes_;
  const NodeAdmission& admission_;
  const NodeCertifier& certifier_;
};

}  // namespace assay::collector
