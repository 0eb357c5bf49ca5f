// SPDX-License-Identifier: Apache-2.0
// Stands between the auditor and the ports it asks, and writes down what they answer.
#pragma once

#include <memory>

#include "agent/app/journal.h"
#include "agent/core/ports.h"
#include "agent/recording/recording_writer.h"
#include "common/base/clock.h"

namespace assay::agent {

/// What the probe reads, with the arguments limited. Thread-safe.
class RecordingTap final : public ProbeTap {
 public:
  RecordingTap(RecordingWriter& writer, const Clock& clock, RecordingLimits limits)
      : writer_(writer), clock_(clock), limits_(std::move(limits)) {}

  void on_bytes(ProbeChannel channel, BootTime now, std::string_view bytes) override;
  void on_sweep_began(BootTime began) override;
  void on_sweep_asks() override;
  void on_sweep_completed(BootTime completed) override;
  void on_command(const ContainerStart& start) override;
  void on_gap(const ObservationGap& gap) override;
  void on_noise(const RunNoise& noise) override;

 private:
  RecordingWriter& writer_;
  const Clock& clock_;
  const RecordingLimits limits_;
};

/// Names without the labels that stay on the node. Thread-safe; `inner` outlives it.
class RecordingRecords final : public RuntimeRecords {
 public:
  RecordingRecords(RuntimeRecords& inner, RecordingWriter& writer, const Clock& clock,
                   LabelRules labels)
      : inner_(inner), writer_(writer), clock_(clock), labels_(std::move(labels)) {}
  ContainerNames look_up(const ContainerStart& start) override;

 private:
  RuntimeRecords& inner_;
  RecordingWriter& writer_;
  const Clock& clock_;
  const LabelRules labels_;
};

/// Thread-safe; `inner` outlives it.
class RecordingIdentifier final : public Identifier {
 public:
  RecordingIdentifier(Identifier& inner, RecordingWriter& writer, const Clock& clock)
      : inner_(inner), writer_(writer), clock_(clock) {}
  std::optional<LayerResult> recall(const LayerTask& task) override;
  void identify(LayerTask task, Callback on_result) override;
  std::uint64_t pending() const override { return inner_.pending(); }

 private:
  Identifier& inner_;
  RecordingWriter& writer_;
  const Clock& clock_;
};

/// Used by one thread, as `inner` is; `inner` outlives it.
class RecordingStacks final : public StackFinder {
 public:
  RecordingStacks(StackFinder& inner, RecordingWriter& writer, const Clock& clock)
      : inner_(inner), writer_(writer), clock_(clock) {}
  void complete(ContainerStart& start) override;

 private:
  StackFinder& inner_;
  RecordingWriter& writer_;
  const Clock& clock_;
};

/// Names without the labels that stay on the node. Thread-safe; `inner` outlives it, and calls back
/// into it until it goes.
class RecordingClaims final : public ClaimReader {
 public:
  RecordingClaims(ClaimReader& inner, RecordingWriter& writer, const Clock& clock,
                  LabelRules labels)
      : inner_(inner), writer_(writer), clock_(clock), labels_(std::move(labels)) {}
  std::optional<LayerClaim> recall(const LayerRef& ref) override;
  void look_up(ClaimTask task, std::function<void(RunClaims)> on_claims) override;

 private:
  ClaimReader& inner_;
  RecordingWriter& writer_;
  const Clock& clock_;
  const LabelRules labels_;
};

/// A layer's result in a recording, and back. Errors: kCorrupt.
RecordedLayerResult to_recorded(const LayerResult& result, bool is_news);
Result<LayerResult> to_result(const RecordedLayerResult& recorded);

}  // namespace assay::agent
