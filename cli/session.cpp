// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

namespace assay::cli {

Result<const Settings*> Session::settings() {
  if (!settings_) {
    ASSAY_ASSIGN(settings_, load_settings(options_.flags, options_.config_file));
  }
  return &*settings_;
}

Result<Client*> Session::client() {
  if (!client_) {
    ASSAY_ASSIGN(const Settings* known, settings());
    ASSAY_ASSIGN(client_, Client::create(known->connection));
  }
  return &*client_;
}

}  // namespace assay::cli
