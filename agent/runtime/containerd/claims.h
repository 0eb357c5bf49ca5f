// SPDX-License-Identifier: Apache-2.0
// Claims from containerd, through the sockets that are configured: of its own containers, of
// Kubernetes', and of docker's where docker keeps its images there.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/runtime/claim_source.h"
#include "agent/runtime/containerd/client.h"

namespace assay::agent {

struct ContainerdOptions {
  std::vector<std::string> sockets = {};
  std::chrono::milliseconds deadline{5000};      ///< of one look-up on one socket
  std::chrono::milliseconds longest_call{2000};  ///< of it, so that one that hangs leaves time
  /// A socket that did not answer is left alone for ten times as long as that took, at most so
  /// long.
  std::chrono::milliseconds max_pause{30'000};
};

class ContainerdClaims final : public ClaimSource {
 public:
  explicit ContainerdClaims(ContainerdOptions options);

  std::string name() const override { return "assay-ctrd"; }
  std::optional<StoreRecord> read(const ClaimTask& task, const KernelLayers& kernel,
                                  const std::stop_token& stop) override;

 private:
  struct Socket {
    std::string path;
    ContainerdClient client;
    std::chrono::steady_clock::time_point paused_until{};
  };

  const ContainerdOptions options_;
  std::vector<Socket> sockets_;
};

}  // namespace assay::agent
