// SPDX-License-Identifier: Apache-2.0
#include "collector/app/proof_interceptor.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>

#include "collector/app/port_gate.h"

namespace assay::collector {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;

class Watcher final : public Interceptor {
 public:
  Watcher(PortGate& gate, const PeerAddress& peer) : gate_(gate), peer_(peer) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE))
      // All messages are protobuf's, and MessageLite is the first base of each. Null: none came.
      if (const void* message = methods->GetRecvMessage(); message != nullptr)
        gate_.count_message(
            peer_, static_cast<const google::protobuf::MessageLite*>(message)->ByteSizeLong());
    methods->Proceed();
  }

 private:
  PortGate& gate_;
  const PeerAddress peer_;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(PortGate& gate) : gate_(gate) {}

  /// gRPC owns what it gets.
  Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* call) override {
    const auto peer = PeerAddress::parse(call->server_context()->peer());
    if (!peer) return nullptr;
    gate_.count_call(*peer);
    if (call->server_context()->auth_context()->IsPeerAuthenticated()) gate_.prove(*peer);
    return new Watcher(gate_, *peer);
  }

 private:
  PortGate& gate_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> make_proof_interceptor(
    PortGate& gate) {
  return std::make_unique<Factory>(gate);
}

}  // namespace assay::collector
