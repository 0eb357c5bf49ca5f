// SPDX-License-Identifier: Apache-2.0
#include "agent/app/recording_ports.h"

#include <utility>

#include "agent/probe/record_arguments.h"
#include "agent/uplink/event_codec.h"

namespace assay::agent {

void RecordingTap::on_bytes(ProbeChannel channel, BootTime now, std::string_view bytes) {
  const auto limit = [this](std::vector<std::string>& arguments) {
    return limit_arguments(arguments, limits_);
  };
  if (auto record = limit_record(channel, bytes, limit))
    writer_.write(now, RecordedBytes{channel, std::move(*record)});
}

void RecordingTap::on_sweep_began(BootTime began) {
  writer_.write(began, SweepStep::kBegan);
}

void RecordingTap::on_sweep_asks() {
  writer_.write(clock_.boot_now(), SweepStep::kAsks);
}

void RecordingTap::on_sweep_completed(BootTime completed) {
  writer_.write(completed, SweepStep::kCompleted);
}

void RecordingTap::on_command(const ContainerStart& start) {
  RecordedCommand command{start.key, start.executable, start.arguments, start.arguments_truncated};
  command.arguments_truncated |= limit_arguments(command.arguments, limits_);
  writer_.write(clock_.boot_now(), std::move(command));
}

void RecordingTap::on_gap(const ObservationGap& gap) {
  writer_.write(clock_.boot_now(), gap);
}

void RecordingTap::on_noise(const RunNoise& noise) {
  writer_.write(clock_.boot_now(), noise);
}

ContainerNames RecordingRecords::look_up(const ContainerStart& start) {
  ContainerNames names = inner_.look_up(start);
  labels_.apply(names.labels);
  writer_.write(clock_.boot_now(), RecordedNames{start.key, encode_names(names)});
  return names;
}

std::optional<LayerResult> RecordingIdentifier::recall(const LayerTask& task) {
  auto result = inner_.recall(task);
  RecordedLayerResult recorded;
  if (result)
    recorded = to_recorded(*result, false);
  else
    recorded.ref = ref_of(task.layer);
  writer_.write(clock_.boot_now(), std::move(recorded));
  return result;
}

void RecordingIdentifier::identify(LayerTask task, Callback on_result) {
  inner_.identify(std::move(task), [this, on_result = std::move(on_result)](LayerResult result) {
    writer_.write(clock_.boot_now(), to_recorded(result, true));
    on_result(std::move(result));
  });
}

std::optional<LayerClaim> RecordingClaims::recall(const LayerRef& ref) {
  auto claim = inner_.recall(ref);
  writer_.write(clock_.boot_now(), RecordedClaimRecall{ref, claim});
  return claim;
}

void RecordingClaims::look_up(ClaimTask task, std::function<void(RunClaims)> on_claims) {
  inner_.look_up(std::move(task), [this, on_claims = std::move(on_claims)](RunClaims claims) {
    labels_.apply(claims.names.labels);
    writer_.write(clock_.boot_now(), RecordedClaims{claims.key, encode_names(claims.names),
                                                    claims.layers, claims.conflicts});
    on_claims(std::move(claims));
  });
}

void RecordingStacks::complete(ContainerStart& start) {
  inner_.complete(start);
  if (!start.is_overlay)  // the kernel told the layers of the others
    writer_.write(clock_.boot_now(), RecordedStack{start.key, start.other_stack, start.layers});
}

RecordedLayerResult to_recorded(const LayerResult& result, bool is_news) {
  catalog::Stack stack;
  stack.layers.push_back(result.layer);
  return {result.ref, encode_stack(stack), result.layer.about, result.is_final, is_news};
}

Result<LayerResult> to_result(const RecordedLayerResult& recorded) {
  ASSAY_ASSIGN(catalog::Stack stack, decode_stack(recorded.layer));
  if (stack.layers.size() != 1)
    return Error{ErrorCode::kCorrupt, "recording: an answer about one layer names several"};
  stack.layers.front().about = recorded.about;
  return LayerResult{recorded.ref, std::move(stack.layers.front()), recorded.is_final};
}

}  // namespace assay::agent
