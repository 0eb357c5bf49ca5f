// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt to connect.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace assay::agent {

/// Full jitter: each wait is drawn evenly from zero up to a ceiling that doubles from `least` to
/// `most`, so that agents that lost the same collector at the same moment come back spread over the
/// whole time. Not thread-safe.
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds least, std::chrono::milliseconds most, std::uint32_t seed)
      : least_(least), most_(most), ceiling_(least), random_(seed) {}

  /// `at_least`: what the collector asked for (0: nothing). It is never undercut, and what is drawn
  /// on top is up to as long again, so that those who were told the same do not return together.
  std::chrono::milliseconds next(std::chrono::milliseconds at_least = {}) {
    const auto room = std::max(ceiling_, at_least);
    ceiling_ = std::min(most_, ceiling_ * 2);
    std::uniform_int_distribution<std::int64_t> within(0, room.count());
    return at_least + std::chrono::milliseconds(within(random_));
  }
  /// The collector took something: the next wait is a short one again.
  void reset() { ceiling_ = least_; }

 private:
  const std::chrono::milliseconds least_;
  const std::chrono::milliseconds most_;
  std::chrono::milliseconds ceiling_;
  std::mt19937 random_;
};

}  // namespace assay::agent
