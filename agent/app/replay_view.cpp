// SPDX-License-Identifier: Apache-2.0
#include "agent/app/replay_view.h"

#include <nlohmann/json.hpp>

#include "agent/core/run_identity.h"
#include "agent/uplink/event_codec.h"
#include "agent/uplink/utf8.h"

namespace assay::agent {
namespace {

using nlohmann::ordered_json;

/// Text that a container may have chosen; JSON takes UTF-8 only.
ordered_json text(const std::string& raw) {
  return to_utf8(raw);
}

template <typename DigestType>
ordered_json digest(const std::optional<DigestType>& of) {
  return of ? ordered_json(of->text()) : ordered_json(nullptr);
}

ordered_json texts(const std::vector<std::string>& raw) {
  ordered_json list = ordered_json::array();
  for (const std::string& one : raw)
    list.push_back(text(one));
  return list;
}

ordered_json to_json(const ContainerNames& names) {
  ordered_json labels = ordered_json::object();
  for (const auto& [key, value] : names.labels)
    labels[to_utf8(key)] = text(value);
  return {{"container_id", text(names.container_id)},
          {"runtime", text(names.runtime)},
          {"name", text(names.name)},
          {"image", text(names.image)},
          {"image_id", text(names.image_id)},
          {"config_digest", digest(names.config_digest)},
          {"manifest_digest", digest(names.manifest_digest)},
          {"repo_digest", digest(names.repo_digest)},
          {"pod_name", text(names.pod_name)},
          {"pod_namespace", text(names.pod_namespace)},
          {"pod_uid", text(names.pod_uid)},
          {"labels", std::move(labels)}};
}

ordered_json to_json(const catalog::Verdict& verdict) {
  ordered_json matches = ordered_json::array();
  for (const catalog::BaseMatch& match : verdict.matches)
    matches.push_back({{"base", match.base.text()},
                       {"status", to_string(match.status)},
                       {"rung", to_string(match.rung)},
                       {"layers", match.layers},
                       {"first_layer", match.first_layer}});
  return {{"status", to_string(verdict.status)},
          {"rung", to_string(verdict.rung)},
          {"base", verdict.base_name()},
          {"matches", std::move(matches)},
          {"reason", text(verdict.reason)},
          {"contradictions", texts(verdict.contradictions)},
          {"application_layers", verdict.application_layers},
          {"catalog_sequence", verdict.catalog_sequence}};
}

/// What a layer says of itself; in a file of others it may be anything.
ordered_json about_of(const catalog::StackLayer& layer) {
  const auto about = catalog::decode_about(layer.about);
  const std::string json = about ? catalog::encode_about(*about) : std::string();
  return json.empty() ? ordered_json(nullptr) : ordered_json::parse(json);
}

ordered_json to_json(const catalog::StackLayer& layer) {
  return {{"name", text(layer.name)},
          {"claimed_diff_id", digest(layer.evidence.claimed)},
          {"claimed_chain_id", digest(layer.evidence.claimed_chain)},
          {"is_claim_for_display", layer.evidence.is_claim_for_display},
          {"shape", digest(layer.evidence.shape)},
          {"content", digest(layer.evidence.content)},
          {"deletions", digest(layer.evidence.deletions)},
          {"is_injected", layer.is_injected},
          {"is_capped_at_shape", layer.evidence.is_capped_at_shape},
          {"is_mutable", layer.evidence.is_mutable},
          {"gap", text(layer.evidence.gap)},
          {"entries", layer.entries},
          {"content_bytes", layer.content_bytes},
          {"about", about_of(layer)}};
}

ordered_json to_json(const ProcessInfo& process) {
  return {{"pid", process.key.tgid}, {"name", text(process.name)}};
}

ordered_json to_json(const EvidenceGap& gap) {
  return {{"from", to_rfc3339(gap.from)},
          {"until", to_rfc3339(gap.until)},
          {"reason", text(gap.reason)},
          {"lost", gap.lost}};
}

ordered_json to_json(const RunNoisy& noisy) {
  return {{"budget", to_string(noisy.budget)},
          {"from", to_rfc3339(noisy.from)},
          {"until", to_rfc3339(noisy.until)},
          {"dropped", noisy.dropped},
          {"is_over", noisy.is_over}};
}

ordered_json to_json(const ExecSeen& seen) {
  return {{"time", to_rfc3339(seen.time)},
          {"process", to_json(seen.exec.process)},
          {"executable", text(seen.exec.executable)},
          {"arguments", texts(seen.exec.arguments)},
          {"is_from_upper", seen.exec.is_from_upper}};
}

template <typename Item>
ordered_json list_of(const std::vector<Item>& items) {
  ordered_json list = ordered_json::array();
  for (const Item& item : items)
    list.push_back(to_json(item));
  return list;
}

ordered_json facts_of(const RunStarted& run) {
  return {
      {"run_id", run.run_id},
      {"kind", to_string(run.kind)},
      {"cause", to_string(run.start.cause)},
      {"is_late", run.is_late},
      {"started_at", to_rfc3339(run.started)},
      {"process", to_json(run.start.process)},
      {"ancestors", list_of(run.start.ancestors)},
      {"uid", run.start.uid},
      {"cgroup_path", text(run.start.cgroup_path)},
      {"in_host_user_namespace", run.start.in_host_user_namespace},
      {"executable", text(run.start.executable)},
      {"arguments", texts(run.start.arguments)},
      {"arguments_truncated", run.start.arguments_truncated},
      {"root_type", run.start.is_overlay ? "overlay" : file_system_name(run.start.key.root.magic)},
      {"names", to_json(run.names)},
      {"verdict", to_json(run.verdict)}};
}

}  // namespace

void ReplayView::record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) {
  ledger_.take(event, stack);
  if (keeps_events_) {
    const EncodingTime now{clock_.wall_now(), clock_.boot_now()};
    if (auto json = event_to_json(encode_event(event, now))) events_.push_back(std::move(*json));
  }
}

std::string ReplayView::to_json(const RecordingHeader& header, const ReplayReport& report) const {
  ordered_json runs = ordered_json::array();
  for (const RunLedger::Run& run : ledger_.runs()) {
    ordered_json one = facts_of(run.started);
    one["ended_at"] =
        run.ended ? ordered_json(to_rfc3339(run.ended->ended)) : ordered_json(nullptr);
    one["end_is_approximate"] = run.ended && run.ended->is_approximate;
    const auto stack = ledger_.stack_of(run);
    one["stack"] = digest(run.started.stack);
    one["layers"] = stack ? list_of(stack->layers) : ordered_json::array();
    one["unsupported"] = stack ? to_utf8(stack->unsupported) : "";
    one["claim_conflicts"] = texts(run.claim_conflicts);
    one["noisy"] = list_of(run.noisy);
    one["execs"] = list_of(run.execs);
    runs.push_back(std::move(one));
  }
  ordered_json document{{"recording",
                         {{"agent_version", text(header.agent_version)},
                          {"kernel", text(header.kernel)},
                          {"cluster", text(header.cluster)},
                          {"node", text(header.node)},
                          {"began_at", to_rfc3339(header.wall)},
                          {"entries", report.entries},
                          {"unreadable", report.unreadable},
                          {"unanswered", report.unanswered},
                          {"dropped", report.dropped},
                          {"is_cut", report.is_cut},
                          {"end_reason", text(report.end_reason)},
                          {"catalog_problem", text(report.catalog_problem)}}},
                        {"runs", std::move(runs)},
                        {"gaps", list_of(ledger_.gaps())}};
  if (keeps_events_) {
    document["events"] = ordered_json::array();
    // Sorted first: protobuf gives the entries of a map in any order.
    for (const std::string& event : events_)
      document["events"].push_back(ordered_json::parse(nlohmann::json::parse(event).dump()));
  }
  return document.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace assay::agent
