// SPDX-License-Identifier: Apache-2.0
// Keeps work whose cost the size of a store or of an image decides to a small share of one core.
#pragma once

#include <chrono>
#include <stop_token>

namespace assay {

/// Not thread-safe.
class Pacer {
 public:
  /// How long the work at hand would have to wait: none for cheap work.
  std::chrono::steady_clock::duration wait() const {
    return allowed_ - std::chrono::steady_clock::now();
  }
  /// Waits that long; returns early when `stop` is asked for.
  void wait_for_turn(const std::stop_token& stop) const;
  /// Runs `work` and takes its time.
  template <typename Work>
  auto run(Work work) {
    const Timer timer(*this);
    return work();
  }

 private:
  // Work that takes so little is done at once; other work waits for ten times as long as the last
  // one took.
  static constexpr std::chrono::milliseconds kCheap{5};
  static constexpr int kShare = 10;
  static constexpr std::chrono::seconds kLongest{10};

  class Timer {
   public:
    explicit Timer(Pacer& pacer) : pacer_(pacer) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer();

   private:
    Pacer& pacer_;
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  };

  std::chrono::steady_clock::time_point allowed_{};
};

}  // namespace assay
