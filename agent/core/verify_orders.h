// SPDX-License-Identifier: Apache-2.0
// Orders to verify, as the collector's stream and the unix socket give them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "common/base/result.h"
#include "common/catalog/verification.h"

namespace assay::agent {

struct VerifyOrder {
  std::string target;  ///< as find_verify_target() takes it
  std::chrono::milliseconds timeout = catalog::kDefaultVerifyTimeout;  ///< from when it is taken
};

/// What comes of an order, in order, on the worker's thread; the last is VerifyDone. It may block,
/// then the work waits. False: nobody listens any more, and the work ends.
using VerifyListener = std::function<bool(const catalog::VerifyEvent&)>;

/// What health and metrics show.
struct VerifyCounts {
  std::uint64_t orders = 0;   ///< taken since the start
  std::uint64_t refused = 0;  ///< too many waited
  std::uint64_t layers = 0;   ///< that were looked at
  std::uint64_t changed = 0;  ///< of them, those that were not as recorded
  std::uint64_t failed = 0;   ///< of them, those at which nobody could look
  std::uint64_t waiting = 0;  ///< orders, now, with the one that is worked on
};

/// Thread-safe.
class VerifyOrders {
 public:
  virtual ~VerifyOrders() = default;
  /// Takes an order and gives its number, to cancel it; one is worked on at a time. Never blocks;
  /// `listener` may be called before it returns.
  /// Errors: kLimitExceeded (too many wait), kInvalidArgument (the target is too long).
  virtual Result<std::uint64_t> order(const VerifyOrder& order, VerifyListener listener) = 0;
  /// Stops it between two files, or before it begins. Its listener hears the end all the same.
  virtual void cancel(std::uint64_t id) = 0;
  virtual VerifyCounts counts() const = 0;
};

}  // namespace assay::agent
