// SPDX-License-Identifier: Apache-2.0
// Ports of the auditor that record what they are told and answer what the test says.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "agent/core/auditor.h"

namespace assay::agent::tests {

class FakeClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(std::chrono::hours(500'000)) + boot; }
  BootTime boot_now() const override { return boot; }
  BootTime boot{std::chrono::seconds(100)};
};

struct Recorder final : Journal {
  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override {
    events.push_back(std::move(event));
    stacks.push_back(std::move(stack));
  }
  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const AgentEvent& event : events)
      if (const T* match = std::get_if<T>(&event)) found.push_back(*match);
    return found;
  }
  std::vector<AgentEvent> events;
  std::vector<std::shared_ptr<const catalog::Stack>> stacks;
};

struct ManualIdentifier final : Identifier {
  std::optional<LayerResult> recall(const LayerTask& task) override {
    const auto found = known.find(ref_of(task.layer));
    return found == known.end() ? std::nullopt : std::optional(found->second);
  }
  void identify(LayerTask task, Callback) override { asked.push_back(std::move(task)); }
  std::uint64_t pending() const override { return asked.size(); }
  std::map<LayerRef, LayerResult> known;
  std::vector<LayerTask> asked;
};

struct ManualRecords final : RuntimeRecords {
  ContainerNames look_up(const ContainerStart&) override {
    ++calls;
    return names;
  }
  ContainerNames names;
  int calls = 0;
};

struct ManualClaims final : ClaimReader {
  std::optional<LayerClaim> recall(const LayerRef& ref) override {
    const auto found = known.find(ref);
    return found == known.end() ? std::nullopt : std::optional(found->second);
  }
  void look_up(ClaimTask task, std::function<void(RunClaims)>) override {
    asked.push_back(std::move(task));
  }
  std::map<LayerRef, LayerClaim> known;
  std::vector<ClaimTask> asked;
};

struct MemoryOpenRuns final : OpenRuns {
  void put(const OpenRun& run) override { rows[run.run_id] = run; }
  void erase(const RunId& run_id) override {
    rows.erase(run_id);
    other_boots.erase(run_id);
  }
  std::vector<OpenRun> load() override {
    std::vector<OpenRun> all;
    for (const auto& [id, run] : rows)
      all.push_back(run);
    return all;
  }
  std::vector<RunId> load_of_other_boots() override {
    return {other_boots.begin(), other_boots.end()};
  }
  std::map<RunId, OpenRun> rows;
  std::set<RunId> other_boots;
};

struct ManualSource final : EventSource {
  Result<void> start(EventSink&) override { return ok(); }
  void request_sweep() override { ++sweeps; }
  ProbeHealth health() const override { return state; }
  void stop() override {}
  int sweeps = 0;
  ProbeHealth state;
};

}  // namespace assay::agent::tests
