// SPDX-License-Identifier: Apache-2.0
#include "agent/app/run.h"

#include <malloc.h>

#include <cstdio>

#include "agent/app/agent.h"
#include "agent/app/probe_source.h"
#include "common/base/encoding.h"
#include "common/service/heap.h"
#include "common/service/signals.h"

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kForEver{-1};

ExitCode fail(const Error& error) {
  std::fprintf(stderr, "assay-agent: %s\n", escape_untrusted(error.text(), 2048).c_str());
  return exit_code_for(error);
}

/// The probe's own errors are about this machine, not about what the user gave.
ExitCode fail_to_probe(const Error& error) {
  const ExitCode code = fail(error);
  const bool is_missing_need =
      error.code == ErrorCode::kPermissionDenied || error.code == ErrorCode::kUnsupported;
  return is_missing_need ? ExitCode::kMissingNeed : code;
}

}  // namespace

ExitCode run_agent(const AgentConfig& config) {
  service::keep_heap_small(2);
  auto log = service::Log::create({config.log_level, config.log_format});
  if (!log) return fail(log.error());
  auto signals = service::StopSignals::create();  // before any thread: they inherit the mask
  if (!signals) return fail(signals.error());
  const SystemClock clock;
  auto source = make_probe_source(config, clock);
  if (!source) return fail_to_probe(source.error());
  auto agent = Agent::create(config, std::move(*source), clock, **log);
  if (!agent) return fail(agent.error());
  if (auto started = (*agent)->start(); !started) return fail_to_probe(started.error());
  ::malloc_trim(0);  // loading the probe took megabytes that are never needed again
  const auto signal = signals->wait(kForEver);
  (*log)->info("stopping", {{"signal", std::to_string(signal.value_or(0))}});
  (*agent)->stop();
  return ExitCode::kOk;
}

}  // namespace assay::agent
