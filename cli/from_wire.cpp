// SPDX-License-Identifier: Apache-2.0
#include "cli/from_wire.h"

namespace assay::cli {

std::optional<WallTime> time_from(std::int64_t unix_ns) {
  if (unix_ns == 0) return std::nullopt;
  return from_unix_ns(unix_ns);
}

namespace {

/// On the wire an absent digest is empty; one of another length is shown as absent.
template <typename Digest>
std::optional<Digest> digest_from(const std::string& raw) {
  auto digest = Digest::from_raw(raw);
  if (!digest) return std::nullopt;
  return *digest;
}

std::string word_of(v1::VerdictStatus status) {
  switch (status) {
    case v1::VERDICT_STATUS_APPROVED:
      return "approved";
    case v1::VERDICT_STATUS_DEPRECATED:
      return "deprecated";
    case v1::VERDICT_STATUS_REVOKED:
      return "revoked";
    case v1::VERDICT_STATUS_EXPIRED:
      return "expired";
    case v1::VERDICT_STATUS_UNKNOWN:
      return "unknown";
    case v1::VERDICT_STATUS_PENDING:
      return "pending";
    default:
      return "";
  }
}

Process process_from(const v1::Process& wire) {
  return {wire.pid(), time_from(wire.start_ns()), wire.name()};
}

ContainerNames names_from(const v1::ContainerNames& wire) {
  ContainerNames names;
  names.container_id = wire.container_id();
  names.runtime = wire.runtime();
  names.name = wire.name();
  names.image = wire.image();
  names.image_id = wire.image_id();
  names.config_digest = digest_from<ConfigDigest>(wire.config_digest());
  names.manifest_digest = digest_from<ManifestDigest>(wire.manifest_digest());
  names.repo_digest = digest_from<RepoDigest>(wire.repo_digest());
  names.pod_name = wire.pod_name();
  names.pod_namespace = wire.pod_namespace();
  names.pod_uid = wire.pod_uid();
  names.is_bound_to_kernel = wire.is_bound_to_kernel();
  names.is_users_to_write = wire.is_users_to_write();
  names.labels = {wire.labels().begin(), wire.labels().end()};
  return names;
}

Verdict verdict_from(const v1::Verdict& wire) {
  Verdict verdict;
  verdict.status = word_of(wire.status());
  verdict.rung = wire.rung();
  for (const auto& match : wire.matches())
    verdict.matches.push_back(
        {match.base(), word_of(match.status()), match.rung(), match.layers(), match.first_layer()});
  verdict.reason = wire.reason();
  verdict.contradictions.assign(wire.contradictions().begin(), wire.contradictions().end());
  verdict.application_layers = wire.application_layers();
  verdict.catalog_sequence = wire.catalog_sequence();
  return verdict;
}

Layer layer_from(const v1::StackLayer& wire) {
  Layer layer;
  layer.file_system = wire.instance().file_system();
  layer.inode = wire.instance().inode();
  layer.generation = wire.instance().generation();
  layer.born_at = time_from(wire.instance().birth_ns());
  layer.claimed_diff_id = digest_from<DiffId>(wire.claimed_diff_id());
  layer.claimed_chain_id = digest_from<ChainId>(wire.claimed_chain_id());
  layer.is_claim_for_display = wire.is_claim_for_display();
  layer.exact_diff_id = digest_from<DiffId>(wire.exact_diff_id());
  layer.shape = digest_from<ShapeDigest>(wire.shape());
  layer.content = digest_from<ContentDigest>(wire.content());
  layer.deletions = digest_from<DeletionsDigest>(wire.deletions());
  layer.is_capped_at_shape = wire.is_capped_at_shape();
  layer.is_mutable = wire.is_mutable();
  layer.is_injected = wire.is_injected();
  layer.gap = wire.gap();
  layer.tampered = wire.tampered();
  layer.name = wire.name();
  layer.entries = wire.entries();
  layer.content_bytes = wire.content_bytes();
  return layer;
}

catalog::About about_from(const v1::About& wire) {
  catalog::About about;
  if (wire.has_distribution())
    about.distribution =
        catalog::Distribution{wire.distribution().id(), wire.distribution().version(),
                              wire.distribution().name(), wire.distribution().variant()};
  for (const auto& one : wire.databases())
    about.databases.push_back(
        {one.manager(), one.format(), one.path(), one.packages(), one.gap(), {}});
  about.gap = wire.gap();
  return about;
}

Exec exec_from(const v1::Exec& wire) {
  Exec exec;
  exec.time = time_from(wire.time_ns());
  exec.process = process_from(wire.process());
  exec.parent = process_from(wire.parent());
  exec.uid = wire.uid();
  exec.executable = wire.executable();
  exec.arguments.assign(wire.arguments().begin(), wire.arguments().end());
  exec.arguments_truncated = wire.arguments_truncated();
  exec.is_from_upper = wire.is_from_upper();
  exec.origin = wire.file().origin();
  exec.path = wire.file().path();
  exec.is_interpreter = wire.file().is_interpreter();
  return exec;
}

catalog::Posture posture_from(const v1::Posture& wire) {
  catalog::Posture posture;
  posture.is_known = true;
  for (const std::string& name : wire.traits())
    if (const auto trait = catalog::parse_posture_trait(name)) posture.set(*trait, true);
  posture.capabilities = wire.capabilities();
  posture.seccomp = wire.seccomp();
  posture.lsm_label = wire.lsm_label();
  return posture;
}

RunOrigin origin_from(const v1::RunOrigin& wire) {
  RunOrigin origin;
  origin.cause = wire.cause();
  for (const auto& ancestor : wire.ancestors())
    origin.ancestors.push_back(process_from(ancestor));
  origin.namespace_pids.assign(wire.namespace_pids().begin(), wire.namespace_pids().end());
  origin.uid = wire.uid();
  origin.gid = wire.gid();
  origin.mount_namespace = wire.mount_namespace();
  origin.pid_namespace = wire.pid_namespace();
  origin.user_namespace = wire.user_namespace();
  origin.arguments.assign(wire.arguments().begin(), wire.arguments().end());
  origin.arguments_truncated = wire.arguments_truncated();
  origin.root_type = wire.root_type();
  if (wire.has_login()) {
    const v1::Login& login = wire.login();
    origin.login = {login.session(),       login.terminal(),    login.login_uid(),
                    login.login_session(), login.starter_uid(), login.told_by()};
  }
  if (wire.has_posture()) origin.posture = posture_from(wire.posture());
  return origin;
}

}  // namespace

ContainerNames from_wire(const v1::ContainerNames& wire) {
  return names_from(wire);
}

Run from_wire(const v1::Run& wire) {
  Run run;
  run.run_id = wire.run_id();
  run.cluster = wire.cluster();
  run.node = wire.node();
  run.kind = wire.kind();
  run.is_late = wire.is_late();
  run.started_at = time_from(wire.started_ns());
  run.ended_at = time_from(wire.ended_ns());
  run.names = names_from(wire.names());
  run.verdict = verdict_from(wire.verdict());
  run.stack = digest_from<StackDigest>(wire.stack());
  run.layers = wire.layers();
  run.executable = wire.executable();
  run.process = process_from(wire.process());
  run.cgroup_path = wire.cgroup_path();
  run.exemption = wire.exemption();
  return run;
}

Finding from_wire(const v1::Finding& wire) {
  Finding finding;
  finding.finding_id = wire.finding_id();
  finding.kind = wire.kind();
  finding.state = wire.state();
  finding.subject = wire.subject();
  finding.reason = wire.reason();
  finding.opened_at = time_from(wire.opened_ns());
  finding.changed_at = time_from(wire.changed_ns());
  finding.resolved_at = time_from(wire.resolved_ns());
  finding.resolved_reason = wire.resolved_reason();
  finding.cluster = wire.cluster();
  finding.node = wire.node();
  finding.run_id = wire.run_id();
  finding.names = names_from(wire.names());
  finding.base = wire.base();
  finding.triage = wire.triage();
  finding.acknowledged_by = wire.acknowledged_by();
  finding.acknowledged_at = time_from(wire.acknowledged_ns());
  finding.acknowledged_note = wire.acknowledged_note();
  finding.assignee = wire.assignee();
  finding.assigned_by = wire.assigned_by();
  finding.muted_by = wire.muted_by();
  finding.muted_at = time_from(wire.muted_ns());
  finding.muted_until = time_from(wire.muted_until_ns());
  finding.muted_reason = wire.muted_reason();
  finding.revision = wire.revision();
  return finding;
}

Node from_wire(const v1::Node& wire) {
  Node node;
  node.cluster = wire.cluster();
  node.node = wire.node();
  node.state = wire.state();
  node.is_connected = wire.is_connected();
  node.last_seen_at = time_from(wire.last_seen_ns());
  node.heartbeat_at = time_from(wire.heartbeat_ns());
  node.address = wire.address();
  node.version = wire.version();
  node.kernel = wire.kernel();
  node.boot_id = wire.boot_id();
  node.started_at = time_from(wire.started_ns());
  node.probe_state = wire.probe_state();
  node.probe_detail = wire.probe_detail();
  node.probe_is_attached = wire.probe_is_attached();
  node.probe_has_seen = wire.probe_has_seen();
  node.probe_sent = wire.probe_sent();
  node.probe_lost = wire.probe_lost();
  node.lost_starts = wire.lost_starts();
  node.lost_execs = wire.lost_execs();
  node.recursion_misses = wire.recursion_misses();
  node.map_failures = wire.map_failures();
  node.queue_dropped = wire.queue_dropped();
  node.starts = wire.starts();
  node.late_starts = wire.late_starts();
  node.running = wire.running();
  node.catalog_sequence = wire.catalog_sequence();
  node.catalog_is_stale = wire.catalog_is_stale();
  node.catalog_expires_at = time_from(wire.catalog_expires_ns());
  node.layers_pending = wire.layers_pending();
  node.outbox_events = wire.outbox_events();
  node.outbox_bytes = wire.outbox_bytes();
  node.outbox_dropped = wire.outbox_dropped();
  node.outbox_oldest_at = time_from(wire.outbox_oldest_ns());
  node.rss_bytes = wire.rss_bytes();
  node.cpu_ns = wire.cpu_ns();
  node.acknowledged = wire.acknowledged();
  if (wire.clock_offset_is_known()) node.clock_offset_ns = wire.clock_offset_ns();
  node.is_state_wanted = wire.is_state_wanted();
  node.revoked_at = time_from(wire.revoked_ns());
  node.revoked_by = wire.revoked_by();
  node.revoked_reason = wire.revoked_reason();
  node.certificate_expires_at = time_from(wire.certificate_expires_ns());
  node.trust = wire.trust();
  for (const auto& one : wire.degraded())
    node.degraded.push_back({one.mode(), one.reason()});
  return node;
}

JoinToken from_wire(const v1::JoinToken& wire) {
  JoinToken token;
  token.token_id = wire.id();
  token.cluster = wire.cluster();
  token.pattern = wire.pattern();
  token.state = wire.state();
  token.uses = wire.uses();
  token.used = wire.used();
  token.may_replace = wire.may_replace();
  token.created_at = time_from(wire.created_ns());
  token.created_by = wire.created_by();
  token.expires_at = time_from(wire.expires_ns());
  token.last_used_at = time_from(wire.last_used_ns());
  token.last_node = wire.last_node();
  token.revoked_at = time_from(wire.revoked_ns());
  return token;
}

namespace {

ContainedBase contained_from(const v1::ContainedBase& wire) {
  return {wire.base(),      wire.platform(),    wire.files(),          wire.present(),
          wire.changed(),   wire.missing(),     wire.share_permille(), wire.rival(),
          wire.own_files(), wire.own_present(), wire.is_contained(),   wire.why()};
}

Containment containment_from(const v1::Containment& wire) {
  Containment found{wire.first_layer(), wire.is_awaited(), wire.gap(), wire.files(), {},
                    wire.why()};
  for (const auto& base : wire.contained())
    found.bases.push_back(contained_from(base));
  if (wire.has_runner_up()) found.bases.push_back(contained_from(wire.runner_up()));
  return found;
}

catalog::View view_from(const v1::View& wire) {
  catalog::View view;
  if (const auto state = catalog::parse_view_state(wire.state())) view.state = *state;
  view.reason = wire.reason();
  view.layers = wire.layers();
  view.paths = wire.paths();
  view.masked = wire.masked();
  view.by_image = wire.by_image();
  view.covered = wire.covered();
  view.replaced = wire.replaced();
  view.masked_paths.assign(wire.masked_paths().begin(), wire.masked_paths().end());
  view.covered_paths.assign(wire.covered_paths().begin(), wire.covered_paths().end());
  view.checked = from_unix_ns(wire.checked_ns());
  return view;
}

}  // namespace

Trace from_wire(const v1::Trace& wire) {
  Trace trace;
  trace.run = from_wire(wire.run());
  trace.origin = origin_from(wire.origin());
  for (const auto& layer : wire.stack().layers())
    trace.layers.push_back(layer_from(layer));
  trace.unsupported = wire.stack().unsupported();
  trace.about = about_from(wire.stack().about());
  for (const auto& exec : wire.execs())
    trace.execs.push_back(exec_from(exec));
  for (const auto& finding : wire.findings())
    trace.findings.push_back(from_wire(finding));
  trace.other_runs.assign(wire.other_runs().begin(), wire.other_runs().end());
  trace.runs_on_same_stack = wire.runs_on_same_stack();
  if (wire.has_containment()) trace.containment = containment_from(wire.containment());
  trace.view = view_from(wire.view());
  if (const auto state = catalog::parse_recognition_state(wire.recognition().state()))
    trace.recognition.state = *state;
  trace.recognition.reason = wire.recognition().reason();
  trace.recognition.conflicts.assign(wire.recognition().conflicts().begin(),
                                     wire.recognition().conflicts().end());
  return trace;
}

Impact from_wire(const v1::Impact& wire) {
  Impact impact;
  impact.base = wire.base();
  impact.running = wire.running();
  impact.nodes = wire.nodes();
  impact.running_total = wire.running_total();
  for (const auto& row : wire.rows())
    impact.rows.push_back({row.cluster(), row.node(), row.run_id(), names_from(row.names()),
                           time_from(row.started_ns())});
  impact.agents_connected = wire.agents_connected();
  impact.agents_on_sequence = wire.agents_on_sequence();
  impact.catalog_sequence = wire.catalog_sequence();
  impact.since = time_from(wire.since_ns());
  impact.namespaces = wire.namespaces();
  impact.owners = wire.owners();
  for (const auto& group : wire.groups())
    impact.groups.push_back({group.pod_namespace(), group.owner(), group.running(), group.nodes(),
                             time_from(group.since_ns())});
  return impact;
}

PolicyTrial from_wire(const v1::PolicyTrial& wire) {
  PolicyTrial trial;
  trial.running = wire.running();
  trial.changed = wire.changed();
  trial.not_searched = wire.not_searched();
  trial.catalog_sequence = wire.catalog_sequence();
  for (const auto& group : wire.groups())
    trial.groups.push_back({word_of(group.before()), word_of(group.after()), group.base(),
                            group.pod_namespace(), group.running(), group.nodes(), group.reason()});
  for (const auto& finding : wire.findings())
    trial.findings.push_back(
        {finding.kind(), finding.base(), finding.opened(), finding.resolved()});
  for (const auto& run : wire.runs())
    trial.runs.push_back({run.cluster(), run.node(), run.run_id(), names_from(run.names()),
                          word_of(run.before()), word_of(run.after()), run.reason()});
  return trial;
}

Discovery from_wire(const v1::Discovery& wire) {
  Discovery found;
  found.running = wire.running();
  found.not_read = wire.not_read();
  for (const auto& one : wire.proposals()) {
    Proposal proposal;
    proposal.id = one.id();
    for (const auto& layer : one.layers())
      proposal.layers.push_back(layer_from(layer));
    proposal.running = one.running();
    proposal.nodes = one.nodes();
    proposal.images = one.images();
    proposal.example_images.assign(one.example_images().begin(), one.example_images().end());
    proposal.about = about_from(one.about());
    proposal.below = one.below();
    proposal.is_whole = one.is_whole();
    found.proposals.push_back(std::move(proposal));
  }
  return found;
}

}  // namespace assay::cli
