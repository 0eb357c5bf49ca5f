// SPDX-License-Identifier: Apache-2.0
// Settings of the parts behind the probe, as the configuration gives them, and ports that hold
// nothing: what an agent and a recorder share.
#pragma once

#include <string>
#include <vector>

#include "agent/app/config.h"
#include "agent/core/auditor.h"
#include "agent/identify/layer_identifier.h"
#include "agent/runtime/disk_records.h"

namespace assay::agent {

IdentifierOptions identifier_options(const AgentConfig& config);
AuditorConfig auditor_config(const AgentConfig& config, const std::string& boot_id);
RuntimeRoots runtime_roots(const AgentConfig& config);

/// For those that keep no state.
class NoOpenRuns final : public OpenRuns {
 public:
  void put(const OpenRun&) override {}
  void erase(const RunId&) override {}
  std::vector<OpenRun> load() override { return {}; }
  std::vector<RunId> load_of_other_boots() override { return {}; }
};

}  // namespace assay::agent
