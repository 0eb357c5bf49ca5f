// SPDX-License-Identifier: Apache-2.0
// Tells the port's gate which connections are somebody's, and what came of what they sent. Private
// to collector/app.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace assay::collector {

class PortGate;

/// A connection is somebody's when its client certificate was verified, or when a call on it was
/// answered with a message: a service that does not believe its caller answers with a status alone.
/// Messages that were received are counted for their connection.
/// `gate` outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> make_proof_interceptor(
    PortGate& gate);

}  // namespace assay::collector
