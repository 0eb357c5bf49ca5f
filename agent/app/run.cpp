// SPDX-License-Identifier: Apache-2.0
#include "agent/app/run.h"

#include <malloc.h>

#include "agent/app/agent.h"
#include "agent/app/failure.h"
#include "agent/app/probe_source.h"
#include "common/service/signals.h"

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kForEver{-1};
constexpr int kLargeBlockBytes = 128 << 10;

}  // namespace

ExitCode run_agent(const AgentConfig& config) {
  // glibc gives each thread a heap of its own, and they never shrink: two are enough for us.
  ::mallopt(M_ARENA_MAX, 2);
  // Fixed, or glibc raises both with the first large block and keeps what is freed then.
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  ::mallopt(M_TRIM_THRESHOLD, kLargeBlockBytes);
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
