// SPDX-License-Identifier: Apache-2.0
#include "agent/app/run.h"

#include <malloc.h>

#include "agent/app/agent.h"
#include "agent/app/failure.h"
#include "agent/confine/call_filter.h"
#include "agent/confine/rights.h"
#include "common/service/code_pages.h"
#include "common/service/heap.h"
#include "common/service/signals.h"

namespace assay::agent {
namespace {

using Loaded = config::Loaded<AgentConfig>;

/// Takes over what can be taken over while the agent runs; the rest waits for a restart.
Result<void> reload(Agent& agent, const RunOptions& options, Loaded& current, service::Log& log) {
  auto next = options.load();
  if (!next) return std::move(next.error());
  auto merged = config_table().merge(current, std::move(*next));
  ASSAY_TRY(agent.reload(merged.loaded.config));
  current = std::move(merged.loaded);
  for (const std::string& key : merged.restart)
    log.warn("a changed key is not in effect: restart to apply", {{"key", key}});
  log.info("configuration and certificates reloaded", {{"changed", config::join(merged.taken)}});
  return ok();
}

void on_hangup(Agent& agent, const RunOptions& options, Loaded& current, service::Log& log) {
  const auto reloaded = reload(agent, options, current, log);
  agent.count_reload(reloaded.has_value());
  if (!reloaded)
    log.error("the new configuration is refused; the old one stays in effect",
              {{"reason", config::in_one_line(reloaded.error())}});
}

}  // namespace

ExitCode run_agent(const Loaded& loaded, const RunOptions& options) {
  service::keep_heap_small(2);
  Loaded current = loaded;
  const AgentConfig& config = current.config;
  auto log = service::Log::create({config.log_level, config.log_format});
  if (!log) return fail(log.error());
  // Before any thread: they inherit the mask.
  auto signals = service::Signals::create(service::Signals::User::kTaken);
  if (!signals) return fail(signals.error());
  if (auto forbidden = forbid_new_privileges(); !forbidden) return fail(forbidden.error());
  const SystemClock clock;
  auto source = options.make_source(config, clock);
  if (!source) return fail_to_probe(source.error());
  // Before any other thread, for the same reason.
  auto kept = give_up_rights();
  if (!kept) return fail(kept.error());
  (*log)->info("capabilities that are kept", {{"names", *kept}});
  auto agent = Agent::create(config, std::move(*source), clock, **log);
  if (!agent) return fail(agent.error());
  if (auto started = (*agent)->start(); !started) return fail_to_probe(started.error());
  // Loading the probe took megabytes of heap and of code that are never needed again.
  ::malloc_trim(0);
  service::let_go_of_code();
  if (config.seccomp) {
    if (auto filtered = filter_calls(); !filtered) return fail(filtered.error());
  }
  const int signal = signals->wait_for_stop([&] { on_hangup(**agent, options, current, **log); },
                                            [&] { (*agent)->walk_layers(); });
  (*log)->info("stopping", {{"signal", std::to_string(signal)}});
  (*agent)->stop();
  return ExitCode::kOk;
}

}  // namespace assay::agent
