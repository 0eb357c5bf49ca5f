// SPDX-License-Identifier: Apache-2.0
// Settings of the parts behind the probe, as the configuration gives them, and ports that hold
// nothing: what an agent and a recorder share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/app/config.h"
#include "agent/app/journal.h"
#include "agent/core/auditor.h"
#include "agent/identify/background_budget.h"
#include "agent/identify/exact_desk.h"
#include "agent/identify/layer_identifier.h"
#include "agent/identify/layer_rewalker.h"
#include "agent/runtime/claim_source.h"
#include "agent/runtime/disk_records.h"
#include "agent/runtime/runtime_notes.h"

namespace assay::agent {

image::FingerprintLimits fingerprint_limits(const AgentConfig& config);
BackgroundLimits background_limits(const AgentConfig& config);
/// `config` was checked by its table.
RecordingLimits recording_limits(const AgentConfig& config);
IdentifierOptions identifier_options(const AgentConfig& config);
RewalkOptions rewalk_options(const AgentConfig& config);
ExactOptions exact_options(const AgentConfig& config);
AuditorConfig auditor_config(const AgentConfig& config, const std::string& boot_id);
RuntimeRoots runtime_roots(const AgentConfig& config);
NoteRoots note_roots(const AgentConfig& config);

/// In the order in which they are asked.
std::vector<std::unique_ptr<ClaimSource>> claim_sources(const AgentConfig& config);

/// What is read of a start at once, before its processes go: who is behind it, then its layers.
class StartCompleter final : public StackFinder {
 public:
  /// Both outlive it.
  StartCompleter(Processes& processes, StackFinder& stacks)
      : processes_(processes), stacks_(stacks) {}
  void complete(ContainerStart& start) override {
    processes_.complete(start);
    stacks_.complete(start);
  }

 private:
  Processes& processes_;
  StackFinder& stacks_;
};

/// For those that keep no state.
class NoCache final : public LayerCache {
 public:
  std::optional<KnownLayer> find(const LayerKey&) override { return std::nullopt; }
  Result<void> store(const LayerKey&, const KnownLayer&) override { return ok(); }
};
class NoOpenRuns final : public OpenRuns {
 public:
  std::vector<OpenRun> load() override { return {}; }
  std::vector<OpenRun> load_of_other_boots() override { return {}; }
  std::optional<catalog::Stack> describe(const StackDigest&) override { return std::nullopt; }
  bool is_complete() override { return true; }  // nothing was ever told
  void set_complete() override {}
};

}  // namespace assay::agent
