// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt to connect.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace assay::agent {

/// Doubles from `least` to `most`; each wait is drawn evenly from its upper half, so that agents
/// that lost the same collector do not come back at the same moment. Not thread-safe.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds least, std::chrono::milliseconds most, std::uint32_t seed)
      : least_(least), most_(most), next_(least), random_(seed) {}

  std::chrono::milliseconds next() {
    const auto ceiling = next_;
    next_ = std::min(most_, next_ * 2);
    std::uniform_int_distribution<std::int64_t> within(ceiling.count() / 2, ceiling.count());
    return std::chrono::milliseconds(within(random_));
  }
  void reset() { next_ = least_; }

 private:
  const std::chrono::milliseconds least_;
  const std::chrono::milliseconds most_;
  std::chrono::milliseconds next_;
  std::mt19937 random_;
};

}  // namespace assay::agent
