// SPDX-License-Identifier: Apache-2.0
#include "collector/app/grpc_server.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>

#include "collector/app/server_credentials.h"
#include "common/base/unique_fd.h"
#include "common/service/http_endpoint.h"

namespace assay::collector {
namespace {

constexpr int kMaxReceiveBytes = 4 << 20;  // agents batch below 1 MiB; a statement is some KiB
constexpr int kMaxSendBytes = 64 << 20;    // a whole catalog log
constexpr int kMaxMetadataBytes = 16 << 10;
constexpr int kLookaheadBytes = 64 << 10;     // of one stream, before a message is asked for
constexpr int kMaxReadChunkBytes = 64 << 10;  // of one connection
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kMinPingIntervalMs = 10'000;

class Server final : public GrpcServer {
 public:
  Server(std::unique_ptr<ReloadableCredentials> credentials,
         std::unique_ptr<grpc::ResourceQuota> quota, std::unique_ptr<grpc::Server> server, int port)
      : credentials_(std::move(credentials)),
        quota_(std::move(quota)),
        server_(std::move(server)),
        port_(static_cast<std::uint16_t>(port)) {}
  ~Server() override { shut_down(std::chrono::milliseconds(0)); }

  std::uint16_t port() const override { return port_; }
  void set_certificates(ServerCertificates certificates) override {
    credentials_->set(std::move(certificates));
  }
  void set_max_memory(std::uint64_t bytes) override { quota_->Resize(bytes); }
  void shut_down(std::chrono::milliseconds grace) override {
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    server_->Wait();
  }

 private:
  const std::unique_ptr<ReloadableCredentials> credentials_;  // used by server_
  const std::unique_ptr<grpc::ResourceQuota> quota_;
  const std::unique_ptr<grpc::Server> server_;
  const std::uint16_t port_;
};

void set_limits(grpc::ServerBuilder& builder, const GrpcServerOptions& options,
                grpc::ResourceQuota& quota) {
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.SetMaxSendMessageSize(kMaxSendBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.max_concurrent_streams));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
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

Error listen_error(const std::string& address, const std::string& why) {
  return Error{ErrorCode::kUnavailable, "cannot listen on " + address + ": " + why};
}

}  // namespace

void redirect_grpc_log(std::function<void(const std::string&)> write) {
  const bool is_verbose = static_cast<bool>(write);
  grpc_log() = std::move(write);
  gpr_set_log_function(write_grpc_log);
  gpr_set_log_verbosity(is_verbose ? GPR_LOG_SEVERITY_INFO : GPR_LOG_SEVERITY_ERROR);
}

Result<void> check_listenable(const std::string& address) {
  ASSAY_ASSIGN(const service::HostPort where, service::parse_host_port(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  if (const int code = ::getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found); code != 0)
    return listen_error(address, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  const UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // SO_REUSEADDR lets a second bind pass as long as nobody listens: so listen, too.
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd.get(), 1) == 0)
    return ok();
  if (errno == EADDRINUSE)
    return listen_error(address,
                        "the port is in use: stop what uses it or configure another address");
  return listen_error(address, system_error("bind").text());
}

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const GrpcServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  ASSAY_TRY(check_listenable(options.address));
  grpc::ServerBuilder builder;
  int port = 0;
  auto credentials = ReloadableCredentials::create(options.certificates);
  auto quota = std::make_unique<grpc::ResourceQuota>("assay-collector");
  builder.AddListeningPort(options.address, credentials->credentials(), &port);
  set_limits(builder, options, *quota);
  for (grpc::Service* service : services)
    builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0)
    return listen_error(options.address,
                        "gRPC refused the address or the certificates; log.level debug says more");
  return std::unique_ptr<GrpcServer>(
      new Server(std::move(credentials), std::move(quota), std::move(server), port));
}

}  // namespace assay::collector
