// SPDX-License-Identifier: Apache-2.0
#include "agent/recording/recording.h"

#include <algorithm>

#include "assay/v1/recording.pb.h"

namespace assay::agent {
namespace {

namespace wire = assay::v1;

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, std::string("recording: ") + what};
}

std::int64_t ns(BootTime time) {
  return time.count();
}

// Times that no machine and no calendar of ours reaches would overflow in later arithmetic.
constexpr std::int64_t kMaxNs = 1LL << 60U;
constexpr std::int64_t kMaxWallNs = 1LL << 61U;  // the year 2043

BootTime boot_time(std::int64_t in) {
  return BootTime(std::clamp(in, -kMaxNs, kMaxNs));
}

template <typename Message>
bool parse(std::string_view bytes, Message& out) {
  return out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void put(const RunKey& key, wire::RecordedRunKey& out) {
  out.set_device(key.root.device);
  out.set_inode(key.root.inode);
  out.set_generation(key.root.generation);
  out.set_magic(key.root.magic);
  out.set_cgroup_id(key.cgroup_id);
}

RunKey key_of(const wire::RecordedRunKey& in) {
  return {{in.device(), in.inode(), in.generation(), in.magic()}, in.cgroup_id()};
}

void put(const LayerRef& ref, wire::RecordedLayerRef& out) {
  out.set_device(ref.device);
  out.set_inode(ref.inode);
  out.set_generation(ref.generation);
}

LayerRef ref_of(const wire::RecordedLayerRef& in) {
  return {in.device(), in.inode(), in.generation()};
}

// Each of them puts one body into an entry.

void put(const RecordedBytes& body, wire::RecordingEntry& out) {
  switch (body.channel) {
    case ProbeChannel::kStarts:
      return out.set_start_record(body.bytes);
    case ProbeChannel::kExecs:
      return out.set_exec_record(body.bytes);
    case ProbeChannel::kSweptTasks:
      return out.set_swept_tasks(body.bytes);
  }
}

void put(SweepStep step, wire::RecordingEntry& out) {
  switch (step) {
    case SweepStep::kBegan:
      return out.set_sweep(wire::SWEEP_STEP_BEGAN);
    case SweepStep::kAsks:
      return out.set_sweep(wire::SWEEP_STEP_ASKS);
    case SweepStep::kCompleted:
      return out.set_sweep(wire::SWEEP_STEP_COMPLETED);
  }
}

void put(const RecordedCommand& body, wire::RecordingEntry& out) {
  wire::RecordedCommand& command = *out.mutable_command();
  put(body.key, *command.mutable_key());
  command.set_executable(body.executable);
  for (const std::string& argument : body.arguments)
    command.add_arguments(argument);
  command.set_arguments_truncated(body.arguments_truncated);
}

void put(const RecordedNames& body, wire::RecordingEntry& out) {
  put(body.key, *out.mutable_names()->mutable_key());
  (void)parse(body.names, *out.mutable_names()->mutable_names());
}

void put(const RecordedLayerResult& body, wire::RecordingEntry& out) {
  const auto fill = [&](auto& layer) {
    put(body.ref, *layer.mutable_ref());
    if (!body.layer.empty()) (void)parse(body.layer, *layer.mutable_layer());
    layer.set_is_final(body.is_final);
    layer.set_about(body.about);
  };
  body.is_news ? fill(*out.mutable_layer()) : fill(*out.mutable_recall());
}

void put(const RecordedStack& body, wire::RecordingEntry& out) {
  wire::RecordedStack& stack = *out.mutable_stack();
  put(body.key, *stack.mutable_key());
  stack.set_other_stack(static_cast<std::uint32_t>(body.other_stack));
  for (const LowerLayer& layer : body.layers) {
    wire::RecordedLowerLayer& one = *stack.add_layers();
    one.set_name(layer.name);
    one.set_name_is_truncated(layer.name_is_truncated);
    one.set_device(layer.device);
    one.set_inode(layer.inode);
    one.set_generation(layer.generation);
    one.set_magic(layer.magic);
    one.set_is_id_mapped(layer.is_id_mapped);
    one.set_is_data_only(layer.is_data_only);
  }
}

template <typename DigestType>
std::string raw(const std::optional<DigestType>& digest) {
  return digest ? std::string(digest->raw()) : std::string();
}

void put(const LayerClaim& claim, wire::RecordedLayerClaim& out) {
  put(claim.ref, *out.mutable_ref());
  out.set_diff_id(raw(claim.diff_id));
  out.set_chain_id(raw(claim.chain_id));
  out.set_is_for_display(claim.is_for_display);
}

void put(const RecordedClaimRecall& body, wire::RecordingEntry& out) {
  wire::RecordedClaimRecall& recall = *out.mutable_claim_recall();
  put(body.ref, *recall.mutable_ref());
  if (body.claim) put(*body.claim, *recall.mutable_claim());
}

void put(const RecordedClaims& body, wire::RecordingEntry& out) {
  wire::RecordedClaims& claims = *out.mutable_claims();
  put(body.key, *claims.mutable_key());
  (void)parse(body.names, *claims.mutable_names());
  for (const LayerClaim& claim : body.layers)
    put(claim, *claims.add_layers());
  for (const std::string& conflict : body.conflicts)
    claims.add_conflicts(conflict);
}

void put(const RecordedCatalog& body, wire::RecordingEntry& out) {
  wire::RecordedCatalog& recorded = *out.mutable_catalog();
  for (const std::string& statement : body.log.statements)
    recorded.mutable_log()->add_statements(statement);
  recorded.mutable_log()->set_head(body.log.head);
  recorded.set_trust(body.trust);
}

void put(const ObservationGap& body, wire::RecordingEntry& out) {
  wire::RecordedGap& gap = *out.mutable_gap();
  gap.set_from_boot_ns(ns(body.from));
  gap.set_until_boot_ns(ns(body.until));
  gap.set_cause(static_cast<std::uint32_t>(body.cause));
  gap.set_ended_untold(body.lost.ended_untold);
  gap.set_lost_unknown(body.lost.lost_unknown);
  gap.set_recursion_misses(body.lost.recursion_misses);
  gap.set_lost_execs(body.lost.lost_execs);
}

void put(const RunNoise& body, wire::RecordingEntry& out) {
  wire::RecordedNoise& noise = *out.mutable_noise();
  put(body.key, *noise.mutable_key());
  noise.set_is_starts(body.budget == Budget::kStarts);
  noise.set_since_boot_ns(ns(body.since));
  noise.set_time_boot_ns(ns(body.time));
  noise.set_dropped(body.dropped);
  noise.set_limit(body.limit);
  noise.set_is_over(body.is_over);
}

void put(const RecordingEnd& body, wire::RecordingEntry& out) {
  out.mutable_end()->set_reason(body.reason);
  out.mutable_end()->set_dropped(body.dropped);
}

RecordedCommand command_of(const wire::RecordedCommand& in) {
  return {key_of(in.key()),
          in.executable(),
          {in.arguments().begin(), in.arguments().end()},
          in.arguments_truncated()};
}

template <typename Layer>
RecordedLayerResult layer_of(const Layer& in, bool is_news) {
  return {ref_of(in.ref()), in.has_layer() ? in.layer().SerializeAsString() : std::string(),
          in.about(), in.is_final(), is_news};
}

Result<RecordedStack> stack_of(const wire::RecordedStack& in) {
  if (in.other_stack() > static_cast<std::uint32_t>(OtherStack::kAufs))
    return corrupt("a root of an unknown kind");
  RecordedStack stack{key_of(in.key()), static_cast<OtherStack>(in.other_stack()), {}};
  for (const wire::RecordedLowerLayer& layer : in.layers())
    stack.layers.push_back({layer.name(), layer.name_is_truncated(), layer.device(), layer.inode(),
                            layer.generation(), layer.magic(), layer.is_id_mapped(),
                            layer.is_data_only()});
  return stack;
}

template <typename DigestType>
Result<std::optional<DigestType>> digest_of(const std::string& bytes) {
  if (bytes.empty()) return std::optional<DigestType>();
  auto digest = DigestType::from_raw(bytes);
  if (!digest) return corrupt("a claim with a digest of another length");
  return std::optional<DigestType>(*digest);
}

Result<LayerClaim> claim_of(const wire::RecordedLayerClaim& in) {
  LayerClaim claim;
  claim.ref = ref_of(in.ref());
  ASSAY_ASSIGN(claim.diff_id, digest_of<DiffId>(in.diff_id()));
  ASSAY_ASSIGN(claim.chain_id, digest_of<ChainId>(in.chain_id()));
  claim.is_for_display = in.is_for_display();
  return claim;
}

Result<RecordedClaimRecall> claim_recall_of(const wire::RecordedClaimRecall& in) {
  RecordedClaimRecall recall{ref_of(in.ref()), std::nullopt};
  if (in.has_claim()) {
    ASSAY_ASSIGN(recall.claim, claim_of(in.claim()));
  }
  return recall;
}

Result<RecordedClaims> claims_of(const wire::RecordedClaims& in) {
  RecordedClaims claims{key_of(in.key()), in.names().SerializeAsString(), {}, {}};
  for (const wire::RecordedLayerClaim& layer : in.layers()) {
    ASSAY_ASSIGN(LayerClaim claim, claim_of(layer));
    claims.layers.push_back(std::move(claim));
  }
  claims.conflicts = {in.conflicts().begin(), in.conflicts().end()};
  return claims;
}

RecordedCatalog catalog_of(const wire::RecordedCatalog& in) {
  return {{{in.log().statements().begin(), in.log().statements().end()}, in.log().head()},
          in.trust()};
}

Result<ObservationGap> gap_of(const wire::RecordedGap& in) {
  if (in.cause() > static_cast<std::uint32_t>(GapCause::kUnstored))
    return corrupt("a gap of an unknown cause");
  ObservationGap gap{boot_time(in.from_boot_ns()),
                     boot_time(in.until_boot_ns()),
                     static_cast<GapCause>(in.cause()),
                     {}};
  gap.lost.ended_untold = in.ended_untold();
  gap.lost.lost_unknown = in.lost_unknown();
  gap.lost.recursion_misses = in.recursion_misses();
  gap.lost.lost_execs = in.lost_execs();
  return gap;
}

RunNoise noise_of(const wire::RecordedNoise& in) {
  return {key_of(in.key()),
          in.is_starts() ? Budget::kStarts : Budget::kExecs,
          boot_time(in.since_boot_ns()),
          boot_time(in.time_boot_ns()),
          in.dropped(),
          in.limit(),
          in.is_over()};
}

Result<SweepStep> step_of(wire::SweepStep in) {
  switch (in) {
    case wire::SWEEP_STEP_BEGAN:
      return SweepStep::kBegan;
    case wire::SWEEP_STEP_ASKS:
      return SweepStep::kAsks;
    case wire::SWEEP_STEP_COMPLETED:
      return SweepStep::kCompleted;
    default:
      return corrupt("an unknown step of a sweep");
  }
}

}  // namespace

std::string encode(const RecordingHeader& header) {
  wire::RecordingHeader out;
  out.set_abi_version(header.abi_version);
  out.set_agent_version(header.agent_version);
  out.set_kernel(header.kernel);
  out.set_cluster(header.cluster);
  out.set_node(header.node);
  out.set_boot_id(header.boot_id);
  out.set_wall_ns(to_unix_ns(header.wall));
  out.set_boot_ns(ns(header.boot));
  out.set_records_execs(header.records_execs);
  out.set_never_executed_age_ms(static_cast<std::uint32_t>(header.never_executed_age.count()));
  return out.SerializeAsString();
}

Result<RecordingHeader> decode_header(std::string_view frame) {
  wire::RecordingHeader in;
  if (!parse(frame, in)) return corrupt("its header is no protobuf message");
  return RecordingHeader{in.abi_version(),
                         in.agent_version(),
                         in.kernel(),
                         in.cluster(),
                         in.node(),
                         in.boot_id(),
                         from_unix_ns(std::clamp(in.wall_ns(), std::int64_t{0}, kMaxWallNs)),
                         boot_time(in.boot_ns()),
                         in.records_execs(),
                         std::chrono::milliseconds(in.never_executed_age_ms())};
}

std::string encode(const RecordingEntry& entry) {
  wire::RecordingEntry out;
  out.set_boot_ns(ns(entry.time));
  std::visit([&](const auto& body) { put(body, out); }, entry.body);
  return out.SerializeAsString();
}

Result<std::optional<RecordingEntry>> decode_entry(std::string_view frame) {
  wire::RecordingEntry in;
  if (!parse(frame, in)) return corrupt("an entry is no protobuf message");
  RecordingEntry entry;
  entry.time = boot_time(in.boot_ns());
  switch (in.entry_case()) {
    case wire::RecordingEntry::kStartRecord:
      entry.body = RecordedBytes{ProbeChannel::kStarts, in.start_record()};
      break;
    case wire::RecordingEntry::kExecRecord:
      entry.body = RecordedBytes{ProbeChannel::kExecs, in.exec_record()};
      break;
    case wire::RecordingEntry::kSweptTasks:
      entry.body = RecordedBytes{ProbeChannel::kSweptTasks, in.swept_tasks()};
      break;
    case wire::RecordingEntry::kSweep: {
      ASSAY_ASSIGN(entry.body, step_of(in.sweep()));
      break;
    }
    case wire::RecordingEntry::kCommand:
      entry.body = command_of(in.command());
      break;
    case wire::RecordingEntry::kNames:
      entry.body = RecordedNames{key_of(in.names().key()), in.names().names().SerializeAsString()};
      break;
    case wire::RecordingEntry::kRecall:
      entry.body = layer_of(in.recall(), false);
      break;
    case wire::RecordingEntry::kLayer:
      entry.body = layer_of(in.layer(), true);
      break;
    case wire::RecordingEntry::kStack: {
      ASSAY_ASSIGN(entry.body, stack_of(in.stack()));
      break;
    }
    case wire::RecordingEntry::kClaimRecall: {
      ASSAY_ASSIGN(entry.body, claim_recall_of(in.claim_recall()));
      break;
    }
    case wire::RecordingEntry::kClaims: {
      ASSAY_ASSIGN(entry.body, claims_of(in.claims()));
      break;
    }
    case wire::RecordingEntry::kCatalog:
      entry.body = catalog_of(in.catalog());
      break;
    case wire::RecordingEntry::kGap: {
      ASSAY_ASSIGN(entry.body, gap_of(in.gap()));
      break;
    }
    case wire::RecordingEntry::kNoise:
      entry.body = noise_of(in.noise());
      break;
    case wire::RecordingEntry::kEnd:
      entry.body = RecordingEnd{in.end().reason(), in.end().dropped()};
      break;
    case wire::RecordingEntry::ENTRY_NOT_SET:
      return std::optional<RecordingEntry>();
  }
  return std::optional<RecordingEntry>(std::move(entry));
}

}  // namespace assay::agent
