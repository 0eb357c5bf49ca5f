// SPDX-License-Identifier: Apache-2.0
// Brings what the door learns of a peer to the port's gate, which is made later and ends before.
#pragma once

#include "collector/app/port_gate.h"
#include "collector/core/ports.h"
#include "common/base/mutex.h"

namespace assay::collector {

/// Thread-safe. Must outlive the door and the server.
class ProofRelay final : public PeerProof {
 public:
  void proven(const std::string& peer) override {
    const auto address = PeerAddress::parse(peer);
    const MutexLock lock(mutex_);
    if (gate_ != nullptr && address) gate_->prove(*address);
  }
  /// `gate` must live until the next call. Null: to none.
  void lead_to(PortGate* gate) {
    const MutexLock lock(mutex_);
    gate_ = gate;
  }

 private:
  Mutex mutex_;
  PortGate* gate_ ASSAY_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace assay::collector
