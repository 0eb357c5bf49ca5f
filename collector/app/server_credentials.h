// SPDX-License-Identifier: Apache-2.0
// The server's TLS credentials: what they present and whom they believe can be replaced while
// streams run. Private to collector/app.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "collector/app/grpc_server.h"

namespace assay::collector {

/// gRPC's C++ API has fixed certificates, or files that it reads by itself on a timer, half written
/// ones included. Its C API asks before each handshake; this hands on what was checked before.
class ReloadableCredentials {
 public:
  virtual ~ReloadableCredentials() = default;
  /// The credentials to listen with, once. They keep what they need.
  virtual std::shared_ptr<grpc::ServerCredentials> credentials() = 0;
  /// For handshakes that begin from now on. Streams that run are not touched. Thread-safe.
  virtual void set(ServerCertificates certificates) = 0;

  static std::unique_ptr<ReloadableCredentials> create(ServerCertificates certificates);
};

}  // namespace assay::collector
