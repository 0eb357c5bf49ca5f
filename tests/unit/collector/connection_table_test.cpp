// SPDX-License-Identifier: Apache-2.0
// Who is let in at the port, and who has to go.
#include "collector/app/connection_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "collector/app/memory_watch.h"

namespace assay::collector {
namespace {

using namespace std::chrono_literals;
using Look = ConnectionTable::Look;

constexpr ConnectionTable::Time kNow{1h};

PeerAddress peer(const std::string& host, std::uint16_t port) {
  const auto parsed = PeerAddress::parse(host + ":" + std::to_string(port));
  REQUIRE(parsed);
  return *parsed;
}

ConnectionLimits limits() {
  ConnectionLimits limits;
  limits.connections = 4;
  limits.address_connections = 2;
  limits.address_rate = 0;
  limits.unproven_age = 30s;
  limits.wasted_bytes = 1 << 20;
  limits.streams = 100;
  return limits;
}

/// Facts that are the same for every connection.
ConnectionTable::Facts facts(std::uint64_t received, std::uint64_t streams = 0) {
  return {[=](ConnectionTable::Id) { return received; },
          [=](const PeerAddress&) { return streams; }};
}

std::vector<std::string> reasons(const std::vector<ConnectionTable::Overdue>& overdue) {
  std::vector<std::string> all;
  for (const auto& one : overdue)
    all.emplace_back(to_string(one.why));
  return all;
}

TEST_CASE("a peer's address is read as gRPC writes it", "[port][unit]") {
  CHECK(peer("ipv4:192.0.2.7", 50000).host() == "192.0.2.7");
  CHECK(peer("ipv6:[2001:db8::1]", 1).host() == "2001:db8::1");
  CHECK(peer("ipv6:%5B2001:db8::1%5D", 1) == peer("ipv6:[2001:db8::1]", 1));
  CHECK(peer("ipv6:[::ffff:192.0.2.7]", 1) == peer("ipv4:192.0.2.7", 1));
  CHECK(peer("ipv6:[fe80::1%eth0]", 1).host() == "fe80::1");
  for (const char* bad :
       {"", "unix:/x", "ipv4:", "ipv4:192.0.2.7", "ipv4:192.0.2.7:", "ipv4:192.0.2.7:x",
        "ipv4:192.0.2.7:70000", "ipv4:[192.0.2.7]:1", "ipv6:2001:db8::1:1", "ipv6:[]:1", "ipv6:[:1",
        "ipv6:]:1", "ipv6:[x]:1"}) {
    INFO(bad);
    CHECK_FALSE(PeerAddress::parse(bad));
  }
}

TEST_CASE("a socket's address and the text of it are one peer", "[port][unit]") {
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(5);
  ::inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr);
  CHECK(PeerAddress::from(reinterpret_cast<const sockaddr*>(&mapped)) == peer("ipv4:192.0.2.7", 5));
  sockaddr other{};
  other.sa_family = AF_UNIX;
  CHECK_FALSE(PeerAddress::from(&other));
}

TEST_CASE("connections are refused over the limits, and let in when others have ended",
          "[port][unit]") {
  ConnectionTable table(limits());
  CHECK_FALSE(table.admit(1, peer("ipv4:192.0.2.1", 1), kNow));
  CHECK_FALSE(table.admit(2, peer("ipv4:192.0.2.1", 2), kNow));
  CHECK(table.admit(3, peer("ipv4:192.0.2.1", 3), kNow) == Refusal::kAddressConnections);
  CHECK_FALSE(table.admit(4, peer("ipv4:192.0.2.2", 1), kNow));
  CHECK_FALSE(table.admit(5, peer("ipv4:192.0.2.3", 1), kNow));
  CHECK(table.admit(6, peer("ipv4:192.0.2.4", 1), kNow) == Refusal::kConnections);
  CHECK(table.ended(1) == peer("ipv4:192.0.2.1", 1));
  CHECK_FALSE(table.ended(1));
  CHECK_FALSE(table.admit(7, peer("ipv4:192.0.2.1", 4), kNow));
  CHECK(table.size() == 4);
}

TEST_CASE("an IPv6 network of one host counts as one address", "[port][unit]") {
  ConnectionTable table(limits());
  CHECK_FALSE(table.admit(1, peer("ipv6:[2001:db8::1]", 1), kNow));
  CHECK_FALSE(table.admit(2, peer("ipv6:[2001:db8::2]", 1), kNow));
  CHECK(table.admit(3, peer("ipv6:[2001:db8::3]", 1), kNow) == Refusal::kAddressConnections);
  CHECK_FALSE(table.admit(4, peer("ipv6:[2001:db8:0:1::1]", 1), kNow));
}

TEST_CASE("an address may come so often and no oftener", "[port][unit]") {
  ConnectionLimits some = limits();
  some.address_rate = 2;
  ConnectionTable table(some);
  ConnectionTable::Id id = 0;
  const auto come = [&](ConnectionTable::Time now) {
    const auto refusal = table.admit(++id, peer("ipv4:192.0.2.1", 1), now);
    table.ended(id);
    return refusal;
  };
  for (int i = 0; i < 20; ++i)
    CHECK_FALSE(come(kNow));
  CHECK(come(kNow) == Refusal::kAddressRate);
  CHECK(come(kNow + 400ms) == Refusal::kAddressRate);
  CHECK_FALSE(come(kNow + 1s));
  CHECK_FALSE(table.admit(100, peer("ipv4:192.0.2.2", 1), kNow));
}

TEST_CASE("addresses that are gone are forgotten, however many there were", "[port][unit]") {
  ConnectionTable table(limits());
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x0a000000 + i);
    const auto address = PeerAddress::from(reinterpret_cast<const sockaddr*>(&from));
    CHECK_FALSE(table.admit(i + 1, *address, kNow + std::chrono::milliseconds(i)));
    table.ended(i + 1);
  }
  CHECK(table.addresses() <= 65'537);
}

TEST_CASE("a full table of addresses is walked over once a second at most", "[port][unit]") {
  ConnectionTable table(limits());
  ConnectionTable::Id id = 0;
  const auto come = [&](ConnectionTable::Time now) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x0a000000 + static_cast<std::uint32_t>(++id));
    CHECK_FALSE(table.admit(id, *PeerAddress::from(reinterpret_cast<const sockaddr*>(&from)), now));
    table.ended(id);
    return table.addresses();
  };
  while (id < 65'536)
    come(kNow);
  CHECK(come(kNow + 9900ms) == 65'537);    // looked for idle ones: none yet
  CHECK(come(kNow + 10'100ms) == 65'537);  // there are, but it has just looked
  CHECK(come(kNow + 10'900ms) < 10);
}

TEST_CASE("a connection without an identity ends in time, one with an identity stays",
          "[port][unit]") {
  ConnectionTable table(limits());
  table.admit(1, peer("ipv4:192.0.2.1", 1), kNow);
  table.admit(2, peer("ipv4:192.0.2.1", 2), kNow);
  CHECK(table.prove(peer("ipv4:192.0.2.1", 2)));
  CHECK_FALSE(table.prove(peer("ipv4:192.0.2.1", 3)));
  CHECK(table.unproven() == 1);
  CHECK(table.overdue(kNow + 29s, Look::kAll, facts(0)).empty());
  const auto overdue = table.overdue(kNow + 30s, Look::kAll, facts(0));
  CHECK(reasons(overdue) == std::vector<std::string>{"unproven"});
  CHECK(overdue.front().id == 1);
}

TEST_CASE("bytes that no message explains end a connection", "[port][unit]") {
  ConnectionTable table(limits());
  table.admit(1, peer("ipv4:192.0.2.1", 1), kNow);
  table.prove(peer("ipv4:192.0.2.1", 1));
  CHECK(table.overdue(kNow, Look::kAll, facts(1 << 20)).empty());
  CHECK(reasons(table.overdue(kNow, Look::kAll, facts((1 << 20) + 1))) ==
        std::vector<std::string>{"waste"});
  CHECK(table.overdue(kNow, Look::kUnproven, facts(1 << 30)).empty());
  table.count_message(peer("ipv4:192.0.2.1", 1), 4 << 20);
  CHECK(table.overdue(kNow, Look::kAll, facts(5 << 20)).empty());
  CHECK(table.overdue(kNow + 24h, Look::kAll, facts(80 << 20)).empty());  // pings of a day
}

TEST_CASE("a connection saves up 64 KiB to waste and no more, by age and by small messages",
          "[port][unit]") {
  constexpr std::uint64_t kMost = (64 << 10) + (1 << 20);  // and limits().wasted_bytes
  const auto most_after = [](const std::function<void(ConnectionTable&)>& saves) {
    ConnectionTable table(limits());
    table.admit(1, peer("ipv4:192.0.2.1", 1), kNow);
    table.prove(peer("ipv4:192.0.2.1", 1));
    saves(table);
    const ConnectionTable::Time then = kNow + 24h;
    CHECK(table.overdue(then, Look::kAll, facts(1000)).empty());
    CHECK(table.overdue(then, Look::kAll, facts(1000 + kMost)).empty());
    CHECK(reasons(table.overdue(then, Look::kAll, facts(1000 + kMost + 1))) ==
          std::vector<std::string>{"waste"});
  };
  most_after([](ConnectionTable&) {});
  most_after([](ConnectionTable& table) {
    for (int i = 0; i < 100'000; ++i)
      table.count_message(peer("ipv4:192.0.2.1", 1), 0);
  });
}

TEST_CASE("streams are counted when bytes are not explained, and too many end a connection",
          "[port][unit]") {
  ConnectionTable table(limits());
  table.admit(1, peer("ipv4:192.0.2.1", 1), kNow);
  CHECK(table.overdue(kNow, Look::kUnproven, facts(1000, 1'000'000)).empty());
  CHECK(table.overdue(kNow, Look::kUnproven, facts(8000, 100)).empty());
  CHECK(table.overdue(kNow, Look::kUnproven, facts(9000, 1'000'000)).empty());  // asked just now
  CHECK(reasons(table.overdue(kNow, Look::kUnproven, facts(16'000, 101))) ==
        std::vector<std::string>{"streams"});
  ConnectionTable other(limits());
  other.admit(1, peer("ipv4:192.0.2.1", 1), kNow);
  for (int i = 0; i < 64; ++i) {
    CHECK(other.overdue(kNow, Look::kUnproven, facts(0, 101)).empty());
    other.count_call(peer("ipv4:192.0.2.1", 1));
    other.count_message(peer("ipv4:192.0.2.1", 1), 2);
  }
  CHECK(reasons(other.overdue(kNow, Look::kUnproven, facts(0, 101))) ==
        std::vector<std::string>{"streams"});
}

TEST_CASE("while memory is short the one that wasted most has to go", "[port][unit]") {
  ConnectionTable table(limits());
  for (std::uint16_t i = 1; i <= 2; ++i)
    table.admit(i, peer("ipv4:192.0.2.1", i), kNow);
  const auto received = [](std::uint64_t first, std::uint64_t second) {
    return ConnectionTable::Facts{[=](ConnectionTable::Id id) { return id == 1 ? first : second; },
                                  [](const PeerAddress&) { return std::uint64_t{0}; }};
  };
  CHECK(table.overdue(kNow, Look::kAllWhileMemoryIsShort, received(16 << 10, 16 << 10)).empty());
  const auto overdue = table.overdue(kNow, Look::kAllWhileMemoryIsShort, received(20'000, 30'000));
  CHECK(reasons(overdue) == std::vector<std::string>{"memory"});
  CHECK(overdue.front().id == 2);
}

TEST_CASE("memory is tight before it is short", "[port][unit]") {
  std::uint64_t resident = 0;
  const auto state = [&](std::uint64_t bytes) {
    resident = bytes;
    MemoryWatch watch(1000, [&] { return resident; });
    return std::pair{watch.is_tight(), watch.is_short()};
  };
  CHECK(state(750) == std::pair{false, false});
  CHECK(state(751) == std::pair{true, false});
  CHECK(state(901) == std::pair{true, true});
}

}  // namespace
}  // namespace assay::collector
