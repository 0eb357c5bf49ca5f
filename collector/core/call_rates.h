// SPDX-License-Identifier: Apache-2.0
// How many calls each of many callers may make: token buckets in a table of bounded size.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::collector {

struct CallRate {
  double per_second = 0;  ///< 0: no limit
  double burst = 1;       ///< calls at once after a pause, at least 1
};

/// How often strangers may try something: all of them together, and each address.
struct AttemptRates {
  CallRate all;
  CallRate address;  ///< nodes behind one NAT come together
  std::size_t max_addresses = 10'000;
};

/// Thread-safe. When all places are taken by callers that were there a moment ago, the others share
/// one bucket: memory is bounded, and a flood of callers slows down strangers only.
class CallRates {
 public:
  CallRates(CallRate rate, std::size_t max_callers) : max_callers_(max_callers), rate_(rate) {}

  /// Zero: the call may be made. Else it may not, and how long to wait for the next one.
  std::chrono::milliseconds take(const std::string& caller, BootTime now);
  void set_rate(CallRate rate);
  std::size_t callers() const;  ///< that are remembered now

 private:
  struct Bucket {
    double calls = 0;
    BootTime at{};
  };
  Bucket& bucket_of(const std::string& caller, BootTime now) ASSAY_REQUIRES(mutex_);
  void forget_idle(BootTime now) ASSAY_REQUIRES(mutex_);

  const std::size_t max_callers_;
  mutable Mutex mutex_;
  CallRate rate_ ASSAY_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Bucket> buckets_ ASSAY_GUARDED_BY(mutex_);
  Bucket strangers_ ASSAY_GUARDED_BY(mutex_);
  bool are_strangers_known_ ASSAY_GUARDED_BY(mutex_) = false;
  BootTime forgot_at_ ASSAY_GUARDED_BY(mutex_){};
};

/// The host of a gRPC peer ("ipv4:192.0.2.7:50000" → "192.0.2.7"); of IPv6 its /64, which is what
/// one subscriber has. Anything else as it is. Source: gRPC's naming of peers.
std::string host_of_peer(const std::string& peer);

}  // namespace assay::collector
