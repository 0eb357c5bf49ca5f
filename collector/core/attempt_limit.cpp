// SPDX-License-Identifier: Apache-2.0
#include "collector/core/attempt_limit.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::size_t kNetworkBytes = 8;  // of an IPv6 address
constexpr std::size_t kMaxAddressBytes = 80;

std::string percent_decoded_host(std::string_view text) {
  if (text.starts_with("%5B")) text.remove_prefix(3);
  if (text.starts_with('[')) text.remove_prefix(1);
  for (const std::string_view end : {"%5D", "]", "%25", "%"})
    text = text.substr(0, text.find(end));
  return std::string(text);
}

}  // namespace

std::string address_of(std::string_view peer) {
  const auto colon = peer.find(':');
  const std::string_view kind = peer.substr(0, colon);
  std::string_view rest = colon == std::string_view::npos ? peer : peer.substr(colon + 1);
  if (kind == "ipv4") return std::string(rest.substr(0, rest.rfind(':')));
  if (kind != "ipv6") return escape_untrusted(peer, kMaxAddressBytes);
  const std::string host = percent_decoded_host(rest);
  in6_addr address{};
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return escape_untrusted(host, 80);
  if (IN6_IS_ADDR_V4MAPPED(&address)) return host.substr(host.rfind(':') + 1);
  std::fill(address.s6_addr + kNetworkBytes, address.s6_addr + sizeof(address.s6_addr), 0);
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET6, &address, text, sizeof(text));
  return std::string(text) + "/64";
}

void AttemptLimit::fill(Bucket& bucket, double per_s, double most, Time now) {
  const std::chrono::duration<double> passed = now - bucket.filled;
  if (bucket.filled != Time{} && passed.count() > 0)
    bucket.tokens = std::min(most, bucket.tokens + passed.count() * per_s);
  bucket.filled = now;
}

AttemptLimit::Bucket& AttemptLimit::bucket_of(const std::string& address, Time now) {
  if (const auto found = known_.find(address); found != known_.end()) {
    order_.splice(order_.begin(), order_, found->second.place);
    fill(found->second.bucket, rates_.address_per_s, rates_.address_at_once, now);
    return found->second.bucket;
  }
  if (known_.size() >= rates_.max_addresses) {
    known_.erase(order_.back());
    order_.pop_back();
  }
  order_.push_front(address);
  return known_.emplace(address, Known{{rates_.address_at_once, now}, order_.begin()})
      .first->second.bucket;
}

std::chrono::milliseconds AttemptLimit::try_now(const std::string& address, Time now) {
  const MutexLock lock(mutex_);
  fill(all_, rates_.all_per_s, rates_.all_at_once, now);
  Bucket& own = bucket_of(address, now);
  if (own.tokens >= 1 && all_.tokens >= 1) {
    own.tokens -= 1;
    all_.tokens -= 1;
    return {};
  }
  const double wait_s =
      std::max((1 - own.tokens) / rates_.address_per_s, (1 - all_.tokens) / rates_.all_per_s);
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(wait_s * 1000)));
}

}  // namespace assay::collector
