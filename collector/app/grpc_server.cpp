// SPDX-License-Identifier: Apache-2.0
#include "collector/app/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include "collector/app/proof_interceptor.h"
#include "collector/app/server_credentials.h"
#include "common/base/unique_fd.h"

namespace assay::collector {
namespace {

constexpr int kMaxSendBytes = 64 << 20;       // a whole catalog log
constexpr int kLookaheadBytes = 64 << 10;     // of one stream, before a message is asked for
constexpr int kMaxReadChunkBytes = 64 << 10;  // of one connection
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kMinPingIntervalMs = 10'000;

using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

class Server final : public GrpcServer {
 public:
  Server(std::unique_ptr<ReloadableCredentials> credentials,
         std::unique_ptr<grpc::ResourceQuota> quota, std::unique_ptr<PortGate> gate,
         std::unique_ptr<Acceptor> acceptor, std::unique_ptr<grpc::Server> server,
         ProofRelay* proofs)
      : credentials_(std::move(credentials)),
        quota_(std::move(quota)),
        gate_(std::move(gate)),
        acceptor_(std::move(acceptor)),
        server_(std::move(server)),
        proofs_(proofs) {}
  ~Server() override {
    shut_down(std::chrono::milliseconds(0));
    if (proofs_ != nullptr) proofs_->lead_to(nullptr);
  }

  std::uint16_t port() const override { return gate_->port(); }
  void set_certificates(ServerCertificates certificates) override {
    credentials_->set(std::move(certificates));
  }
  void set_connection_limits(const ConnectionLimits& limits) override { gate_->set_limits(limits); }
  PortCounts port_counts() const override { return gate_->counts(); }
  void set_max_memory(std::uint64_t bytes) override { quota_->Resize(bytes); }
  void shut_down(std::chrono::milliseconds grace) override {
    gate_->stop();  // before gRPC: it forgets to close what it is given after its end
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    server_->Wait();
  }

 private:
  const std::unique_ptr<ReloadableCredentials> credentials_;  // used by server_
  const std::unique_ptr<grpc::ResourceQuota> quota_;
  const std::unique_ptr<PortGate> gate_;  // used by server_
  const std::unique_ptr<Acceptor> acceptor_;
  const std::unique_ptr<grpc::Server> server_;
  ProofRelay* const proofs_;
};

/// gRPC compares a message's compressed length with its limit, and inflates it without one and
/// outside of the quota, for everybody. The first two end such calls, the last one leaves out what
/// inflates: a flag in the message is enough for it.
void refuse_compression(grpc::ServerBuilder& builder) {
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

void set_limits(grpc::ServerBuilder& builder, const GrpcServerOptions& options,
                grpc::ResourceQuota& quota) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(kMaxSendBytes);
  refuse_compression(builder);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.max_concurrent_streams));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(options.max_metadata_bytes));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             static_cast<int>(options.handshake_timeout.count()));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(options.idle_timeout.count()));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             static_cast<int>(options.connection_age.count()));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             static_cast<int>(options.connection_age.count() / 4));
  // Windows that grow with the bandwidth hold up to 4 MiB for each of thousands of streams.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes);
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kMaxReadChunkBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  quota.Resize(options.max_memory_bytes);
  builder.SetResourceQuota(quota);
}

std::function<void(const std::string&)>& grpc_log() {
  static std::function<void(const std::string&)> write;  // gRPC's own log is process-wide
  return write;
}

void write_grpc_log(gpr_log_func_args* args) {
  if (grpc_log()) grpc_log()(args->message);
}

/// protobuf complains on stderr of every odd text in a message, also of strangers.
void write_protobuf_log(google::protobuf::LogLevel, const char*, int, const std::string& text) {
  if (grpc_log()) grpc_log()(text);
}

}  // namespace

void redirect_grpc_log(std::function<void(const std::string&)> write) {
  const bool is_verbose = static_cast<bool>(write);
  grpc_log() = std::move(write);
  gpr_set_log_function(write_grpc_log);
  gpr_set_log_verbosity(is_verbose ? GPR_LOG_SEVERITY_INFO : GPR_LOG_SEVERITY_ERROR);
  google::protobuf::SetLogHandler(write_protobuf_log);
}

Result<void> check_listenable(const std::string& address) {
  ASSAY_ASSIGN(const auto gate, PortGate::listen({address, {}, {}}));
  return ok();
}

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const GrpcServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  ASSAY_ASSIGN(auto gate,
               PortGate::listen({options.address, options.connections, options.is_memory_short}));
  grpc::ServerBuilder builder;
  auto credentials = ReloadableCredentials::create(options.certificates);
  auto quota = std::make_unique<grpc::ResourceQuota>("assay-collector");
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      credentials->credentials());
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(make_proof_interceptor(*gate));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  set_limits(builder, options, *quota);
  for (grpc::Service* service : services)
    builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server)
    return Error{ErrorCode::kUnavailable, "cannot serve " + options.address +
                                              ": gRPC refused the certificates; log.level debug "
                                              "says more"};
  if (options.proofs != nullptr) options.proofs->lead_to(gate.get());
  gate->start(
      [raw = acceptor.get()](int listener, UniqueFd connection) {
        Acceptor::NewConnectionParameters parameters;
        parameters.listener_fd = listener;
        parameters.fd = connection.release();
        raw->HandleNewConnection(&parameters);
      },
      options.on_refused);
  return std::unique_ptr<GrpcServer>(new Server(std::move(credentials), std::move(quota),
                                                std::move(gate), std::move(acceptor),
                                                std::move(server), options.proofs));
}

}  // namespace assay::collector
