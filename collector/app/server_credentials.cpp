// SPDX-License-Identifier: Apache-2.0
#include "collector/app/server_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "common/base/mutex.h"

namespace assay::collector {
namespace {

/// What gRPC's threads take at each handshake. Shared with them: handshakes may outlive the server.
class Current {
 public:
  explicit Current(ServerCertificates certificates) : certificates_(std::move(certificates)) {}

  void set(ServerCertificates certificates) {
    const MutexLock lock(mutex_);
    if (certificates == certificates_) return;
    certificates_ = std::move(certificates);
    is_taken_ = false;
  }

  /// Source: grpc/grpc_security.h, grpc_ssl_server_certificate_config_callback.
  static grpc_ssl_certificate_config_reload_status on_handshake(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<Current*>(self)->take(config);
  }

 private:
  grpc_ssl_certificate_config_reload_status take(grpc_ssl_server_certificate_config** config) {
    const MutexLock lock(mutex_);
    if (is_taken_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{certificates_.key.c_str(),
                                          certificates_.certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(certificates_.authority.c_str(), &pair, 1);
    is_taken_ = true;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  Mutex mutex_;
  ServerCertificates certificates_ ASSAY_GUARDED_BY(mutex_);
  bool is_taken_ ASSAY_GUARDED_BY(mutex_) = false;
};

class Credentials final : public grpc::ServerCredentials {
 public:
  explicit Credentials(std::shared_ptr<Current> current) : current_(std::move(current)) {
    // TLS 1.2 is the least that gRPC speaks.
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY, Current::on_handshake, current_.get()));
  }
  ~Credentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  const std::shared_ptr<Current> current_;  // used by credentials_
  grpc_server_credentials* credentials_ = nullptr;
};

class Reloadable final : public ReloadableCredentials {
 public:
  explicit Reloadable(ServerCertificates certificates)
      : current_(std::make_shared<Current>(std::move(certificates))) {}

  std::shared_ptr<grpc::ServerCredentials> credentials() override {
    return std::make_shared<Credentials>(current_);
  }
  void set(ServerCertificates certificates) override { current_->set(std::move(certificates)); }

 private:
  const std::shared_ptr<Current> current_;  // shared with the credentials
};

}  // namespace

std::unique_ptr<ReloadableCredentials> ReloadableCredentials::create(
    ServerCertificates certificates) {
  return std::make_unique<Reloadable>(std::move(certificates));
}

}  // namespace assay::collector
