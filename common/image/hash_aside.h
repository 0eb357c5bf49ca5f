// SPDX-License-Identifier: Apache-2.0
// Hashes batches of blocks on a thread of its own, one behind the other. Private to common/image.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>

#include "common/base/bounded_queue.h"
#include "common/image/verity_forest.h"

namespace assay::image {

/// For one caller. The thread starts with the first batch; where none can be had, the caller's
/// does the work.
class HashAside {
 public:
  /// `forest` must outlive this object, and is the thread's from take() until wait() returns.
  explicit HashAside(VerityForest& forest) : forest_(forest) {}

  /// Takes the batch and leaves an empty one in its place; waits while the one before is hashed.
  void take(std::unique_ptr<BlockBatch>& batch);
  /// Until all that was taken is hashed.
  void wait();
  /// CPU time of the thread so far.
  std::chrono::nanoseconds thread_time();

 private:
  using Queue = BoundedQueue<std::unique_ptr<BlockBatch>>;

  bool start();
  void run(const std::stop_token& stop);

  VerityForest& forest_;
  Queue given_{1};
  Queue done_{1};
  std::unique_ptr<BlockBatch> spare_;
  bool is_given_ = false;  // a batch that was not taken back
  bool has_failed_ = false;
  std::jthread thread_;  // last, so that it is joined first
};

}  // namespace assay::image
