// SPDX-License-Identifier: Apache-2.0
#include "agent/app/stored_catalog.h"

#include "agent/outbox/state_db.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"
#include "common/catalog/log_export.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTrustFileBytes = 1U << 20;

Result<std::string> read_trust(const AgentConfig& config) {
  if (config.trust_file.empty()) return Error{ErrorCode::kNotFound, "no trust_file is given"};
  return read_guarded_file(config.trust_file, kMaxTrustFileBytes, Guard::kTrusted);
}

}  // namespace

Result<SignedCatalog> stored_catalog(const AgentConfig& config) {
  ASSAY_ASSIGN(std::string trust, read_trust(config));
  ASSAY_ASSIGN(StoredCatalog stored, StateDb::read_catalog(config.state_dir + "/state.db"));
  if (stored.head.empty()) return Error{ErrorCode::kNotFound, "the agent holds no catalog yet"};
  return SignedCatalog{{std::move(stored.statements), std::move(stored.head)}, std::move(trust)};
}

Result<SignedCatalog> exported_catalog(const AgentConfig& config, const std::string& file) {
  ASSAY_ASSIGN(std::string trust, read_trust(config));
  ASSAY_ASSIGN(const std::string bytes, read_file(file, catalog::kMaxExportBytes));
  ASSAY_ASSIGN(catalog::LogExport exported, catalog::decode_export(bytes));
  return SignedCatalog{std::move(exported.log), std::move(trust)};
}

}  // namespace assay::agent
