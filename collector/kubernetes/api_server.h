// SPDX-License-Identifier: Apache-2.0
// Asks Kubernetes' API server whose a service account's token is, and on which node its pod runs.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "collector/kubernetes/token_review.h"

namespace assay::collector {

struct ApiServerOptions {
  std::string cluster;  ///< whose nodes are that Kubernetes' nodes
  std::string url;      ///< https://HOST[:PORT]
  std::string ca_file;
  std::string token_file;  ///< the collector's own token; read anew for each call
  AccountPolicy policy;
  std::chrono::milliseconds timeout{5000};  ///< of one call
};

/// Redirects and proxies are not followed; only https is spoken.
/// Errors: kInternal (no curl).
Result<std::unique_ptr<AccountReviewer>> make_account_reviewer(ApiServerOptions options);

}  // namespace assay::collector
