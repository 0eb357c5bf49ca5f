// SPDX-License-Identifier: Apache-2.0
// Tells the port's gate which connections have a client certificate, and what came of what they
// sent. Private to collector/app.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace assay::collector {

class PortGate;

/// A connection is somebody's when its client certificate was verified; what tokens prove comes
/// from the door (ProofRelay). Messages that were received are counted for their connection.
/// `gate` outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> make_proof_interceptor(
    PortGate& gate);

}  // namespace assay::collector
