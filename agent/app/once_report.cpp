// SPDX-License-Identifier: Apache-2.0
#include "agent/app/once_report.h"

#include "agent/core/run_identity.h"
#include "common/catalog/judge.h"
#include "common/catalog/sandbox.h"

namespace assay::agent {
namespace {

using output::Array;
using output::Object;
using output::Style;
using output::Value;

/// The container's name for people: what its runtime calls it, else its id, else its program.
std::string name_of(const RunStarted& run) {
  if (!run.names.name.empty()) return run.names.name;
  if (!run.names.container_id.empty()) return run.names.container_id.substr(0, 12);
  return run.start.executable;
}

/// Nothing comes after this look: what is pending now stays so.
std::vector<catalog::FindingCause> causes_of(const RunLedger::Run& run, const catalog::Stack& stack,
                                             const catalog::Policy& policy) {
  auto causes = catalog::causes_of(run.started.verdict, stack, /*is_overdue=*/true);
  for (auto& cause : catalog::causes_of_conflicts(run.claim_conflicts))
    causes.push_back(std::move(cause));
  const std::string rogue = policy.reports_rogue ? run.recognition.rogue_reason() : "";
  for (auto& cause : catalog::causes_of_recognition(rogue, run.recognition.conflicts))
    causes.push_back(std::move(cause));
  (void)catalog::apply_sandbox_rule(policy, to_string(run.started.kind), run.started.names,
                                    run.started.verdict, causes);
  return causes;
}

Value to_value(const catalog::StackLayer& layer) {
  return Object{{"name", layer.name},
                {"claimed_diff_id", layer.evidence.claimed},
                {"shape", layer.evidence.shape},
                {"content", layer.evidence.content},
                {"is_injected", layer.is_injected},
                {"gap", layer.evidence.gap},
                {"entries", layer.entries},
                {"content_bytes", layer.content_bytes}};
}

Value to_value(const RunLedger::Run& run, const catalog::Stack& stack, std::size_t findings) {
  const RunStarted& started = run.started;
  Array layers;
  for (const catalog::StackLayer& layer : stack.layers)
    layers.push_back(to_value(layer));
  return Object{{"container", name_of(started)},
                {"container_id", started.names.container_id},
                {"runtime", started.names.runtime},
                {"image", started.names.image},
                {"pod", started.names.pod_name},
                {"namespace", started.names.pod_namespace},
                {"kind", to_string(started.kind)},
                {"started_at", started.started},
                {"pid", static_cast<std::uint64_t>(started.start.process.key.tgid)},
                {"executable", started.start.executable},
                {"known_by", catalog::to_string(run.recognition.state)},
                {"known_by_reason", run.recognition.reason},
                {"base", started.verdict.base_name()},
                {"verdict", catalog::to_string(started.verdict.status)},
                {"rung", catalog::to_string(started.verdict.rung)},
                {"reason", started.verdict.reason},
                {"findings", static_cast<std::uint64_t>(findings)},
                {"layers", std::move(layers)}};
}

std::vector<output::Section> sections() {
  return {{.path = "runs",
           .columns = {{"CONTAINER", "container"},
                       {"IMAGE", "image"},
                       {"BASE", "base"},
                       {"VERDICT", "verdict", Style::kVerdict},
                       {"RUNG", "rung"},
                       {"AGE", "started_at", Style::kAge},
                       {"FINDINGS", "findings"},
                       {"KIND", "kind", Style::kPlain, true},
                       {"RUNTIME", "runtime", Style::kPlain, true},
                       {"NAMESPACE", "namespace", Style::kPlain, true},
                       {"POD", "pod", Style::kPlain, true},
                       {"PID", "pid", Style::kPlain, true},
                       {"EXECUTABLE", "executable", Style::kPlain, true},
                       {"REASON", "reason", Style::kPlain, true}}},
          {.title = "Findings",
           .path = "findings",
           .columns = {{"KIND", "kind"},
                       {"CONTAINER", "container"},
                       {"SUBJECT", "subject", Style::kPlain, true},
                       {"REASON", "reason"}}}};
}

}  // namespace

output::Document once_report(const RunLedger& ledger, const OnceContext& context,
                             std::size_t& findings) {
  Array runs;
  Array found;
  const catalog::Stack nothing;
  for (const RunLedger::Run& run : ledger.runs()) {
    if (run.ended) continue;
    const RunLedger::StackPtr stack = ledger.stack_of(run);
    const auto causes = causes_of(run, stack ? *stack : nothing, context.policy);
    for (const catalog::FindingCause& cause : causes)
      found.push_back(Object{{"kind", catalog::to_string(cause.kind)},
                             {"container", name_of(run.started)},
                             {"container_id", run.started.names.container_id},
                             {"subject", cause.subject},
                             {"reason", cause.reason}});
    runs.push_back(to_value(run, stack ? *stack : nothing, causes.size()));
  }
  findings = found.size();
  output::Document document;
  document.value = Object{{"cluster", context.cluster},
                          {"node", context.node},
                          {"catalog_sequence", context.catalog_sequence},
                          {"is_complete", context.is_complete},
                          {"runs", std::move(runs)},
                          {"findings", std::move(found)}};
  document.sections = sections();
  return document;
}

}  // namespace assay::agent
