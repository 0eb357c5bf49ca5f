// SPDX-License-Identifier: Apache-2.0
// The port's own accept loop: counts connections, refuses those over a limit, and ends those that
// show no identity or that send what no message comes of. gRPC 1.51 has no limit on connections,
// its own loop fails for good when the descriptors run out (CVE-2023-4785), and its limit on
// streams holds only for peers that acknowledge it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collector/app/connection_table.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

struct addrinfo;

namespace assay::collector {

struct PortCounts {
  std::uint64_t connections = 0;  ///< now
  std::uint64_t unproven = 0;     ///< of them, without an identity
  std::uint64_t accepted = 0;
  std::array<std::uint64_t, kRefusals> refused{};  ///< by Refusal
  std::array<std::uint64_t, kCuts> cut{};          ///< by Cut
  std::uint64_t starved = 0;                       ///< times that descriptors or memory ran out
};

/// Thread-safe. One thread of its own from start() until it is destroyed.
class PortGate {
 public:
  struct Options {
    std::string address;  ///< HOST:PORT; port 0 takes a free one
    ConnectionLimits limits;
    /// Whether memory is so short that connections have to go that only take some. Empty: never.
    std::function<bool()> is_memory_short;
  };
  /// Takes over a connected socket that passed. Called on the gate's thread.
  using OnConnection = std::function<void(int listener, UniqueFd connection)>;

  /// Listens; nobody is let in before start(). `options.limits.connections` is lowered to what the
  /// limit on open files has room for. Errors: kUnavailable, kInvalidArgument.
  static Result<std::unique_ptr<PortGate>> listen(const Options& options);
  virtual ~PortGate() = default;
  virtual std::uint16_t port() const = 0;
  /// Once. `on_refused`: a reason and an address, on the gate's thread; must be quick.
  virtual void start(OnConnection on_connection,
                     std::function<void(std::string_view, const std::string&)> on_refused) = 0;
  /// The connection of `peer` is somebody's. Quick.
  virtual void prove(const PeerAddress& peer) = 0;
  /// A call began on it. Quick.
  virtual void count_call(const PeerAddress& peer) = 0;
  /// A message of so many bytes came from it. Quick.
  virtual void count_message(const PeerAddress& peer, std::uint64_t bytes) = 0;
  /// No connection is let in any more; those that are there stay. Idempotent.
  virtual void stop() = 0;
  virtual void set_limits(const ConnectionLimits& limits) = 0;
  virtual PortCounts counts() const = 0;
};

/// Listens on all `addresses` of `name`, on one port (0: a free one). Those that this machine or
/// its kernel lacks (::1 without IPv6) are left out as long as there is one. Errors: kUnavailable.
Result<std::vector<UniqueFd>> listen_on_each(const addrinfo* addresses, const std::string& name,
                                             std::uint16_t port);

}  // namespace assay::collector
