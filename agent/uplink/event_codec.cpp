// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/event_codec.h"

#include <google/protobuf/util/json_util.h>

#include "agent/core/run_identity.h"
#include "agent/uplink/utf8.h"
#include "assay/v1/agent.pb.h"

namespace assay::agent {
namespace {

namespace wire = assay::v1;

template <typename Digest>
std::string raw(const std::optional<Digest>& digest) {
  return digest ? std::string(digest->raw()) : std::string();
}

void encode(const ProcessInfo& process, const EncodingTime& time, wire::Process& out) {
  out.set_pid(process.key.tgid);
  if (process.key.tgid != 0) out.set_start_ns(to_unix_ns(time.to_wall(process.key.start)));
  out.set_name(to_utf8(process.name));
}

void encode(const ContainerNames& names, wire::ContainerNames& out) {
  out.set_container_id(to_utf8(names.container_id));
  out.set_runtime(to_utf8(names.runtime));
  out.set_name(to_utf8(names.name));
  out.set_image(to_utf8(names.image));
  out.set_image_id(to_utf8(names.image_id));
  out.set_config_digest(raw(names.config_digest));
  out.set_manifest_digest(raw(names.manifest_digest));
  out.set_repo_digest(raw(names.repo_digest));
  out.set_pod_name(to_utf8(names.pod_name));
  out.set_pod_namespace(to_utf8(names.pod_namespace));
  out.set_pod_uid(to_utf8(names.pod_uid));
  out.set_is_bound_to_kernel(names.is_bound_to_kernel);
  out.set_is_users_to_write(names.is_users_to_write);
  for (const auto& [key, value] : names.labels)
    (*out.mutable_labels())[to_utf8(key)] = to_utf8(value);
}

wire::VerdictStatus encode(catalog::VerdictStatus status) {
  switch (status) {
    case catalog::VerdictStatus::kApproved:
      return wire::VERDICT_STATUS_APPROVED;
    case catalog::VerdictStatus::kDeprecated:
      return wire::VERDICT_STATUS_DEPRECATED;
    case catalog::VerdictStatus::kRevoked:
      return wire::VERDICT_STATUS_REVOKED;
    case catalog::VerdictStatus::kExpired:
      return wire::VERDICT_STATUS_EXPIRED;
    case catalog::VerdictStatus::kUnknown:
      return wire::VERDICT_STATUS_UNKNOWN;
    case catalog::VerdictStatus::kPending:
      return wire::VERDICT_STATUS_PENDING;
  }
  return wire::VERDICT_STATUS_UNSPECIFIED;
}

void encode(const catalog::Verdict& verdict, wire::Verdict& out) {
  out.set_status(encode(verdict.status));
  out.set_rung(std::string(to_string(verdict.rung)));
  for (const catalog::BaseMatch& match : verdict.matches) {
    wire::BaseMatch& one = *out.add_matches();
    one.set_base(match.base.text());
    one.set_status(encode(match.status));
    one.set_rung(std::string(to_string(match.rung)));
    one.set_layers(static_cast<std::uint32_t>(match.layers));
    one.set_first_layer(static_cast<std::uint32_t>(match.first_layer));
  }
  out.set_reason(to_utf8(verdict.reason));
  for (const std::string& one : verdict.contradictions)
    out.add_contradictions(to_utf8(one));
  out.set_application_layers(static_cast<std::uint32_t>(verdict.application_layers));
  out.set_catalog_sequence(verdict.catalog_sequence);
}

void encode(const catalog::Login& login, wire::Login& out) {
  out.set_session(login.session);
  out.set_terminal(login.terminal);
  out.set_login_uid(login.login_uid);
  out.set_login_session(login.login_session);
  out.set_starter_uid(login.starter_uid);
  out.set_told_by(to_utf8(login.told_by));
}

void encode(const catalog::Recognition& recognition, wire::Recognition& out) {
  out.set_state(std::string(to_string(recognition.state)));
  out.set_reason(to_utf8(recognition.reason));
  for (const std::string& conflict : recognition.conflicts)
    out.add_conflicts(to_utf8(conflict));
}

void encode(const catalog::Posture& posture, wire::Posture& out) {
  for (const std::string& trait : catalog::trait_names(posture))
    out.add_traits(trait);
  out.set_capabilities(posture.capabilities);
  out.set_seccomp(posture.seccomp);
  out.set_lsm_label(to_utf8(posture.lsm_label));
}

void encode(const ExecutedFile& file, wire::ExecutedFile& out) {
  out.set_origin(std::string(to_string(file.origin)));
  out.set_path(to_utf8(file.path));
  out.set_is_interpreter(file.is_interpreter);
}

void encode_facts(const ContainerStart& start, const EncodingTime& time, wire::RunStarted& out) {
  out.set_cause(std::string(to_string(start.cause)));
  encode(start.process, time, *out.mutable_process());
  for (const ProcessInfo& ancestor : start.ancestors)
    encode(ancestor, time, *out.add_ancestors());
  for (const std::uint32_t pid : start.namespace_pids)
    out.add_namespace_pids(pid);
  out.set_uid(start.uid);
  out.set_gid(start.gid);
  out.set_cgroup_path(to_utf8(start.cgroup_path));
  out.set_cgroup_id(start.key.cgroup_id);
  out.set_mount_namespace(start.mount_namespace);
  out.set_pid_namespace(start.pid_namespace);
  out.set_user_namespace(start.user_namespace);
  out.set_executable(to_utf8(start.executable));
  for (const std::string& argument : start.arguments)
    out.add_arguments(to_utf8(argument));
  out.set_arguments_truncated(start.arguments_truncated);
  if (start.login != catalog::Login{}) encode(start.login, *out.mutable_login());
  if (start.posture.is_known) encode(start.posture, *out.mutable_posture());
  out.set_root_type(start.is_overlay ? "overlay" : file_system_name(start.key.root.magic));
}

void encode(const RunStarted& event, const EncodingTime& time, wire::RunStarted& run) {
  run.set_run_id(event.run_id);
  run.set_kind(std::string(to_string(event.kind)));
  run.set_is_late(event.is_late);
  run.set_started_ns(to_unix_ns(event.started));
  run.set_stack(raw(event.stack));
  encode_facts(event.start, time, run);
  encode(event.names, *run.mutable_names());
  encode(event.verdict, *run.mutable_verdict());
}

void encode(const RunStarted& event, const EncodingTime& time, wire::Event& out) {
  encode(event, time, *out.mutable_run_started());
}

void encode(const StateBegun& event, const EncodingTime&, wire::Event& out) {
  out.mutable_state_begun()->set_request(event.request);
}

void encode(const catalog::View& view, wire::View& out) {
  out.set_state(std::string(to_string(view.state)));
  out.set_reason(to_utf8(view.reason));
  out.set_layers(view.layers);
  out.set_paths(view.paths);
  out.set_masked(view.masked);
  out.set_by_image(view.by_image);
  out.set_covered(view.covered);
  out.set_replaced(view.replaced);
  for (const std::string& path : view.masked_paths)
    out.add_masked_paths(to_utf8(path));
  for (const std::string& path : view.covered_paths)
    out.add_covered_paths(to_utf8(path));
  out.set_checked_ns(to_unix_ns(view.checked));
}

void encode(const RunViewed& event, const EncodingTime&, wire::Event& out) {
  out.mutable_run_viewed()->set_run_id(event.run_id);
  encode(event.view, *out.mutable_run_viewed()->mutable_view());
  out.mutable_run_viewed()->set_stack(raw(event.stack));
}

void encode(const RunPresent& event, const EncodingTime& time, wire::Event& out) {
  encode(event.run, time, *out.mutable_run_present()->mutable_run());
  encode(event.view, *out.mutable_run_present()->mutable_view());
  for (const std::string& conflict : event.claim_conflicts)
    out.mutable_run_present()->add_claim_conflicts(to_utf8(conflict));
  if (event.recognition != catalog::Recognition{})
    encode(event.recognition, *out.mutable_run_present()->mutable_recognition());
}

void encode(const StateCompleted& event, const EncodingTime&, wire::Event& out) {
  wire::StateCompleted& state = *out.mutable_state_completed();
  state.set_runs(event.runs);
  state.set_lost_starts(event.loss.ended_untold + event.loss.lost_unknown);
  state.set_lost_execs(event.loss.lost_execs);
  state.set_recursion_misses(event.loss.recursion_misses);
  state.set_catalog_sequence(event.catalog_sequence);
}

void encode(const RunEnded& event, const EncodingTime&, wire::Event& out) {
  out.mutable_run_ended()->set_run_id(event.run_id);
  out.mutable_run_ended()->set_ended_ns(to_unix_ns(event.ended));
  out.mutable_run_ended()->set_is_approximate(event.is_approximate);
}

void encode(const StackAdvanced& event, const EncodingTime&, wire::Event& out) {
  out.mutable_stack_advanced()->set_from(std::string(event.from.raw()));
  out.mutable_stack_advanced()->set_to(std::string(event.to.raw()));
  encode(event.verdict, *out.mutable_stack_advanced()->mutable_verdict());
  out.mutable_stack_advanced()->set_is_of_running(event.is_of_running);
}

void encode(const RunNamed& event, const EncodingTime&, wire::Event& out) {
  out.mutable_run_named()->set_run_id(event.run_id);
  encode(event.names, *out.mutable_run_named()->mutable_names());
  for (const std::string& conflict : event.claim_conflicts)
    out.mutable_run_named()->add_claim_conflicts(to_utf8(conflict));
  // No other kind comes with a name.
  if (event.kind == RunKind::kSandbox)
    out.mutable_run_named()->set_kind(std::string(to_string(event.kind)));
  if (event.recognition != catalog::Recognition{})
    encode(event.recognition, *out.mutable_run_named()->mutable_recognition());
}

void encode(const ExecSeen& event, const EncodingTime& time, wire::Event& out) {
  wire::ExecSeen& exec = *out.mutable_exec_seen();
  exec.set_run_id(event.run_id);
  encode(event.exec.process, time, *exec.mutable_process());
  encode(event.exec.parent, time, *exec.mutable_parent());
  exec.set_uid(event.exec.uid);
  exec.set_executable(to_utf8(event.exec.executable));
  for (const std::string& argument : event.exec.arguments)
    exec.add_arguments(to_utf8(argument));
  exec.set_arguments_truncated(event.exec.arguments_truncated);
  exec.set_is_from_upper(event.exec.is_from_upper);
  encode(event.exec.file, *exec.mutable_file());
}

void encode(const EvidenceGap& event, const EncodingTime&, wire::Event& out) {
  out.mutable_evidence_gap()->set_from_ns(to_unix_ns(event.from));
  out.mutable_evidence_gap()->set_until_ns(to_unix_ns(event.until));
  out.mutable_evidence_gap()->set_reason(to_utf8(event.reason));
  out.mutable_evidence_gap()->set_lost(event.lost);
}

void encode(const RunNoisy& event, const EncodingTime&, wire::Event& out) {
  wire::RunNoisy& noisy = *out.mutable_run_noisy();
  noisy.set_run_id(event.run_id);
  noisy.set_budget(std::string(to_string(event.budget)));
  noisy.set_from_ns(to_unix_ns(event.from));
  noisy.set_until_ns(to_unix_ns(event.until));
  noisy.set_dropped(event.dropped);
  noisy.set_limit(event.limit);
  noisy.set_is_over(event.is_over);
}

void encode(const catalog::About& about, wire::About& out) {
  if (about.distribution) {
    wire::Distribution& distribution = *out.mutable_distribution();
    distribution.set_id(to_utf8(about.distribution->id));
    distribution.set_version(to_utf8(about.distribution->version));
    distribution.set_name(to_utf8(about.distribution->name));
    distribution.set_variant(to_utf8(about.distribution->variant));
  }
  for (const catalog::PackageDatabase& database : about.databases) {
    wire::PackageDatabase& one = *out.add_databases();
    one.set_manager(database.manager);
    one.set_format(database.format);
    one.set_path(to_utf8(database.path));
    one.set_packages(database.packages);
    one.set_gap(to_utf8(database.gap));
  }
  out.set_gap(to_utf8(about.gap));
}

template <typename DigestType>
Result<std::optional<DigestType>> digest_from(const std::string& bytes) {
  if (bytes.empty()) return std::optional<DigestType>();
  auto digest = DigestType::from_raw(bytes);
  if (!digest) return Error{ErrorCode::kCorrupt, "digest: " + digest.error().message};
  return std::optional<DigestType>(*digest);
}

Result<catalog::StackLayer> decode_layer(const wire::StackLayer& in) {
  catalog::StackLayer layer;
  layer.instance = {in.instance().file_system(), in.instance().inode(), in.instance().generation(),
                    in.instance().birth_ns()};
  ASSAY_ASSIGN(layer.evidence.claimed, digest_from<DiffId>(in.claimed_diff_id()));
  ASSAY_ASSIGN(layer.evidence.shape, digest_from<ShapeDigest>(in.shape()));
  ASSAY_ASSIGN(layer.evidence.content, digest_from<ContentDigest>(in.content()));
  ASSAY_ASSIGN(layer.evidence.deletions, digest_from<DeletionsDigest>(in.deletions()));
  ASSAY_ASSIGN(layer.evidence.exact, digest_from<DiffId>(in.exact_diff_id()));
  ASSAY_ASSIGN(layer.evidence.claimed_chain, digest_from<ChainId>(in.claimed_chain_id()));
  layer.evidence.is_claim_for_display = in.is_claim_for_display();
  layer.evidence.is_capped_at_shape = in.is_capped_at_shape();
  layer.evidence.is_mutable = in.is_mutable();
  layer.evidence.gap = in.gap();
  layer.evidence.tampered = in.tampered();
  layer.name = in.name();
  layer.is_injected = in.is_injected();
  layer.entries = in.entries();
  layer.content_bytes = in.content_bytes();
  return layer;
}

}  // namespace

std::string encode_event(const AgentEvent& event, const EncodingTime& time) {
  wire::Event out;
  out.set_time_ns(to_unix_ns(time_of(event, time.wall)));
  std::visit([&](const auto& one) { encode(one, time, out); }, event);
  return out.SerializeAsString();
}

WallTime time_of(const AgentEvent& event, WallTime now) {
  if (const auto* run = std::get_if<RunStarted>(&event)) return run->started;
  if (const auto* run = std::get_if<RunEnded>(&event)) return run->ended;
  if (const auto* exec = std::get_if<ExecSeen>(&event)) return exec->time;
  if (const auto* gap = std::get_if<EvidenceGap>(&event)) return gap->from;
  if (const auto* noisy = std::get_if<RunNoisy>(&event)) return noisy->until;
  return now;
}

std::string encode_names(const ContainerNames& names) {
  wire::ContainerNames out;
  encode(names, out);
  return out.SerializeAsString();
}

Result<ContainerNames> decode_names(std::string_view bytes) {
  wire::ContainerNames in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error{ErrorCode::kCorrupt, "container names: not a protobuf message"};
  ContainerNames names;
  names.container_id = in.container_id();
  names.runtime = in.runtime();
  names.name = in.name();
  names.image = in.image();
  names.image_id = in.image_id();
  ASSAY_ASSIGN(names.config_digest, digest_from<ConfigDigest>(in.config_digest()));
  ASSAY_ASSIGN(names.manifest_digest, digest_from<ManifestDigest>(in.manifest_digest()));
  ASSAY_ASSIGN(names.repo_digest, digest_from<RepoDigest>(in.repo_digest()));
  names.pod_name = in.pod_name();
  names.pod_namespace = in.pod_namespace();
  names.pod_uid = in.pod_uid();
  names.is_bound_to_kernel = in.is_bound_to_kernel();
  names.is_users_to_write = in.is_users_to_write();
  names.labels.insert(in.labels().begin(), in.labels().end());
  return names;
}

Result<std::string> event_to_json(std::string_view event) {
  wire::Event in;
  std::string json;
  if (!in.ParseFromArray(event.data(), static_cast<int>(event.size())) ||
      !google::protobuf::util::MessageToJsonString(in, &json).ok())
    return Error{ErrorCode::kCorrupt, "event: not a protobuf message"};
  return json;
}

std::string encode_stack(const catalog::Stack& stack) {
  wire::Stack out;
  for (const catalog::StackLayer& layer : stack.layers) {
    wire::StackLayer& one = *out.add_layers();
    one.mutable_instance()->set_file_system(layer.instance.file_system);
    one.mutable_instance()->set_inode(layer.instance.inode);
    one.mutable_instance()->set_generation(layer.instance.generation);
    one.mutable_instance()->set_birth_ns(layer.instance.birth_ns);
    one.set_claimed_diff_id(raw(layer.evidence.claimed));
    one.set_claimed_chain_id(raw(layer.evidence.claimed_chain));
    one.set_is_claim_for_display(layer.evidence.is_claim_for_display);
    one.set_shape(raw(layer.evidence.shape));
    one.set_content(raw(layer.evidence.content));
    one.set_deletions(raw(layer.evidence.deletions));
    one.set_exact_diff_id(raw(layer.evidence.exact));
    one.set_is_capped_at_shape(layer.evidence.is_capped_at_shape);
    one.set_is_mutable(layer.evidence.is_mutable);
    one.set_gap(to_utf8(layer.evidence.gap));
    one.set_tampered(to_utf8(layer.evidence.tampered));
    one.set_name(to_utf8(layer.name));
    one.set_is_injected(layer.is_injected);
    one.set_entries(layer.entries);
    one.set_content_bytes(layer.content_bytes);
  }
  out.set_unsupported(to_utf8(stack.unsupported));
  out.set_seen_layers(stack.seen_layers);
  out.set_is_masked(stack.is_masked);
  if (const catalog::About about = about_of(stack); about != catalog::About{})
    encode(about, *out.mutable_about());
  return out.SerializeAsString();
}

Result<catalog::Stack> decode_stack(std::string_view bytes) {
  wire::Stack in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error{ErrorCode::kCorrupt, "stack description: not a protobuf message"};
  catalog::Stack stack;
  for (const wire::StackLayer& layer : in.layers()) {
    ASSAY_ASSIGN(catalog::StackLayer one, decode_layer(layer));
    stack.layers.push_back(std::move(one));
  }
  stack.unsupported = in.unsupported();
  stack.seen_layers = in.seen_layers();
  stack.is_masked = in.is_masked();
  return stack;
}

}  // namespace assay::agent
