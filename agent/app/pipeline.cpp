// SPDX-License-Identifier: Apache-2.0
#include "agent/app/pipeline.h"

#include "agent/runtime/containerd/claims.h"
#include "agent/runtime/disk_claims.h"

namespace assay::agent {

image::FingerprintLimits fingerprint_limits(const AgentConfig& config) {
  image::FingerprintLimits limits;
  limits.max_entries = config.max_entries;
  limits.max_content_bytes = config.max_content_bytes;
  return limits;
}

BackgroundLimits background_limits(const AgentConfig& config) {
  return {config.background_bytes, config.background_cpu};
}

RecordingLimits recording_limits(const AgentConfig& config) {
  return {config.arguments, config.max_argument_bytes,
          Redactor::create({config.redact_words, config.redact_patterns}).value(),
          LabelRules::create(config.labels).value()};
}

IdentifierOptions identifier_options(const AgentConfig& config) {
  IdentifierOptions options;
  options.shape_threads = config.shape_threads;
  options.content_threads = config.content_threads;
  options.content_is_idle = config.content_idle;
  options.limits = fingerprint_limits(config);
  return options;
}

RewalkOptions rewalk_options(const AgentConfig& config) {
  RewalkOptions options;
  options.interval = config.rewalk_interval;
  options.limits = fingerprint_limits(config);
  return options;
}

ExactOptions exact_options(const AgentConfig& config) {
  ExactOptions options;
  options.is_on = config.exact == "on";
  options.interval = config.exact_interval;
  options.limits = fingerprint_limits(config);
  return options;
}

AuditorConfig auditor_config(const AgentConfig& config, const std::string& boot_id) {
  AuditorConfig auditor;
  auditor.cluster = config.cluster;
  auditor.node = config.node;
  auditor.boot_id = boot_id;
  auditor.exec_level = exec_level_of(config.exec_level);
  return auditor;
}

RuntimeRoots runtime_roots(const AgentConfig& config) {
  return {config.docker_roots, config.containerd_states, config.containers_storage_roots};
}

NoteRoots note_roots(const AgentConfig& config) {
  return {config.oci_states, config.containerd_states, {"/run/systemd/machines"}};
}

std::vector<std::unique_ptr<ClaimSource>> claim_sources(const AgentConfig& config) {
  std::vector<std::unique_ptr<ClaimSource>> sources;
  sources.push_back(std::make_unique<DiskClaims>(runtime_roots(config)));
  if (!config.containerd_sockets.empty())
    sources.push_back(std::make_unique<ContainerdClaims>(
        ContainerdOptions{.sockets = config.containerd_sockets}));
  return sources;
}

}  // namespace assay::agent
