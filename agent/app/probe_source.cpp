// SPDX-License-Identifier: Apache-2.0
#include "agent/app/probe_source.h"

#include <filesystem>

#include "agent/probe/bpf_event_source.h"
#include "common/base/sha256.h"

namespace assay::agent {
namespace {

constexpr std::size_t kFolderDigits = 12;

ProbeOptions options_of(const AgentConfig& config) {
  ProbeOptions options;
  options.start_ring_bytes = static_cast<std::uint32_t>(config.probe_start_ring_bytes);
  options.exec_ring_bytes = static_cast<std::uint32_t>(config.probe_exec_ring_bytes);
  options.sweep_interval = config.sweep_interval;
  options.exec_budget_per_second = config.exec_budget;
  options.start_budget = config.start_budget;
  options.canary_command = {"/proc/self/exe", "canary"};  // a program that is always there
  return options;
}

Result<std::unique_ptr<EventSource>> make_source(ProbeOptions options, const Clock& clock) {
  ASSAY_ASSIGN(std::unique_ptr<BpfEventSource> source,
               BpfEventSource::create(std::move(options), clock));
  return std::unique_ptr<EventSource>(std::move(source));
}

}  // namespace

std::string pin_folder(const AgentConfig& config) {
  if (config.pin_dir.empty()) return {};
  std::error_code error;
  const auto state = std::filesystem::weakly_canonical(config.state_dir, error);
  const std::string path = error ? config.state_dir : state.string();
  return config.pin_dir + "/" + sha256(path).hex().substr(0, kFolderDigits);
}

Result<std::unique_ptr<EventSource>> make_probe_source(const AgentConfig& config,
                                                       const Clock& clock) {
  ProbeOptions options = options_of(config);
  options.pin_folder = pin_folder(config);
  options.keeps_pins = config.keep_on_exit;
  return make_source(std::move(options), clock);
}

Result<std::unique_ptr<EventSource>> make_recording_source(const AgentConfig& config,
                                                           const Clock& clock, ProbeTap& tap) {
  ProbeOptions options = options_of(config);
  options.tap = &tap;
  return make_source(std::move(options), clock);
}

std::chrono::milliseconds never_executed_age() {
  return ProbeOptions{}.never_executed_age;
}

}  // namespace assay::agent
