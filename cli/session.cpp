// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include "cli/login_store.h"
#include "cli/tls.h"

namespace assay::cli {

Result<const Settings*> Session::settings() {
  if (!settings_) {
    ASSAY_ASSIGN(settings_, load_settings(options_.flags, options_.config_file));
    std::string& address = settings_->connection.address;
    if (const auto logins = LoginStore::open_default(); logins && address.empty())
      if (const auto known = logins->collectors(); known.size() == 1) address = known.front();
  }
  return &*settings_;
}

Result<Connection> Session::connection() {
  ASSAY_ASSIGN(const Settings* known, settings());
  Connection connection = known->connection;
  std::optional<Login> login;
  if (const auto logins = LoginStore::open_default(); logins && parse_address(connection.address)) {
    ASSAY_ASSIGN(login, logins->find(connection.address));
  }
  if (!known->token_file.empty()) {
    auto token = read_token_file(known->token_file);
    if (!token) return std::move(token.error()).with_context("token_file");
    connection.token = std::move(*token);
  } else if (login) {
    connection.token = login->token;
  }
  if (login && connection.ca_file.empty()) connection.ca_pem = login->ca;
  return connection;
}

Result<Client*> Session::client() {
  if (!client_) {
    ASSAY_ASSIGN(const Connection found, connection());
    ASSAY_ASSIGN(client_, Client::create(found));
  }
  return &*client_;
}

}  // namespace assay::cli
