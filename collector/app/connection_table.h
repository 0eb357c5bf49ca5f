// SPDX-License-Identifier: Apache-2.0
// Which connections the port has, and whether one more may come. Pure: no socket, no clock.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

struct sockaddr;

namespace assay::collector {

struct ConnectionLimits {
  std::uint32_t connections = 8192;
  std::uint32_t address_connections = 1024;  ///< of one address; 0: as many as there may be
  std::uint32_t address_rate = 50;           ///< new ones a second of one address; 0: any number
  std::chrono::milliseconds unproven_age{30'000};  ///< without an identity that was believed
  std::uint32_t streams = 256;                     ///< of one, that may be held
  std::uint64_t wasted_bytes = 5ULL << 20;         ///< received on one, and no message came of them
};

/// Address and port of a peer. IPv4 in IPv6 is IPv4.
struct PeerAddress {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
  bool is_ipv6 = false;
  auto operator<=>(const PeerAddress&) const = default;

  /// Nothing for other families.
  static std::optional<PeerAddress> from(const sockaddr* address);
  /// As gRPC writes it: "ipv4:1.2.3.4:5", "ipv6:[::1]:5", brackets percent-encoded or not.
  static std::optional<PeerAddress> parse(const std::string& peer);
  std::string host() const;
};

enum class Refusal {
  kConnections,         ///< limits.connections
  kAddressConnections,  ///< limits.address_connections
  kAddressRate,         ///< limits.address_rate
};
enum class Cut {
  kUnproven,  ///< limits.unproven: no identity for too long
  kWaste,     ///< too much came of which no message was made
  kStreams,   ///< more streams than a peer that keeps to limits.streams can have
  kMemory,    ///< the same, and little of it is too much while memory is short
};
inline constexpr std::size_t kRefusals = 3;
inline constexpr std::size_t kCuts = 4;
std::string_view to_string(Refusal refusal);
std::string_view to_string(Cut cut);

/// Not thread-safe. An IPv6 network of /64 counts as one address: it is what one host can have.
class ConnectionTable {
 public:
  using Id = std::uint64_t;
  using Time = std::chrono::steady_clock::time_point;

  explicit ConnectionTable(const ConnectionLimits& limits) : limits_(limits) {}

  /// What stands against one more connection of `peer`; nothing: it counts from now on, as `id`.
  std::optional<Refusal> admit(Id id, const PeerAddress& peer, Time now);
  /// The connection of `peer` has shown an identity. False when there is none.
  bool prove(const PeerAddress& peer);
  /// A call began on it.
  void count_call(const PeerAddress& peer);
  /// A message of so many bytes was taken from it.
  void count_message(const PeerAddress& peer, std::uint64_t bytes);
  /// Gives the peer that it was of.
  std::optional<PeerAddress> ended(Id id);

  /// What is looked at: all of them cost a system call each.
  enum class Look { kUnproven, kAll, kAllWhileMemoryIsShort };
  struct Overdue {
    Id id = 0;
    Cut why = Cut::kUnproven;
  };
  /// What is known elsewhere of one connection.
  struct Facts {
    std::function<std::uint64_t(Id)> received;                 ///< bytes that came
    std::function<std::uint64_t(const PeerAddress&)> streams;  ///< held; asked when some bytes are
                                                               ///< not explained
  };
  /// Connections to end. While memory is short, also the one that wasted most.
  std::vector<Overdue> overdue(Time now, Look look, const Facts& facts);

  void set_limits(const ConnectionLimits& limits) { limits_ = limits; }
  std::size_t size() const { return peers_.size(); }
  std::size_t unproven() const { return unproven_.size(); }
  /// Addresses that are remembered, with and without connections; bounded.
  std::size_t addresses() const { return sources_.size(); }

 private:
  using Network = std::array<std::uint8_t, 16>;
  struct Source {
    std::uint32_t connections = 0;
    double tokens = 0;  // new connections that may come at once
    Time filled{};
  };

  struct Peer {
    PeerAddress address;
    Network counted{};  // in sources_
    Time since{};
    Time credited{};           // until then its age has earned
    std::uint64_t earned = 0;  // bytes that messages and its age explain
    std::uint64_t calls = 0;
    std::uint64_t asked_at = 0;     // waste when its streams were counted last
    std::uint64_t asked_calls = 0;  // calls then
  };

  static Network network_of(const PeerAddress& peer);
  /// Where a connection of `network` counts.
  std::map<Network, Source>::iterator source_of(const Network& network, Time now);
  void forget_idle_sources(Time now);
  std::optional<Cut> judge(Id id, Peer& peer, std::uint64_t wasted, Time now, const Facts& facts);
  static std::uint64_t waste(Peer& peer, std::uint64_t received, Time now);
  double burst() const { return 10.0 * limits_.address_rate; }

  ConnectionLimits limits_;
  std::map<Id, Peer> peers_;
  std::map<PeerAddress, Id> ids_;
  std::set<Id> unproven_;
  std::map<Network, Source> sources_;
  Time forgot_{};  // when idle ones of them were looked for last
};

}  // namespace assay::collector
