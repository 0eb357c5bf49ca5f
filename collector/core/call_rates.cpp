// SPDX-License-Identifier: Apache-2.0
#include "collector/core/call_rates.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

namespace assay::collector {
namespace {

constexpr std::chrono::seconds kForgetInterval{1};  // looking through all of them costs

double seconds(std::chrono::nanoseconds length) {
  return std::chrono::duration<double>(length).count();
}

}  // namespace

void CallRates::forget_idle(BootTime now) {
  if (forgot_at_ != BootTime{} && now - forgot_at_ < kForgetInterval) return;
  forgot_at_ = now;
  std::erase_if(buckets_, [&](const auto& entry) {
    const Bucket& bucket = entry.second;  // a full one says no more than none
    return bucket.calls + seconds(now - bucket.at) * rate_.per_second >= rate_.burst;
  });
}

CallRates::Bucket& CallRates::bucket_of(const std::string& caller, BootTime now) {
  if (const auto found = buckets_.find(caller); found != buckets_.end()) return found->second;
  if (buckets_.size() >= max_callers_) forget_idle(now);
  if (buckets_.size() < max_callers_)
    return buckets_.emplace(caller, Bucket{rate_.burst, now}).first->second;
  if (!are_strangers_known_) strangers_ = {rate_.burst, now};
  are_strangers_known_ = true;
  return strangers_;
}

std::chrono::milliseconds CallRates::take(const std::string& caller, BootTime now) {
  const MutexLock lock(mutex_);
  if (rate_.per_second <= 0) return std::chrono::milliseconds(0);
  Bucket& bucket = bucket_of(caller, now);
  const double grown = seconds(std::max(now - bucket.at, BootTime{})) * rate_.per_second;
  bucket.calls = std::min(rate_.burst, bucket.calls + grown);
  bucket.at = now;
  if (bucket.calls >= 1) {
    bucket.calls -= 1;
    return std::chrono::milliseconds(0);
  }
  const double wait_s = (1 - bucket.calls) / rate_.per_second;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(wait_s * 1000)));
}

void CallRates::set_rate(CallRate rate) {
  const MutexLock lock(mutex_);
  rate_ = rate;
}

std::size_t CallRates::callers() const {
  const MutexLock lock(mutex_);
  return buckets_.size();
}

std::string host_of_peer(const std::string& peer) {
  const auto first = peer.find(':');
  const auto last = peer.rfind(':');
  if (first == std::string::npos || last == first) return peer;
  std::string host = peer.substr(first + 1, last - first - 1);
  if (peer.starts_with("ipv4:")) return host;
  if (!peer.starts_with("ipv6:")) return peer;
  // gRPC writes the brackets as %5B and %5D since 1.46.
  for (const std::string bracket : {"%5B", "%5D", "[", "]"})
    if (const auto at = host.find(bracket); at != std::string::npos) host.erase(at, bracket.size());
  in6_addr address{};
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return host;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    char text[INET_ADDRSTRLEN] = {};
    return ::inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof(text));
  }
  std::fill(address.s6_addr + 8, address.s6_addr + 16, std::uint8_t{0});
  char text[INET6_ADDRSTRLEN] = {};
  return std::string(::inet_ntop(AF_INET6, &address, text, sizeof(text))) + "/64";
}

}  // namespace assay::collector
