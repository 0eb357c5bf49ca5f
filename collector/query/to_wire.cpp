// SPDX-License-Identifier: Apache-2.0
#include "collector/query/to_wire.h"

namespace assay::collector {
namespace {

v1::VerdictStatus status(catalog::VerdictStatus in) {
  switch (in) {
    case catalog::VerdictStatus::kApproved:
      return v1::VERDICT_STATUS_APPROVED;
    case catalog::VerdictStatus::kDeprecated:
      return v1::VERDICT_STATUS_DEPRECATED;
    case catalog::VerdictStatus::kRevoked:
      return v1::VERDICT_STATUS_REVOKED;
    case catalog::VerdictStatus::kExpired:
      return v1::VERDICT_STATUS_EXPIRED;
    case catalog::VerdictStatus::kUnknown:
      return v1::VERDICT_STATUS_UNKNOWN;
    case catalog::VerdictStatus::kPending:
      return v1::VERDICT_STATUS_PENDING;
  }
  return v1::VERDICT_STATUS_UNSPECIFIED;
}

void fill(const catalog::View& view, v1::View& out) {
  out.set_state(std::string(catalog::to_string(view.state)));
  out.set_reason(view.reason);
  out.set_layers(view.layers);
  out.set_paths(view.paths);
  out.set_masked(view.masked);
  out.set_by_image(view.by_image);
  out.set_covered(view.covered);
  out.set_replaced(view.replaced);
  out.mutable_masked_paths()->Assign(view.masked_paths.begin(), view.masked_paths.end());
  out.mutable_covered_paths()->Assign(view.covered_paths.begin(), view.covered_paths.end());
  out.set_checked_ns(to_unix_ns(view.checked));
}

void fill(const catalog::Verdict& in, v1::Verdict& out) {
  out.set_status(status(in.status));
  out.set_rung(std::string(catalog::to_string(in.rung)));
  for (const auto& match : in.matches) {
    v1::BaseMatch& one = *out.add_matches();
    one.set_base(match.base.text());
    one.set_status(status(match.status));
    one.set_rung(std::string(catalog::to_string(match.rung)));
    one.set_layers(static_cast<std::uint32_t>(match.layers));
    one.set_first_layer(static_cast<std::uint32_t>(match.first_layer));
  }
  out.set_reason(in.reason);
  for (const auto& contradiction : in.contradictions)
    out.add_contradictions(contradiction);
  out.set_application_layers(static_cast<std::uint32_t>(in.application_layers));
  out.set_catalog_sequence(in.catalog_sequence);
}

template <typename D>
std::string raw(const std::optional<D>& digest) {
  return digest ? std::string(digest->raw()) : std::string();
}

void fill(const Process& in, v1::Process& out) {
  out.set_pid(in.pid);
  out.set_start_ns(in.start_ns);
  out.set_name(in.name);
}

void fill(const catalog::StackLayer& in, v1::StackLayer& out) {
  out.mutable_instance()->set_file_system(in.instance.file_system);
  out.mutable_instance()->set_inode(in.instance.inode);
  out.mutable_instance()->set_generation(in.instance.generation);
  out.mutable_instance()->set_birth_ns(in.instance.birth_ns);
  out.set_claimed_diff_id(raw(in.evidence.claimed));
  out.set_claimed_chain_id(raw(in.evidence.claimed_chain));
  out.set_is_claim_for_display(in.evidence.is_claim_for_display);
  out.set_shape(raw(in.evidence.shape));
  out.set_content(raw(in.evidence.content));
  out.set_deletions(raw(in.evidence.deletions));
  out.set_exact_diff_id(raw(in.evidence.exact));
  out.set_is_capped_at_shape(in.evidence.is_capped_at_shape);
  out.set_is_mutable(in.evidence.is_mutable);
  out.set_gap(in.evidence.gap);
  out.set_tampered(in.evidence.tampered);
  out.set_name(in.name);
  out.set_is_injected(in.is_injected);
  out.set_entries(in.entries);
  out.set_content_bytes(in.content_bytes);
}

void fill(const catalog::About& in, v1::About& out) {
  if (in.distribution) {
    v1::Distribution& distribution = *out.mutable_distribution();
    distribution.set_id(in.distribution->id);
    distribution.set_version(in.distribution->version);
    distribution.set_name(in.distribution->name);
    distribution.set_variant(in.distribution->variant);
  }
  for (const auto& database : in.databases) {
    v1::PackageDatabase& one = *out.add_databases();
    one.set_manager(database.manager);
    one.set_format(database.format);
    one.set_path(database.path);
    one.set_packages(database.packages);
    one.set_gap(database.gap);
  }
  out.set_gap(in.gap);
}

void fill(const catalog::Login& in, v1::Login& out) {
  out.set_session(in.session);
  out.set_terminal(in.terminal);
  out.set_login_uid(in.login_uid);
  out.set_login_session(in.login_session);
  out.set_starter_uid(in.starter_uid);
  out.set_told_by(in.told_by);
}

void fill(const catalog::Recognition& in, v1::Recognition& out) {
  out.set_state(std::string(catalog::to_string(in.state)));
  out.set_reason(in.reason);
  out.mutable_conflicts()->Assign(in.conflicts.begin(), in.conflicts.end());
}

void fill(const catalog::Posture& in, v1::Posture& out) {
  for (const std::string& trait : catalog::trait_names(in))
    out.add_traits(trait);
  out.set_capabilities(in.capabilities);
  out.set_seccomp(in.seccomp);
  out.set_lsm_label(in.lsm_label);
}

void fill(const RunOrigin& in, v1::RunOrigin& out) {
  out.set_cause(in.cause);
  for (const auto& ancestor : in.ancestors)
    fill(ancestor, *out.add_ancestors());
  for (const std::uint32_t pid : in.namespace_pids)
    out.add_namespace_pids(pid);
  out.set_uid(in.uid);
  out.set_gid(in.gid);
  out.set_mount_namespace(in.mount_namespace);
  out.set_pid_namespace(in.pid_namespace);
  out.set_user_namespace(in.user_namespace);
  for (const auto& argument : in.arguments)
    out.add_arguments(argument);
  out.set_arguments_truncated(in.arguments_truncated);
  out.set_root_type(in.root_type);
  fill(in.login, *out.mutable_login());
  if (in.posture.is_known) fill(in.posture, *out.mutable_posture());
}

void fill(const Exec& in, v1::Exec& out) {
  out.set_time_ns(in.time_ns);
  fill(in.process, *out.mutable_process());
  fill(in.parent, *out.mutable_parent());
  out.set_uid(in.uid);
  out.set_executable(in.executable);
  for (const auto& argument : in.arguments)
    out.add_arguments(argument);
  out.set_arguments_truncated(in.arguments_truncated);
  out.set_is_from_upper(in.is_from_upper);
  out.mutable_file()->set_origin(std::string(catalog::to_string(in.origin)));
  out.mutable_file()->set_path(in.path);
  out.mutable_file()->set_is_interpreter(in.is_interpreter);
}

void fill(const catalog::ContainedBase& in, v1::ContainedBase& out) {
  out.set_base(in.base.text());
  out.set_platform(in.platform);
  out.set_files(in.files);
  out.set_present(in.present);
  out.set_changed(in.changed);
  out.set_missing(in.missing);
  out.set_share_permille(in.share_permille);
  out.set_rival(in.rival);
  out.set_own_files(in.own_files);
  out.set_own_present(in.own_present);
  out.set_is_contained(in.is_contained);
  out.set_why(in.why);
}

void fill(const ContainmentView& in, v1::Containment& out) {
  out.set_first_layer(static_cast<std::uint32_t>(in.first_layer));
  out.set_is_awaited(in.is_awaited);
  out.set_gap(in.gap);
  out.set_files(in.found.files);
  for (const auto& base : in.found.contained)
    fill(base, *out.add_contained());
  if (in.found.runner_up) fill(*in.found.runner_up, *out.mutable_runner_up());
  out.set_why(in.found.why);
}

}  // namespace

void to_wire(const ContainerNames& in, v1::ContainerNames& out) {
  out.set_container_id(in.container_id);
  out.set_runtime(in.runtime);
  out.set_name(in.name);
  out.set_image(in.image);
  out.set_image_id(in.image_id);
  out.set_config_digest(raw(in.config_digest));
  out.set_manifest_digest(raw(in.manifest_digest));
  out.set_repo_digest(raw(in.repo_digest));
  out.set_pod_name(in.pod_name);
  out.set_pod_namespace(in.pod_namespace);
  out.set_pod_uid(in.pod_uid);
  out.set_is_bound_to_kernel(in.is_bound_to_kernel);
  out.set_is_users_to_write(in.is_users_to_write);
  for (const auto& [key, value] : in.labels)
    (*out.mutable_labels())[key] = value;
}

void to_wire(const RunView& run, v1::Run& out) {
  out.set_run_id(run.run_id);
  out.set_cluster(run.node.cluster);
  out.set_node(run.node.node);
  out.set_kind(run.kind);
  out.set_is_late(run.is_late);
  out.set_started_ns(run.started_ns);
  out.set_ended_ns(run.ended_ns);
  to_wire(run.names, *out.mutable_names());
  fill(run.verdict, *out.mutable_verdict());
  out.set_stack(raw(run.stack));
  out.set_layers(run.layers);
  out.set_executable(run.executable);
  fill(run.process, *out.mutable_process());
  out.set_cgroup_path(run.cgroup_path);
  out.set_exemption(run.exemption);
}

void to_wire(const FindingView& finding, v1::Finding& out) {
  out.set_finding_id(finding.finding_id);
  out.set_kind(std::string(catalog::to_string(finding.kind)));
  out.set_state(finding.resolved_ns == 0 ? "open" : "resolved");
  out.set_subject(finding.subject);
  out.set_reason(finding.reason);
  out.set_opened_ns(finding.opened_ns);
  out.set_changed_ns(finding.changed_ns);
  out.set_resolved_ns(finding.resolved_ns);
  out.set_resolved_reason(finding.resolved_reason);
  out.set_cluster(finding.node.cluster);
  out.set_node(finding.node.node);
  out.set_run_id(finding.run_id);
  to_wire(finding.names, *out.mutable_names());
  out.set_base(finding.base);
  const TriageState& triage = finding.triage;
  out.set_triage(std::string(triage.word()));
  out.set_acknowledged_by(triage.acknowledged_by);
  out.set_acknowledged_ns(triage.acknowledged_ns);
  out.set_acknowledged_note(triage.acknowledged_note);
  out.set_assignee(triage.assignee);
  out.set_assigned_by(triage.assigned_by);
  out.set_muted_by(triage.muted_by);
  out.set_muted_ns(triage.muted_ns);
  out.set_muted_until_ns(triage.muted_until_ns);
  out.set_muted_reason(triage.muted_reason);
  out.set_revision(triage.revision + 1);  // 0 on the wire: whatever it is
}

void to_wire(const NodeView& node, v1::Node& out) {
  const Heartbeat& beat = node.heartbeat;
  out.set_cluster(node.key.cluster);
  out.set_node(node.key.node);
  out.set_is_connected(node.is_connected);
  out.set_last_seen_ns(node.last_seen_ns);
  out.set_version(node.version);
  out.set_kernel(node.kernel);
  out.set_probe_state(beat.probe_state);
  out.set_probe_detail(beat.probe_detail);
  out.set_probe_lost(beat.probe_lost + beat.queue_dropped);
  out.set_running(beat.running);
  out.set_catalog_sequence(beat.catalog_sequence);
  out.set_catalog_is_stale(beat.catalog_is_stale);
  out.set_layers_pending(beat.layers_pending);
  out.set_outbox_events(beat.outbox_events);
  out.set_rss_bytes(beat.rss_bytes);
  out.set_acknowledged(node.acknowledged);
  out.set_state(std::string(to_string(node.presence)));
  out.set_heartbeat_ns(node.heartbeat_ns);
  out.set_probe_is_attached(beat.probe_is_attached);
  out.set_probe_has_seen(beat.probe_has_seen);
  out.set_probe_sent(beat.probe_sent);
  out.set_lost_starts(beat.lost_starts);
  out.set_lost_execs(beat.lost_execs);
  out.set_recursion_misses(beat.recursion_misses);
  out.set_map_failures(beat.map_failures);
  out.set_queue_dropped(beat.queue_dropped);
  out.set_starts(beat.starts);
  out.set_late_starts(beat.late_starts);
  out.set_outbox_bytes(beat.outbox_bytes);
  out.set_outbox_dropped(beat.outbox_dropped);
  out.set_outbox_oldest_ns(beat.outbox_oldest_ns);
  out.set_catalog_expires_ns(beat.catalog_expires_ns);
  for (const Degradation& one : beat.degraded) {
    out.add_degraded()->set_mode(one.mode);
    out.mutable_degraded()->rbegin()->set_reason(one.reason);
  }
  out.set_clock_offset_ns(node.clock_offset_ns);
  out.set_clock_offset_is_known(node.heartbeat_ns != 0);
  out.set_boot_id(node.boot_id);
  out.set_address(node.address);
  out.set_started_ns(beat.started_ns);
  out.set_cpu_ns(beat.cpu_ns);
  out.set_is_state_wanted(node.is_state_wanted);
  out.set_revoked_ns(node.revoked_ns);
  out.set_revoked_by(node.revoked_by);
  out.set_revoked_reason(node.revoked_reason);
  out.set_certificate_expires_ns(node.certificate_expires_ns);
  out.set_trust(node.trust_state);
}

void to_wire(const TraceView& trace, v1::Trace& out) {
  to_wire(trace.run, *out.mutable_run());
  fill(trace.origin, *out.mutable_origin());
  for (const auto& layer : trace.stack.layers)
    fill(layer, *out.mutable_stack()->add_layers());
  out.mutable_stack()->set_unsupported(trace.stack.unsupported);
  if (trace.stack.about != catalog::About{})
    fill(trace.stack.about, *out.mutable_stack()->mutable_about());
  for (const auto& exec : trace.execs)
    fill(exec, *out.add_execs());
  for (const auto& finding : trace.findings)
    to_wire(finding, *out.add_findings());
  for (const auto& run : trace.other_runs)
    out.add_other_runs(run);
  out.set_runs_on_same_stack(trace.runs_on_same_stack);
  if (trace.containment) fill(*trace.containment, *out.mutable_containment());
  fill(trace.view, *out.mutable_view());
  fill(trace.recognition, *out.mutable_recognition());
}

void to_wire(const ImpactView& impact, v1::Impact& out) {
  out.set_running(impact.running);
  out.set_nodes(impact.nodes);
  out.set_running_total(impact.running_total);
  out.set_since_ns(impact.since_ns);
  out.set_namespaces(impact.namespaces);
  out.set_owners(impact.owners);
  for (const auto& group : impact.groups) {
    v1::ImpactGroup& one = *out.add_groups();
    one.set_pod_namespace(group.pod_namespace);
    one.set_owner(group.owner);
    one.set_running(group.running);
    one.set_nodes(group.nodes);
    one.set_since_ns(group.since_ns);
  }
  for (const auto& run : impact.runs) {
    v1::ImpactRow& row = *out.add_rows();
    row.set_cluster(run.node.cluster);
    row.set_node(run.node.node);
    row.set_run_id(run.run_id);
    to_wire(run.names, *row.mutable_names());
    row.set_started_ns(run.started_ns);
  }
}

void to_wire(const TrialView& trial, v1::PolicyTrial& out) {
  out.set_running(trial.running);
  out.set_changed(trial.changed);
  out.set_not_searched(trial.not_searched);
  for (const TrialGroup& group : trial.groups) {
    v1::TrialGroup& one = *out.add_groups();
    one.set_before(status(group.before));
    one.set_after(status(group.after));
    one.set_base(group.base);
    one.set_pod_namespace(group.pod_namespace);
    one.set_running(group.running);
    one.set_nodes(group.nodes);
    one.set_reason(group.reason);
  }
  for (const TrialFinding& finding : trial.findings) {
    v1::TrialFinding& one = *out.add_findings();
    one.set_kind(std::string(catalog::to_string(finding.kind)));
    one.set_base(finding.base);
    one.set_opened(finding.opened);
    one.set_resolved(finding.resolved);
  }
  for (const TrialRun& run : trial.runs) {
    v1::TrialRun& one = *out.add_runs();
    one.set_cluster(run.node.cluster);
    one.set_node(run.node.node);
    one.set_run_id(run.run_id);
    to_wire(run.names, *one.mutable_names());
    one.set_before(status(run.before));
    one.set_after(status(run.after));
    one.set_reason(run.reason);
  }
}

void to_wire(const DiscoveryView& found, v1::Discovery& out) {
  out.set_running(found.running);
  out.set_not_read(found.not_read);
  for (const Proposal& proposal : found.proposals) {
    v1::Proposal& one = *out.add_proposals();
    one.set_id(proposal.id);
    for (const auto& layer : proposal.layers)
      fill(layer, *one.add_layers());
    one.set_running(proposal.running);
    one.set_nodes(proposal.nodes);
    one.set_images(proposal.images);
    for (const auto& image : proposal.example_images)
      one.add_example_images(image);
    fill(proposal.about, *one.mutable_about());
    one.set_below(proposal.below);
    one.set_is_whole(proposal.is_whole);
  }
}

}  // namespace assay::collector
