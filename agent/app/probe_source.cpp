// SPDX-License-Identifier: Apache-2.0
#include "agent/app/probe_source.h"

#include "agent/probe/bpf_event_source.h"

namespace assay::agent {

Result<std::unique_ptr<EventSource>> make_probe_source(const AgentConfig& config,
                                                       const Clock& clock) {
  ProbeOptions options;
  options.start_ring_bytes = static_cast<std::uint32_t>(config.probe_start_ring_bytes);
  options.exec_ring_bytes = static_cast<std::uint32_t>(config.probe_exec_ring_bytes);
  options.sweep_interval = config.sweep_interval;
  options.canary_command = {"/proc/self/exe", "canary"};  // a program that is always there
  ASSAY_ASSIGN(std::unique_ptr<BpfEventSource> source,
               BpfEventSource::create(std::move(options), clock));
  return std::unique_ptr<EventSource>(std::move(source));
}

}  // namespace assay::agent
