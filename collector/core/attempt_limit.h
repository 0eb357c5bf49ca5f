// SPDX-License-Identifier: Apache-2.0
// How often strangers may try something: all of them together, and each address.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/mutex.h"

namespace assay::collector {

struct AttemptRates {
  double all_per_s = 50;
  double all_at_once = 200;
  double address_per_s = 1;
  double address_at_once = 20;  ///< nodes behind one NAT come together
  std::size_t max_addresses = 10'000;
};

/// The address in gRPC's name of a peer ("ipv4:10.0.0.1:4711"), without the port; of IPv6 the
/// network of 64 bits, as one machine has all of it.
std::string address_of(std::string_view peer);

/// Buckets that fill evenly. Thread-safe; memory is bounded: the address that was seen longest ago
/// is forgotten first.
class AttemptLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit AttemptLimit(AttemptRates rates) : rates_(rates), all_{rates.all_at_once, {}} {}

  /// Zero: go on, and it is counted. Else how long until the next try may pass.
  std::chrono::milliseconds try_now(const std::string& address, Time now);

 private:
  struct Bucket {
    double tokens = 0;
    Time filled{};
  };
  struct Known {
    Bucket bucket;
    std::list<std::string>::iterator place;
  };
  static void fill(Bucket& bucket, double per_s, double most, Time now);
  Bucket& bucket_of(const std::string& address, Time now) ASSAY_REQUIRES(mutex_);

  const AttemptRates rates_;
  Mutex mutex_;
  Bucket all_ ASSAY_GUARDED_BY(mutex_);
  std::list<std::string> order_ ASSAY_GUARDED_BY(mutex_);  // the one seen last is first
  std::unordered_map<std::string, Known> known_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
