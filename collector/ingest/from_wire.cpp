// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/from_wire.h"

#include <algorithm>
#include <limits>
#include "common/catalog/file_set.h"

namespace assay::collector {
namespace {

constexpr std::size_t kTrustBytes = sizeof(DigestBytes);
constexpr std::size_t kMaxNameBytes = 512;   // names, ids, states
constexpr std::size_t kMaxPathBytes = 4096;  // PATH_MAX
constexpr std::size_t kMaxReasonBytes = 1024;
constexpr int kMaxArguments = 1024;
constexpr std::size_t kMaxArgumentBytes = 16UL * 1024;  // of all arguments of one exec
constexpr int kMaxAncestors = 64;
constexpr int kMaxNamespaces = 64;  // the kernel nests 32
constexpr int kMaxLabels = 256;
constexpr int kMaxLayers = 1024;  // overlayfs allows 500
constexpr int kMaxMatches = 256;
constexpr std::size_t kMaxConflicts = 16;
constexpr int kMaxDegradations = 16;
constexpr std::size_t kMaxDegradationBytes = 256;  // kept for every node
constexpr int kMaxDatabases = 16;
constexpr std::size_t kRunIdDigits = 32;
constexpr std::int64_t kMaxTime = std::numeric_limits<std::int64_t>::max() / 2;

/// At most `max_bytes`, cut where a UTF-8 sequence begins.
std::string clip(const std::string& text, std::size_t max_bytes = kMaxNameBytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  return text.substr(0, end);
}

std::int64_t time_of(std::int64_t ns) {
  return std::clamp<std::int64_t>(ns, 1, kMaxTime);  // 0 means "not yet" in the store
}

bool is_run_id(const std::string& text) {
  return text.size() == kRunIdDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

template <typename D>
std::optional<D> digest(const std::string& raw) {
  auto read = D::from_raw(raw);
  if (!read) return std::nullopt;
  return *read;
}

Process process(const v1::Process& in) {
  return {in.pid(), in.start_ns(), clip(in.name())};
}

ContainerNames names(const v1::ContainerNames& in) {
  ContainerNames out;
  out.container_id = clip(in.container_id());
  out.runtime = clip(in.runtime());
  out.name = clip(in.name());
  out.image = clip(in.image());
  out.image_id = clip(in.image_id());
  out.config_digest = digest<ConfigDigest>(in.config_digest());
  out.manifest_digest = digest<ManifestDigest>(in.manifest_digest());
  out.repo_digest = digest<RepoDigest>(in.repo_digest());
  out.pod_name = clip(in.pod_name());
  out.pod_namespace = clip(in.pod_namespace());
  out.pod_uid = clip(in.pod_uid());
  out.is_bound_to_kernel = in.is_bound_to_kernel();
  out.is_users_to_write = in.is_users_to_write();
  for (const auto& [key, value] : in.labels()) {
    if (out.labels.size() >= kMaxLabels) break;
    out.labels.emplace(clip(key), clip(value, kMaxReasonBytes));
  }
  return out;
}

template <typename Texts>
std::vector<std::string> arguments(const Texts& in, bool& is_truncated) {
  std::vector<std::string> out;
  std::size_t left = kMaxArgumentBytes;
  for (const auto& text : in) {
    if (static_cast<int>(out.size()) >= kMaxArguments || left == 0) {
      is_truncated = true;
      break;
    }
    out.push_back(clip(text, left));
    if (out.back().size() < text.size()) is_truncated = true;
    left -= std::min(left, std::max<std::size_t>(out.back().size(), 1));
  }
  return out;
}

catalog::VerdictStatus status(v1::VerdictStatus in) {
  switch (in) {
    case v1::VERDICT_STATUS_APPROVED:
      return catalog::VerdictStatus::kApproved;
    case v1::VERDICT_STATUS_DEPRECATED:
      return catalog::VerdictStatus::kDeprecated;
    case v1::VERDICT_STATUS_REVOKED:
      return catalog::VerdictStatus::kRevoked;
    case v1::VERDICT_STATUS_EXPIRED:
      return catalog::VerdictStatus::kExpired;
    case v1::VERDICT_STATUS_UNKNOWN:
      return catalog::VerdictStatus::kUnknown;
    default:
      return catalog::VerdictStatus::kPending;
  }
}

/// Enough of the agent's verdict to compare it with ours.
std::optional<catalog::Verdict> verdict(const v1::Verdict& in) {
  if (in.status() == v1::VERDICT_STATUS_UNSPECIFIED) return std::nullopt;
  catalog::Verdict out;
  out.status = status(in.status());
  out.catalog_sequence = in.catalog_sequence();
  for (const auto& match : in.matches()) {
    if (out.matches.size() >= kMaxMatches) break;
    auto base = catalog::BaseId::parse(match.base());
    if (!base) continue;
    catalog::BaseMatch one;
    one.base = std::move(*base);
    one.status = status(match.status());
    one.layers = match.layers();
    one.first_layer = match.first_layer();
    out.matches.push_back(std::move(one));
  }
  return out;
}

catalog::Login login(const v1::Login& in) {
  return {in.session(),       clip(in.terminal(), 64), in.login_uid(),
          in.login_session(), in.starter_uid(),        clip(in.told_by(), 128)};
}

catalog::Posture posture(const v1::Posture& in) {
  catalog::Posture out;
  out.is_known = true;
  for (const std::string& name : in.traits())
    if (const auto trait = catalog::parse_posture_trait(name)) out.set(*trait, true);
  out.capabilities = in.capabilities();
  if (in.seccomp() == "none" || in.seccomp() == "strict" || in.seccomp() == "filter")
    out.seccomp = in.seccomp();
  out.lsm_label = clip(in.lsm_label(), catalog::kMaxLsmLabelBytes);
  return out;
}

std::optional<RunStarted> body(const v1::RunStarted& in) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  RunStarted out;
  out.run_id = in.run_id();
  out.kind = clip(in.kind(), 32);
  out.is_late = in.is_late();
  out.started_ns = time_of(in.started_ns());
  out.stack = digest<StackDigest>(in.stack());
  out.process = process(in.process());
  out.executable = clip(in.executable(), kMaxPathBytes);
  out.cgroup_path = clip(in.cgroup_path(), kMaxPathBytes);
  out.names = names(in.names());
  out.agent_verdict = verdict(in.verdict());
  RunOrigin& origin = out.origin;
  origin.cause = clip(in.cause(), 32);
  for (int i = 0; i < std::min(in.ancestors_size(), kMaxAncestors); ++i)
    origin.ancestors.push_back(process(in.ancestors(i)));
  for (int i = 0; i < std::min(in.namespace_pids_size(), kMaxNamespaces); ++i)
    origin.namespace_pids.push_back(in.namespace_pids(i));
  origin.uid = in.uid();
  origin.gid = in.gid();
  origin.cgroup_id = in.cgroup_id();
  origin.mount_namespace = in.mount_namespace();
  origin.pid_namespace = in.pid_namespace();
  origin.user_namespace = in.user_namespace();
  origin.arguments_truncated = in.arguments_truncated();
  origin.arguments = arguments(in.arguments(), origin.arguments_truncated);
  origin.root_type = clip(in.root_type());
  if (in.has_login()) origin.login = login(in.login());
  if (in.has_posture()) origin.posture = posture(in.posture());
  return out;
}

std::optional<RunEnded> body(const v1::RunEnded& in) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  return RunEnded{in.run_id(), time_of(in.ended_ns()), in.is_approximate()};
}

std::optional<StackAdvanced> body(const v1::StackAdvanced& in) {
  const auto from = digest<StackDigest>(in.from());
  const auto to = digest<StackDigest>(in.to());
  if (!from || !to) return std::nullopt;
  return StackAdvanced{*from, *to, in.is_of_running()};
}

std::vector<std::string> conflicts(const google::protobuf::RepeatedPtrField<std::string>& in) {
  std::vector<std::string> out;
  for (const std::string& conflict : in)
    if (out.size() < kMaxConflicts) out.push_back(clip(conflict, kMaxReasonBytes));
  return out;
}

catalog::Recognition recognition(const v1::Recognition& in) {
  catalog::Recognition out;
  if (const auto state = catalog::parse_recognition_state(in.state())) out.state = *state;
  out.reason = clip(in.reason(), catalog::kMaxRecognitionBytes);
  for (const std::string& conflict : in.conflicts())
    if (out.conflicts.size() < catalog::kMaxIdentityConflicts)
      out.conflicts.push_back(clip(conflict, catalog::kMaxRecognitionBytes));
  return out;
}

std::optional<RunNamed> body(const v1::RunNamed& in) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  return RunNamed{in.run_id(), names(in.names()), conflicts(in.claim_conflicts()),
                  clip(in.kind(), 32), recognition(in.recognition())};
}

std::optional<ExecSeen> body(const v1::ExecSeen& in, std::int64_t time_ns) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  Exec exec;
  exec.time_ns = time_of(time_ns);
  exec.process = process(in.process());
  exec.parent = process(in.parent());
  exec.uid = in.uid();
  exec.executable = clip(in.executable(), kMaxPathBytes);
  exec.arguments_truncated = in.arguments_truncated();
  exec.arguments = arguments(in.arguments(), exec.arguments_truncated);
  exec.is_from_upper = in.is_from_upper();
  if (const auto origin = catalog::parse_exec_origin(in.file().origin())) exec.origin = *origin;
  exec.path = clip(in.file().path(), kMaxPathBytes);
  exec.is_interpreter = in.file().is_interpreter();
  return ExecSeen{in.run_id(), std::move(exec)};
}

EvidenceGap body(const v1::EvidenceGap& in) {
  return {time_of(in.from_ns()), time_of(in.until_ns()), clip(in.reason(), kMaxReasonBytes),
          in.lost()};
}

std::optional<RunNoisy> body(const v1::RunNoisy& in) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  return RunNoisy{in.run_id(),           clip(in.budget(), 32),
                  time_of(in.from_ns()), time_of(in.until_ns()),
                  in.dropped(),          in.limit(),
                  in.is_over()};
}

std::vector<std::string> view_paths(const google::protobuf::RepeatedPtrField<std::string>& in) {
  std::vector<std::string> out;
  for (const std::string& path : in)
    if (out.size() < catalog::kMaxViewPaths) out.push_back(clip(path, catalog::kMaxViewPathBytes));
  return out;
}

catalog::View view(const v1::View& in) {
  catalog::View out;
  if (const auto state = catalog::parse_view_state(in.state())) out.state = *state;
  out.reason = clip(in.reason(), kMaxReasonBytes);
  out.layers = in.layers();
  out.paths = in.paths();
  out.masked = in.masked();
  out.by_image = in.by_image();
  out.covered = in.covered();
  out.replaced = in.replaced();
  out.masked_paths = view_paths(in.masked_paths());
  out.covered_paths = view_paths(in.covered_paths());
  out.checked = from_unix_ns(in.checked_ns() == 0 ? 0 : time_of(in.checked_ns()));
  return out;
}

std::optional<RunViewed> body(const v1::RunViewed& in) {
  if (!is_run_id(in.run_id())) return std::nullopt;
  return RunViewed{in.run_id(), view(in.view()), digest<StackDigest>(in.stack())};
}

std::optional<RunPresent> body(const v1::RunPresent& in) {
  auto run = body(in.run());
  if (!run) return std::nullopt;
  return RunPresent{std::move(*run), conflicts(in.claim_conflicts()), view(in.view()),
                    recognition(in.recognition())};
}

StateCompleted body(const v1::StateCompleted& in) {
  return {in.runs(), in.lost_starts() + in.recursion_misses()};
}

template <typename Body>
void take(Event& event, std::optional<Body> read) {
  if (read) event.body = std::move(*read);
}

Event one(const v1::Event& in) {
  Event out;
  out.sequence = in.sequence();
  out.skipped = in.skipped();
  out.time_ns = in.time_ns();
  switch (in.event_case()) {
    case v1::Event::kRunStarted:
      take(out, body(in.run_started()));
      break;
    case v1::Event::kRunEnded:
      take(out, body(in.run_ended()));
      break;
    case v1::Event::kStackAdvanced:
      take(out, body(in.stack_advanced()));
      break;
    case v1::Event::kRunNamed:
      take(out, body(in.run_named()));
      break;
    case v1::Event::kExecSeen:
      take(out, body(in.exec_seen(), in.time_ns()));
      break;
    case v1::Event::kEvidenceGap:
      out.body = body(in.evidence_gap());
      break;
    case v1::Event::kRunNoisy:
      take(out, body(in.run_noisy()));
      break;
    case v1::Event::kRunViewed:
      take(out, body(in.run_viewed()));
      break;
    case v1::Event::kStateBegun:
      out.body = StateBegun{};
      break;
    case v1::Event::kRunPresent:
      take(out, body(in.run_present()));
      break;
    case v1::Event::kStateCompleted:
      out.body = body(in.state_completed());
      break;
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return out;
}

catalog::StackLayer layer(const v1::StackLayer& in) {
  catalog::StackLayer out;
  out.instance = {clip(in.instance().file_system()), in.instance().inode(),
                  in.instance().generation(), in.instance().birth_ns()};
  auto& evidence = out.evidence;
  evidence.claimed = digest<DiffId>(in.claimed_diff_id());
  evidence.claimed_chain = digest<ChainId>(in.claimed_chain_id());
  evidence.is_claim_for_display = in.is_claim_for_display();
  evidence.shape = digest<ShapeDigest>(in.shape());
  evidence.content = digest<ContentDigest>(in.content());
  evidence.deletions = digest<DeletionsDigest>(in.deletions());
  evidence.exact = digest<DiffId>(in.exact_diff_id());
  evidence.is_capped_at_shape = in.is_capped_at_shape();
  evidence.is_mutable = in.is_mutable();
  evidence.gap = clip(in.gap(), kMaxReasonBytes);
  evidence.tampered = clip(in.tampered(), kMaxReasonBytes);
  out.name = clip(in.name(), kMaxPathBytes);
  out.is_injected = in.is_injected();
  out.entries = in.entries();
  out.content_bytes = in.content_bytes();
  return out;
}

catalog::About about(const v1::About& in) {
  catalog::About out;
  if (in.has_distribution())
    out.distribution =
        catalog::Distribution{clip(in.distribution().id()), clip(in.distribution().version()),
                              clip(in.distribution().name()), clip(in.distribution().variant())};
  for (int i = 0; i < std::min(in.databases_size(), kMaxDatabases); ++i) {
    const v1::PackageDatabase& one = in.databases(i);
    out.databases.push_back({clip(one.manager()),
                             clip(one.format()),
                             clip(one.path(), kMaxPathBytes),
                             one.packages(),
                             clip(one.gap(), kMaxReasonBytes),
                             {}});
  }
  out.gap = clip(in.gap(), kMaxReasonBytes);
  return out;
}

template <typename Stacks>
std::vector<catalog::Stack> stacks(const Stacks& in, const NodeKey& node) {
  std::vector<catalog::Stack> out;
  for (const auto& stack : in) {
    if (stack.layers_size() > kMaxLayers) continue;
    catalog::Stack one_stack{node.cluster,
                             node.node,
                             {},
                             clip(stack.unsupported(), kMaxReasonBytes),
                             about(stack.about()),
                             stack.seen_layers(),
                             stack.is_masked()};
    for (const auto& one_layer : stack.layers())
      one_stack.layers.push_back(layer(one_layer));
    out.push_back(std::move(one_stack));
  }
  return out;
}

}  // namespace

Batch from_wire(const v1::EventBatch& batch, const NodeKey& node) {
  Batch out;
  out.stacks = stacks(batch.stacks(), node);
  out.events.reserve(static_cast<std::size_t>(batch.events_size()));
  for (const auto& event : batch.events())
    out.events.push_back(one(event));
  return out;
}

Batch from_wire(const v1::StackDescriptions& in, const NodeKey& node) {
  return {{}, stacks(in.stacks(), node)};
}

std::optional<Batch> from_wire(const v1::FileSetAnswer& in) {
  const auto stack = digest<StackDigest>(in.stack());
  if (!stack) return std::nullopt;
  FileSetAnswer answer{*stack, in.first_layer(), "", clip(in.gap(), kMaxReasonBytes)};
  if (answer.gap.empty()) {
    if (const auto set = catalog::FileSet::decode(in.files()); set)
      answer.files = in.files();
    else
      answer.gap = "the node sent " + set.error().message;
  }
  Batch out;
  out.file_sets.push_back(std::move(answer));
  return out;
}

Heartbeat from_wire(const v1::Heartbeat& in) {
  Heartbeat out;
  out.catalog_sequence = in.catalog_sequence();
  out.catalog_is_stale = in.catalog_is_stale();
  out.probe_state = clip(in.probe_state(), 32);
  out.probe_detail = clip(in.probe_detail(), kMaxReasonBytes);
  out.probe_sent = in.probe_sent();
  out.probe_lost = in.probe_lost();
  out.queue_dropped = in.queue_dropped();
  out.outbox_events = in.outbox_events();
  out.outbox_bytes = in.outbox_bytes();
  out.running = in.running();
  out.layers_pending = in.layers_pending();
  out.rss_bytes = in.rss_bytes();
  out.cpu_ns = in.cpu_ns();
  out.time_ns = time_of(in.time_ns());
  out.number = in.number();
  out.sent_sequence = in.sent_sequence();
  out.acknowledged = in.acknowledged();
  out.probe_is_attached = in.probe_is_attached();
  out.probe_has_seen = in.probe_has_seen();
  out.lost_starts = in.lost_starts();
  out.lost_execs = in.lost_execs();
  out.recursion_misses = in.recursion_misses();
  out.map_failures = in.map_failures();
  out.starts = in.starts();
  out.late_starts = in.late_starts();
  out.outbox_dropped = in.outbox_dropped();
  out.outbox_oldest_ns = std::clamp<std::int64_t>(in.outbox_oldest_ns(), 0, kMaxTime);
  out.catalog_expires_ns = std::clamp<std::int64_t>(in.catalog_expires_ns(), 0, kMaxTime);
  out.started_ns = std::clamp<std::int64_t>(in.started_ns(), 0, kMaxTime);
  for (int i = 0; i < std::min(in.degraded_size(), kMaxDegradations); ++i)
    out.degraded.push_back(
        {clip(in.degraded(i).mode(), 32), clip(in.degraded(i).reason(), kMaxDegradationBytes)});
  return out;
}

AgentInfo from_wire(const v1::Hello& in) {
  return {in.epoch(),
          clip(in.boot_id()),
          clip(in.version()),
          clip(in.kernel()),
          in.catalog_sequence(),
          in.instance(),
          in.acknowledged(),
          "",
          in.trust().substr(0, kTrustBytes),
          in.issuer().substr(0, kTrustBytes)};
}

}  // namespace assay::collector
