// SPDX-License-Identifier: Apache-2.0
// The small HTTP/1.1 server of every daemon: /healthz, /readyz and /metrics, nothing else.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace assay::service {

struct HttpEndpointOptions {
  std::string address;  ///< HOST:PORT, [IPV6]:PORT; port 0 takes a free one
  /// Why the process is not ready, empty when it is. Called on the server's thread.
  std::function<std::vector<std::string>()> not_ready;
  /// Prometheus text exposition. Called on the server's thread.
  std::function<std::string()> metrics;
  /// One more, and the oldest that owes a request is closed; without such a one, the new one.
  std::size_t max_connections = 64;
  std::chrono::milliseconds idle_timeout{10'000};
};

/// Serves on one thread of its own until it is destroyed. GET and HEAD only; request headers up to
/// 8 KiB, no request bodies.
class HttpEndpoint {
 public:
  /// Errors: kInvalidArgument (not HOST:PORT), kUnavailable (port in use, address not of this
  /// machine): the message names the address and what to do.
  static Result<std::unique_ptr<HttpEndpoint>> start(HttpEndpointOptions options);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  /// The bound port.
  std::uint16_t port() const;

 private:
  struct Server;
  explicit HttpEndpoint(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

/// HOST and PORT of "HOST:PORT" or "[IPV6]:PORT".
struct HostPort {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
};
/// Errors: kInvalidArgument, naming the text.
Result<HostPort> parse_host_port(const std::string& text);

}  // namespace assay::service
