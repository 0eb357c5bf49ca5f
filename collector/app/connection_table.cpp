// SPDX-License-Identifier: Apache-2.0
#include "collector/app/connection_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/base/result.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxSources = 65'536;  // addresses that are remembered; some 80 bytes each
constexpr std::chrono::seconds kForgetInterval{1};
// What a message may cost on the wire: its frames and TLS records, headers of its call.
constexpr std::uint64_t kMessageBytes = 512;
constexpr std::uint64_t kBytesPerSecond = 1024;  // pings, acknowledgements, window updates
constexpr std::uint64_t kMaxCredit = 64 << 10;   // that may be saved up
constexpr std::uint64_t kWasteToAsk = 4 << 10;   // since streams were counted last: some hundred
constexpr std::uint64_t kCallsToAsk = 64;
constexpr std::uint64_t kWasteInNeed = 16 << 10;  // less is no reason, however short memory is
constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

PeerAddress ipv4(const in_addr& address, std::uint16_t port) {
  PeerAddress peer;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), peer.address.begin());
  std::memcpy(peer.address.data() + kMappedPrefix.size(), &address, sizeof(address));
  peer.port = port;
  return peer;
}

PeerAddress ipv6(const in6_addr& address, std::uint16_t port) {
  PeerAddress peer;
  std::memcpy(peer.address.data(), &address, sizeof(address));
  peer.port = port;
  peer.is_ipv6 = !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), peer.address.begin());
  return peer;
}

/// "%5B" and "%5D" are brackets; nothing else is encoded in an address.
std::string decode(std::string text) {
  for (const auto& [code, plain] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}})
    if (const auto at = text.find(code); at != std::string::npos) text.replace(at, 3, plain);
  return text;
}

}  // namespace

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kConnections:
      return "connections";
    case Refusal::kAddressConnections:
      return "address_connections";
    case Refusal::kAddressRate:
      return "address_rate";
  }
  return "unknown";
}

std::string_view to_string(Cut cut) {
  switch (cut) {
    case Cut::kUnproven:
      return "unproven";
    case Cut::kWaste:
      return "waste";
    case Cut::kStreams:
      return "streams";
    case Cut::kMemory:
      return "memory";
  }
  return "unknown";
}

std::optional<PeerAddress> PeerAddress::from(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof(in));
    return ipv4(in.sin_addr, ntohs(in.sin_port));
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof(in));
  return ipv6(in.sin6_addr, ntohs(in.sin6_port));
}

std::optional<PeerAddress> PeerAddress::parse(const std::string& peer) {
  const bool is_ipv4 = peer.starts_with("ipv4:");
  if (!is_ipv4 && !peer.starts_with("ipv6:")) return std::nullopt;
  std::string host = decode(peer.substr(5));
  const auto colon = host.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::uint16_t port = 0;
  const char* end = host.data() + host.size();
  const auto [stop, code] = std::from_chars(host.data() + colon + 1, end, port);
  if (stop != end || code != std::errc{}) return std::nullopt;
  host.resize(colon);
  in_addr v4{};
  if (is_ipv4)
    return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 ? std::optional(ipv4(v4, port))
                                                        : std::nullopt;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return std::nullopt;
  host = host.substr(1, host.size() - 2);
  host.resize(std::min(host.find('%'), host.size()));  // the zone of a link-local address
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 ? std::optional(ipv6(v6, port))
                                                       : std::nullopt;
}

std::string PeerAddress::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_ipv6)
    ::inet_ntop(AF_INET6, address.data(), text.data(), text.size());
  else
    ::inet_ntop(AF_INET, address.data() + kMappedPrefix.size(), text.data(), text.size());
  return text.data();
}

ConnectionTable::Network ConnectionTable::network_of(const PeerAddress& peer) {
  Network network = peer.address;
  if (peer.is_ipv6) std::fill(network.begin() + 8, network.end(), std::uint8_t{0});
  return network;
}

/// When there are too many addresses to remember, those that are new share one place.
std::map<ConnectionTable::Network, ConnectionTable::Source>::iterator ConnectionTable::source_of(
    const Network& network, Time now) {
  auto found = sources_.find(network);
  if (found == sources_.end() && sources_.size() >= kMaxSources) forget_idle_sources(now);
  if (found == sources_.end()) {
    const bool is_full = sources_.size() >= kMaxSources;
    found = sources_.try_emplace(is_full ? Network{} : network, Source{0, burst(), now}).first;
  }
  Source& source = found->second;
  const std::chrono::duration<double> passed = now - source.filled;
  source.tokens = std::min(burst(), source.tokens + passed.count() * limits_.address_rate);
  source.filled = now;
  return found;
}

/// Walks over all of them while messages wait for the table: not for each newcomer.
void ConnectionTable::forget_idle_sources(Time now) {
  if (now - forgot_ < kForgetInterval) return;
  forgot_ = now;
  // After the time of a whole burst there is nothing left to remember.
  std::erase_if(sources_, [&](const auto& one) {
    return one.second.connections == 0 && now - one.second.filled > std::chrono::seconds(10);
  });
}

std::optional<Refusal> ConnectionTable::admit(Id id, const PeerAddress& peer, Time now) {
  const auto found = source_of(network_of(peer), now);
  Source& source = found->second;
  if (limits_.address_rate != 0 && source.tokens < 1) return Refusal::kAddressRate;
  if (limits_.address_connections != 0 && source.connections >= limits_.address_connections)
    return Refusal::kAddressConnections;
  if (peers_.size() >= limits_.connections) return Refusal::kConnections;
  source.tokens -= limits_.address_rate != 0 ? 1 : 0;
  ++source.connections;
  peers_.emplace(id, Peer{peer, found->first, now, now});
  ids_[peer] = id;
  unproven_.insert(id);
  return std::nullopt;
}

bool ConnectionTable::prove(const PeerAddress& peer) {
  const auto found = ids_.find(peer);
  if (found == ids_.end()) return false;
  unproven_.erase(found->second);
  return true;
}

void ConnectionTable::count_call(const PeerAddress& peer) {
  const auto found = ids_.find(peer);
  if (found != ids_.end()) ++peers_.at(found->second).calls;
}

void ConnectionTable::count_message(const PeerAddress& peer, std::uint64_t bytes) {
  const auto found = ids_.find(peer);
  if (found != ids_.end()) peers_.at(found->second).earned += bytes + bytes / 4 + kMessageBytes;
}

/// What was earned beyond what came is kept only up to kMaxCredit: small messages earn more than
/// they cost, and who stays quiet for days would have megabytes to waste at once.
std::uint64_t ConnectionTable::waste(Peer& peer, std::uint64_t received, Time now) {
  const auto aged = std::chrono::duration_cast<std::chrono::seconds>(now - peer.credited);
  peer.credited += aged;
  peer.earned += kBytesPerSecond * static_cast<std::uint64_t>(aged.count());
  peer.earned = std::min(peer.earned, received + kMaxCredit);
  return received > peer.earned ? received - peer.earned : 0;
}

std::optional<Cut> ConnectionTable::judge(Id id, Peer& peer, std::uint64_t wasted, Time now,
                                          const Facts& facts) {
  if (unproven_.contains(id) && now - peer.since >= limits_.unproven_age) return Cut::kUnproven;
  if (wasted > limits_.wasted_bytes) return Cut::kWaste;
  if (wasted < peer.asked_at + kWasteToAsk && peer.calls < peer.asked_calls + kCallsToAsk)
    return std::nullopt;
  peer.asked_at = wasted;
  peer.asked_calls = peer.calls;
  if (facts.streams(peer.address) > limits_.streams) return Cut::kStreams;
  return std::nullopt;
}

std::vector<ConnectionTable::Overdue> ConnectionTable::overdue(Time now, Look look,
                                                               const Facts& facts) {
  std::vector<Overdue> found;
  std::pair<std::uint64_t, Id> worst{kWasteInNeed, 0};
  const auto consider = [&](Id id, Peer& peer) {
    const std::uint64_t wasted = waste(peer, facts.received(id), now);
    if (const auto cut = judge(id, peer, wasted, now, facts))
      found.push_back({id, *cut});
    else if (wasted > worst.first)
      worst = {wasted, id};
  };
  if (look == Look::kUnproven)
    for (const Id id : unproven_)
      consider(id, peers_.at(id));
  else
    for (auto& [id, peer] : peers_)
      consider(id, peer);
  if (look == Look::kAllWhileMemoryIsShort && worst.second != 0)
    found.push_back({worst.second, Cut::kMemory});
  return found;
}

std::optional<PeerAddress> ConnectionTable::ended(Id id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return std::nullopt;
  const PeerAddress peer = found->second.address;
  const auto source = sources_.find(found->second.counted);
  ASSAY_ASSERT(source != sources_.end() && source->second.connections > 0);
  --source->second.connections;
  // The same port may be in use again before we hear of the end.
  const auto by_peer = ids_.find(peer);
  if (by_peer != ids_.end() && by_peer->second == id) ids_.erase(by_peer);
  unproven_.erase(id);
  peers_.erase(found);
  return peer;
}

}  // namespace assay::collector
