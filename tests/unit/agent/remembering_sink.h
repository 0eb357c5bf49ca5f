// SPDX-License-Identifier: Apache-2.0
// An EventSink that keeps what it is told. Not thread-safe.
#pragma once

#include <utility>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent::tests {

struct RememberingSink final : EventSink {
  void on_start(ContainerStart start) override { starts.push_back(std::move(start)); }
  void on_exec(ContainerExec exec) override { execs.push_back(std::move(exec)); }
  void on_emptied(RunEmptied one) override { emptied.push_back(one); }
  void on_sweep(SweepCompleted sweep) override { sweeps.push_back(std::move(sweep)); }
  void on_gap(ObservationGap gap) override { gaps.push_back(gap); }
  void on_noise(RunNoise noise) override { noises.push_back(noise); }
  void on_checkpoint(Checkpoint checkpoint) override { checkpoints.push_back(checkpoint); }

  std::vector<ContainerStart> starts;
  std::vector<ContainerExec> execs;
  std::vector<RunEmptied> emptied;
  std::vector<SweepCompleted> sweeps;
  std::vector<ObservationGap> gaps;
  std::vector<RunNoise> noises;
  std::vector<Checkpoint> checkpoints;
};

}  // namespace assay::agent::tests
