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
  WallTime wall_now() const override {
    return WallTime(std::chrono::hours(500'000)) + boot + set_by;
  }
  BootTime boot_now() const override { return boot; }
  BootTime boot{std::chrono::seconds(100)};
  std::chrono::nanoseconds set_by{0};  ///< how far the wall clock was set
};

/// What the events left open, as outbox.db keeps it.
struct MemoryOpenRuns final : OpenRuns {
  void apply(const RunChange& change) {
    if (const auto* run = std::get_if<OpenRun>(&change)) rows[run->run_id] = *run;
    if (const auto* closed = std::get_if<RunClosed>(&change)) {
      rows.erase(closed->run_id);
      std::erase_if(other_boots, [&](const OpenRun& run) { return run.run_id == closed->run_id; });
    }
    if (const auto* moved = std::get_if<RunMoved>(&change))
      if (const auto run = rows.find(moved->run_id); run != rows.end())
        run->second.stack = moved->to;
    if (const auto* moved = std::get_if<RunsMoved>(&change))
      for (auto& [id, run] : rows)
        if (run.stack == moved->from) run.stack = moved->to;
  }
  std::vector<OpenRun> load() override {
    std::vector<OpenRun> all;
    for (const auto& [id, run] : rows)
      all.push_back(run);
    return all;
  }
  std::vector<OpenRun> load_of_other_boots() override { return other_boots; }
  bool is_complete() override { return complete; }
  void set_complete() override { complete = true; }
  std::optional<catalog::Stack> describe(const StackDigest& digest) override {
    const auto found = described.find(digest);
    return found == described.end() ? std::nullopt : std::optional(found->second);
  }
  bool complete = true;
  std::map<RunId, OpenRun> rows;
  std::vector<OpenRun> other_boots;
  std::map<StackDigest, catalog::Stack> described;
};

struct Recorder final : Journal {
  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override {
    open_runs.apply(change_of(event));
    if (stack) open_runs.described.insert_or_assign(catalog::digest_of(*stack), *stack);
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
  MemoryOpenRuns open_runs;
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

struct ManualSource final : EventSource {
  Result<void> start(EventSink&, std::optional<BootTime>) override { return ok(); }
  void request_sweep() override { ++sweeps; }
  ProbeHealth health() const override { return state; }
  void stop() override {}
  void release(std::uint64_t ticket) override { released = ticket; }
  std::uint64_t released = 0;
  int sweeps = 0;
  ProbeHealth state;
};

}  // namespace assay::agent::tests
