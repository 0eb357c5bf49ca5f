// SPDX-License-Identifier: Apache-2.0
#include "cli/records.h"

#include <map>

#include "cli/about_view.h"
#include "common/catalog/judge.h"
#include "common/catalog/standing.h"

namespace assay::cli {
namespace {

constexpr std::size_t kShortId = 12;

Object to_object(const std::map<std::string, std::string>& texts) {
  Object object;
  for (const auto& [name, text] : texts)
    object.emplace_back(name, text);
  return object;
}

Value to_value(const BaseMatch& match) {
  return Object{{"base", match.base},
                {"status", match.status},
                {"rung", match.rung},
                {"layers", match.layers},
                {"first_layer", match.first_layer}};
}

Value to_value(const catalog::BaseLayer& layer) {
  Value deviceless;
  if (layer.deviceless)
    deviceless = Object{{"shape", layer.deviceless->shape}, {"content", layer.deviceless->content}};
  return Object{{"diff_id", layer.diff_id},           {"shape", layer.shape},
                {"content", layer.content},           {"deletions", layer.deletions},
                {"entries", layer.entries},           {"content_bytes", layer.content_bytes},
                {"deviceless", std::move(deviceless)}};
}

Value to_value(const catalog::BaseStack& stack) {
  Array layers;
  for (const auto& layer : stack.layers)
    layers.push_back(to_value(layer));
  Value root;
  if (stack.root)
    root = Object{{"shape", stack.root->shape},
                  {"content", stack.root->content},
                  {"entries", stack.root->entries},
                  {"content_bytes", stack.root->content_bytes}};
  Value file_set;
  if (stack.file_set)
    file_set = Object{{"digest", stack.file_set->digest.text()}, {"files", stack.file_set->files}};
  return Object{{"platform", stack.platform},
                {"manifest_digest", stack.manifest_digest},
                {"layers", std::move(layers)},
                {"root", std::move(root)},
                {"file_set", std::move(file_set)}};
}

/// A draft is no verdict, so it keeps its own word.
std::string_view status_text(const catalog::Base& base, const catalog::Policy& policy,
                             WallTime now) {
  if (base.status == catalog::BaseStatus::kDraft) return catalog::to_string(base.status);
  return catalog::to_string(catalog::standing_of(base, policy, nullptr, now).status);
}

std::string annotation(const catalog::Base& base, std::string_view key) {
  const auto found = base.annotations.find(std::string(key));
  return found == base.annotations.end() ? std::string() : found->second;
}

Array to_numbers(const std::vector<std::uint32_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

std::string container_text(const ContainerNames& names, const std::string& run_id) {
  if (!names.name.empty()) return names.name;
  return (names.container_id.empty() ? run_id : names.container_id).substr(0, kShortId);
}

std::string base_text(const Verdict& verdict) {
  const bool has_prefix = !verdict.matches.empty() && verdict.matches.front().first_layer == 0;
  return has_prefix ? verdict.matches.front().base : "";
}

Array to_texts(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Value to_value(const Process& process) {
  return Object{{"pid", process.pid}, {"started_at", process.started_at}, {"name", process.name}};
}

Value to_value(const ContainerNames& names) {
  return Object{{"container_id", names.container_id},
                {"runtime", names.runtime},
                {"name", names.name},
                {"image", names.image},
                {"image_id", names.image_id},
                {"config_digest", names.config_digest},
                {"manifest_digest", names.manifest_digest},
                {"repo_digest", names.repo_digest},
                {"pod_name", names.pod_name},
                {"pod_namespace", names.pod_namespace},
                {"pod_uid", names.pod_uid},
                {"labels", to_object(names.labels)},
                {"are_confirmed", names.are_confirmed()}};
}

Value to_value(const Verdict& verdict) {
  Array matches;
  for (const BaseMatch& match : verdict.matches)
    matches.push_back(to_value(match));
  return Object{{"status", verdict.status},
                {"rung", verdict.rung},
                {"matches", std::move(matches)},
                {"reason", verdict.reason},
                {"contradictions", to_texts(verdict.contradictions)},
                {"application_layers", verdict.application_layers},
                {"catalog_sequence", verdict.catalog_sequence}};
}

Value to_value(const Run& run) {
  return Object{{"run_id", run.run_id},
                {"container", container_text(run.names, run.run_id)},
                {"cluster", run.cluster},
                {"node", run.node},
                {"kind", run.kind},
                {"state", run.ended_at ? "ended" : "running"},
                {"is_late", run.is_late},
                {"started_at", run.started_at},
                {"ended_at", run.ended_at},
                {"base", base_text(run.verdict)},
                {"verdict", to_value(run.verdict)},
                {"stack", run.stack},
                {"layers", run.layers},
                {"executable", run.executable},
                {"process", to_value(run.process)},
                {"cgroup_path", run.cgroup_path},
                {"names", to_value(run.names)},
                {"exemption", run.exemption}};
}

Value to_value(const Finding& finding) {
  const bool is_on_node = finding.run_id.empty();
  return Object{{"finding_id", finding.finding_id},
                {"kind", finding.kind},
                {"state", finding.state},
                {"subject", finding.subject},
                {"reason", finding.reason},
                {"opened_at", finding.opened_at},
                {"changed_at", finding.changed_at},
                {"resolved_at", finding.resolved_at},
                {"resolved_reason", finding.resolved_reason},
                {"cluster", finding.cluster},
                {"node", finding.node},
                {"base", finding.base},
                {"run_id", finding.run_id},
                {"container", is_on_node ? "" : container_text(finding.names, finding.run_id)},
                {"names", to_value(finding.names)},
                {"triage", finding.triage},
                {"acknowledged_by", finding.acknowledged_by},
                {"acknowledged_at", finding.acknowledged_at},
                {"acknowledged_note", finding.acknowledged_note},
                {"assignee", finding.assignee},
                {"assigned_by", finding.assigned_by},
                {"muted_by", finding.muted_by},
                {"muted_at", finding.muted_at},
                {"muted_until", finding.muted_until},
                {"muted_reason", finding.muted_reason},
                {"revision", finding.revision}};
}

Value to_value(const Degradation& degradation) {
  return Object{{"mode", degradation.mode}, {"reason", degradation.reason}};
}

Value to_value(const Node& node) {
  Array modes;
  for (const Degradation& one : node.degraded)
    modes.emplace_back(one.mode);
  return Object{{"cluster", node.cluster},
                {"node", node.node},
                {"state", node.state},
                {"is_connected", node.is_connected},
                {"last_seen_at", node.last_seen_at},
                {"heartbeat_at", node.heartbeat_at},
                {"address", node.address},
                {"version", node.version},
                {"kernel", node.kernel},
                {"boot_id", node.boot_id},
                {"started_at", node.started_at},
                {"degraded_modes", std::move(modes)},
                {"degraded", to_array(node.degraded)},
                {"probe_state", node.probe_state},
                {"probe_detail", node.probe_detail},
                {"probe_is_attached", node.probe_is_attached},
                {"probe_has_seen", node.probe_has_seen},
                {"probe_sent", node.probe_sent},
                {"probe_lost", node.probe_lost},
                {"lost_starts", node.lost_starts},
                {"lost_execs", node.lost_execs},
                {"recursion_misses", node.recursion_misses},
                {"map_failures", node.map_failures},
                {"queue_dropped", node.queue_dropped},
                {"starts", node.starts},
                {"late_starts", node.late_starts},
                {"running", node.running},
                {"catalog_sequence", node.catalog_sequence},
                {"catalog_is_stale", node.catalog_is_stale},
                {"catalog_expires_at", node.catalog_expires_at},
                {"layers_pending", node.layers_pending},
                {"outbox_events", node.outbox_events},
                {"outbox_bytes", node.outbox_bytes},
                {"outbox_dropped", node.outbox_dropped},
                {"outbox_oldest_at", node.outbox_oldest_at},
                {"acknowledged", node.acknowledged},
                {"clock_offset_ns", node.clock_offset_ns},
                {"is_state_wanted", node.is_state_wanted},
                {"revoked_at", node.revoked_at},
                {"revoked_by", node.revoked_by},
                {"revoked_reason", node.revoked_reason},
                {"certificate_expires_at", node.certificate_expires_at},
                {"trust", node.trust},
                {"rss_bytes", node.rss_bytes},
                {"cpu_ns", node.cpu_ns}};
}

namespace {

Value to_value(const ContainedBase& base) {
  return Object{{"base", base.base},
                {"platform", base.platform},
                {"is_contained", base.is_contained},
                {"share_percent", std::to_string(base.share_permille / 10) + "." +
                                      std::to_string(base.share_permille % 10)},
                {"files", base.files},
                {"present", base.present},
                {"changed", base.changed},
                {"missing", base.missing},
                {"rival", base.rival},
                {"own_files", base.own_files},
                {"own_present", base.own_present},
                {"why", base.why}};
}

std::string state_text(const Containment& found) {
  if (found.is_awaited) return "not here yet";
  if (!found.gap.empty()) return "could not be looked at: " + found.gap;
  return found.why;
}

}  // namespace

Value to_value(const Containment& found) {
  Array bases;
  for (const ContainedBase& base : found.bases)
    bases.push_back(to_value(base));
  return Object{{"state", state_text(found)}, {"is_awaited", found.is_awaited},
                {"gap", found.gap},           {"first_layer", std::uint64_t{found.first_layer}},
                {"files", found.files},       {"bases", std::move(bases)}};
}

Value to_value(const catalog::View& view) {
  const bool was_looked_at = view.checked != WallTime{};
  return Object{{"state", std::string(to_string(view.state))},
                {"reason", view.reason.empty() && !was_looked_at
                               ? "not looked at: gone before, or no base names it yet"
                               : view.reason},
                {"checked_at", was_looked_at ? Value(view.checked) : Value()},
                {"layers", view.layers},
                {"paths", view.paths},
                {"masked", view.masked},
                {"by_image", view.by_image},
                {"covered", view.covered},
                {"replaced", view.replaced},
                {"masked_paths", to_texts(view.masked_paths)},
                {"covered_paths", to_texts(view.covered_paths)}};
}

Value to_value(const Layer& layer) {
  return Object{{"name", layer.name},
                {"instance", Object{{"file_system", layer.file_system},
                                    {"inode", layer.inode},
                                    {"generation", layer.generation},
                                    {"born_at", layer.born_at}}},
                {"claimed_diff_id", layer.claimed_diff_id},
                {"claimed_chain_id", layer.claimed_chain_id},
                {"is_claim_for_display", layer.is_claim_for_display},
                {"shape", layer.shape},
                {"content", layer.content},
                {"deletions", layer.deletions},
                {"exact_diff_id", layer.exact_diff_id},
                {"is_capped_at_shape", layer.is_capped_at_shape},
                {"is_mutable", layer.is_mutable},
                {"is_injected", layer.is_injected},
                {"gap", layer.gap},
                {"tampered", layer.tampered},
                {"entries", layer.entries},
                {"content_bytes", layer.content_bytes}};
}

Value to_value(const Exec& exec) {
  return Object{{"time", exec.time},
                {"process", to_value(exec.process)},
                {"parent", to_value(exec.parent)},
                {"uid", exec.uid},
                {"executable", exec.executable},
                {"arguments", to_texts(exec.arguments)},
                {"arguments_truncated", exec.arguments_truncated},
                {"is_from_upper", exec.is_from_upper},
                {"origin", exec.origin},
                {"path", exec.path},
                {"is_interpreter", exec.is_interpreter}};
}

/// Null where the kernel or audit knows nobody.
Value to_value(const catalog::Login& login) {
  const auto number = [](std::uint32_t value) {
    return value == catalog::Login::kNobody ? Value() : Value(std::uint64_t{value});
  };
  return Object{{"session", login.session == 0 ? Value() : Value(std::uint64_t{login.session})},
                {"terminal", login.terminal},
                {"starter_uid", number(login.starter_uid)},
                {"login_uid", number(login.login_uid)},
                {"login_session", number(login.login_session)},
                {"told_by", login.told_by}};
}

Value to_value(const catalog::Recognition& recognition) {
  return Object{{"state", catalog::to_string(recognition.state)},
                {"reason", recognition.reason},
                {"conflicts", to_texts(recognition.conflicts)}};
}

Value to_value(const catalog::Posture& posture) {
  return Object{{"traits", to_texts(catalog::trait_names(posture))},
                {"capabilities", to_texts(catalog::capability_names(posture.capabilities))},
                {"seccomp", posture.seccomp},
                {"lsm_label", posture.lsm_label}};
}

Value to_value(const RunOrigin& origin) {
  return Object{{"cause", origin.cause},
                {"ancestors", to_array(origin.ancestors)},
                {"namespace_pids", to_numbers(origin.namespace_pids)},
                {"uid", origin.uid},
                {"gid", origin.gid},
                {"mount_namespace", origin.mount_namespace},
                {"pid_namespace", origin.pid_namespace},
                {"user_namespace", origin.user_namespace},
                {"arguments", to_texts(origin.arguments)},
                {"arguments_truncated", origin.arguments_truncated},
                {"root_type", origin.root_type},
                {"login", to_value(origin.login)},
                {"posture", origin.posture.is_known ? to_value(origin.posture) : Value()}};
}

Value to_value(const ImpactRow& row) {
  return Object{
      {"cluster", row.cluster},       {"node", row.node},
      {"run_id", row.run_id},         {"container", container_text(row.names, row.run_id)},
      {"started_at", row.started_at}, {"names", to_value(row.names)}};
}

Value to_value(const Impact& impact) {
  Array groups;
  for (const ImpactGroup& group : impact.groups)
    groups.push_back(Object{{"namespace", group.pod_namespace},
                            {"owner", group.owner},
                            {"running", group.running},
                            {"nodes", group.nodes},
                            {"since", group.since}});
  return Object{{"running", impact.running},       {"running_total", impact.running_total},
                {"nodes", impact.nodes},           {"since", impact.since},
                {"namespaces", impact.namespaces}, {"owners", impact.owners},
                {"groups", std::move(groups)},     {"runs", to_array(impact.rows)}};
}

Value to_value(const catalog::Base& base, const catalog::Policy& policy, WallTime now) {
  Array stacks, platforms;
  for (const auto& stack : base.stacks) {
    stacks.push_back(to_value(stack));
    platforms.emplace_back(stack.platform);
  }
  const std::uint64_t layers = base.stacks.empty() ? 0 : base.stacks.front().layers.size();
  Object object{{"base", base.id.text()},
                {"name", base.id.name},
                {"version", base.id.version},
                {"status", status_text(base, policy, now)},
                {"platforms", std::move(platforms)},
                {"layers", layers},
                {"deprecated_until", base.deprecated_until},
                {"expires_at", base.expires_at},
                {"reason", base.reason},
                {"successor", base.successor},
                {"contact", annotation(base, catalog::kContactAnnotation)},
                {"note", annotation(base, catalog::kNoteAnnotation)},
                {"approved_at", base.approved_at},
                {"built_at", base.built_at},
                {"changed_at", base.changed_at},
                {"changed_by", base.changed_by},
                {"changed_in", base.changed_in},
                {"annotations", to_object(base.annotations)},
                {"stacks", std::move(stacks)}};
  add_about(object, about_from(base.annotations));
  return object;
}

}  // namespace assay::cli
