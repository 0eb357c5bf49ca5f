// SPDX-License-Identifier: Apache-2.0
// Signed catalogs for commands that run without a collector.
#pragma once

#include <string>

#include "agent/app/config.h"
#include "common/base/result.h"
#include "common/catalog/log.h"

namespace assay::agent {

/// As it lies on disk: nothing of it is verified yet.
struct SignedCatalog {
  catalog::SignedLog log;
  std::string trust;  ///< text of the trust file
};

/// The catalog that the agent of this configuration last trusted. Errors: kNotFound (no trust_file,
/// or no catalog yet), and those of reading both.
Result<SignedCatalog> stored_catalog(const AgentConfig& config);

/// The one in a file that `assay base export` wrote. Errors: kNotFound (no trust_file, or no
/// such file), kCorrupt, kUnsupported, kLimitExceeded.
Result<SignedCatalog> exported_catalog(const AgentConfig& config, const std::string& file);

}  // namespace assay::agent
