// SPDX-License-Identifier: Apache-2.0
// The one gRPC server: mTLS, limits, and the services it was given.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collector/app/port_gate.h"
#include "collector/app/proof_relay.h"
#include "common/base/result.h"

namespace grpc {
class Service;
}

namespace assay::collector {

struct ServerCertificates {
  std::string certificate;  ///< PEM, the leaf first
  std::string key;          ///< PEM
  std::string authority;    ///< PEM, one or more; client certificates must come from one of them
  bool operator==(const ServerCertificates&) const = default;
};

struct GrpcServerOptions {
  std::string address;  ///< HOST:PORT; port 0 takes a free one
  ServerCertificates certificates;
  std::uint64_t max_memory_bytes = 512ULL << 20;
  std::uint32_t max_concurrent_streams = 64;  ///< of one connection
  std::uint32_t max_message_bytes = 4 << 20;  ///< received
  std::uint32_t max_metadata_bytes = 16 << 10;
  std::chrono::milliseconds handshake_timeout{10'000};  ///< of TLS, and of HTTP/2's settings
  std::chrono::milliseconds idle_timeout{300'000};      ///< of a connection without a call
  /// Of any connection; calls on it may go on for a quarter of it. What a certificate grants is
  /// looked at when a connection begins, so this bounds how long it is believed.
  std::chrono::milliseconds connection_age{3'600'000};
  ConnectionLimits connections;
  std::function<bool()> is_memory_short;  ///< PortGate::Options
  ProofRelay* proofs = nullptr;           ///< leads to this server as long as it lives
  /// A connection was refused: why, and from which address. Any thread; must be quick.
  std::function<void(std::string_view, const std::string&)> on_refused;
};

/// Serves until it is destroyed or shut down.
class GrpcServer {
 public:
  /// Services must outlive the server. Errors: kUnavailable (port in use, address not of this
  /// machine).
  static Result<std::unique_ptr<GrpcServer>> start(const GrpcServerOptions& options,
                                                   const std::vector<grpc::Service*>& services);
  virtual ~GrpcServer() = default;
  virtual std::uint16_t port() const = 0;
  /// For connections that are made from now on; those that are there stay. Thread-safe.
  virtual void set_certificates(ServerCertificates certificates) = 0;
  /// For connections that come from now on. Thread-safe.
  virtual void set_connection_limits(const ConnectionLimits& limits) = 0;
  virtual PortCounts port_counts() const = 0;
  /// Thread-safe.
  virtual void set_max_memory(std::uint64_t bytes) = 0;
  /// Refuses new calls, cancels those that run after `grace`, waits for all. Idempotent.
  virtual void shut_down(std::chrono::milliseconds grace) = 0;
};

/// Whether `address` can be listened on now; says why not in one line.
/// Errors: kUnavailable, kInvalidArgument.
Result<void> check_listenable(const std::string& address);

/// gRPC's own messages go to `write` instead of stderr; empty drops them. Once, before start.
void redirect_grpc_log(std::function<void(const std::string&)> write);

}  // namespace assay::collector
