// SPDX-License-Identifier: Apache-2.0
#include "agent/core/auditor.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/core/run_identity.h"

namespace assay::agent {
namespace {

// Longer than any reader takes; what comes later is of a run that nobody waits for.
constexpr std::chrono::minutes kClaimsAwaited{2};
constexpr std::size_t kMaxConflicts = 16;  // of one run

}  // namespace

Auditor::Auditor(Ports ports, AuditorConfig config)
    : ports_(std::move(ports)),
      config_(std::move(config)),
      catalog_(std::make_shared<const catalog::Catalog>()),
      stacks_(config_.max_waiting_stacks) {
  last_tick_ = ports_.clock.wall_now();
}

void Auditor::resume() {
  for (const RunId& run_id : ports_.open_runs.load_of_other_boots()) {
    ports_.journal.record(RunEnded{run_id, ports_.clock.wall_now(), true}, nullptr);
    ports_.open_runs.erase(run_id);
  }
  for (OpenRun& run : ports_.open_runs.load())
    resumed_.emplace(run.key, std::move(run));
}

void Auditor::on_start(ContainerStart start) {
  const auto known = runs_.find(start.key);
  if (known == runs_.end()) return open_run(std::move(start));
  if (start.cause == StartCause::kSweep) return complete_run(known->second, start);
  // The same root in the same cgroup again: only after its last task went is it a new life.
  if (!known->second.emptied) return;
  close_run(start.key, *known->second.emptied, false);
  open_run(std::move(start));
}

void Auditor::open_run(ContainerStart start) {
  if (runs_.size() >= config_.max_open_runs) {
    ++counters_.refused_runs;
    ports_.journal.record(EvidenceGap{wall(start.time), ports_.clock.wall_now(),
                                      "more runs than the agent's limit are open", 1},
                          nullptr);
    return;
  }
  Run run;
  const ContainerNames& names = run.told.names = ports_.records.look_up(start);
  run.kind = kind_of(start, names, kind_context(start, names));
  run.first_seen = start.time;
  run.mount_namespace = start.mount_namespace;
  run.first_process = start.process.key;
  run.stack = stand_on_layers(start);
  if (names.name.empty() && !names.container_id.empty())
    late_names_[start.key] = {start, config_.name_attempts};

  if (!continue_resumed(start, run)) {
    run.id = make_run_id(config_.boot_id, start.key, run.first_process);
    announce(run, start);
  }
  ask_for_claims(run, start);
  ports_.open_runs.put({run.id, start.key, run.first_process, run.stack});
  runs_.emplace(start.key, std::move(run));
}

void Auditor::complete_run(Run& run, const ContainerStart& start) {
  const bool is_bare = !stacks_.find(run.stack)->stack->unsupported.empty();
  if (!is_bare || lacks_layers(start)) return;
  ask_for_claims(run, start);
  const StackDigest bare = std::exchange(run.stack, stand_on_layers(start));
  const StackDigest told = std::exchange(run.resumed_from, std::nullopt).value_or(bare);
  stacks_.remove_run(bare);
  ports_.open_runs.put({run.id, start.key, run.first_process, run.stack});
  if (told == run.stack) return;
  const auto& stack = stacks_.find(run.stack)->stack;
  ports_.journal.record(StackAdvanced{told, run.stack, judge(*stack)}, stack);
}

StackDigest Auditor::stand_on_layers(const ContainerStart& start) {
  LayerPlan plan = plan_layers(start);
  catalog::Stack stack;
  stack.cluster = config_.cluster;
  stack.node = config_.node;
  stack.unsupported = std::move(plan.unsupported);
  std::vector<LayerRef> refs;
  std::vector<bool> is_final;
  std::vector<LayerTask> to_identify;
  for (LayerTask& task : plan.tasks) {
    refs.push_back(ref_of(task.layer));
    const auto recalled = ports_.identifier.recall(task);
    stack.layers.push_back(recalled ? recalled->layer : bare_layer(task));
    if (recalled) stack.layers.back().name = bare_layer(task).name;
    if (const auto claim = ports_.claims ? ports_.claims->recall(refs.back()) : std::nullopt)
      take_claim(stack.layers.back(), *claim);
    is_final.push_back(recalled && recalled->is_final);
    if (!is_final.back()) to_identify.push_back(std::move(task));
  }
  const StackDigest digest =
      stacks_.add_run(std::move(stack), std::move(refs), std::move(is_final));
  for (LayerTask& task : to_identify)
    ports_.identifier.identify(std::move(task), ports_.post_layer);
  return digest;
}

void Auditor::announce(const Run& run, ContainerStart start) {
  const auto& stack = stacks_.find(run.stack)->stack;
  RunStarted event;
  event.run_id = run.id;
  event.kind = run.kind;
  event.is_late = start.cause == StartCause::kSweep;
  event.started = wall(start.time);
  event.start = std::move(start);
  event.stack = run.stack;
  event.names = run.told.names;
  event.verdict = judge(*stack);
  ++counters_.starts;
  if (event.is_late) ++counters_.late_starts;
  ports_.journal.record(std::move(event), stack);
}

bool Auditor::continue_resumed(const ContainerStart& start, Run& run) {
  const auto found = resumed_.find(start.key);
  if (found == resumed_.end()) return false;
  const OpenRun before = found->second;
  resumed_.erase(found);
  if (start.cause != StartCause::kSweep) {  // the earlier life ended while the agent was away
    ports_.open_runs.erase(before.run_id);
    ports_.journal.record(RunEnded{before.run_id, wall(start.time), true}, nullptr);
    return false;
  }
  run.id = before.run_id;
  run.first_process = before.first_process;
  if (lacks_layers(start)) {  // lost this time: what was told before is better
    run.resumed_from = before.stack;
  } else if (before.stack != run.stack) {
    const auto& stack = stacks_.find(run.stack)->stack;
    ports_.journal.record(StackAdvanced{before.stack, run.stack, judge(*stack)}, stack);
  }
  return true;
}

void Auditor::on_exec(const ContainerExec& exec) {
  if (!config_.record_execs) return;
  const auto run = runs_.find(exec.key);
  if (run == runs_.end()) return;
  ports_.journal.record(ExecSeen{run->second.id, wall(exec.time), exec}, nullptr);
}

void Auditor::on_emptied(const RunEmptied& emptied) {
  const auto run = runs_.find(emptied.key);
  if (run == runs_.end()) return;
  run->second.emptied = emptied.time;
  ports_.source.request_sweep();
}

void Auditor::on_sweep(const SweepCompleted& sweep) {
  std::unordered_map<RunKey, bool> live;
  for (const RunKey& key : sweep.live)
    live.emplace(key, true);
  std::vector<std::pair<RunKey, BootTime>> ended;
  for (auto& [key, run] : runs_) {
    if (run.first_seen >= sweep.began) continue;  // started while the sweep went on
    if (live.contains(key)) {
      if (run.emptied && *run.emptied < sweep.began) run.emptied.reset();
    } else if (!run.emptied || *run.emptied < sweep.began) {
      ended.emplace_back(key, run.emptied.value_or(BootTime::min()));
    }
  }
  for (const auto& [key, time] : ended) {
    const bool is_approximate = time == BootTime::min();
    close_run(key, is_approximate ? sweep.completed : time, is_approximate);
  }
  if (!resumed_.empty()) end_unseen_resumed(sweep.untold);
}

void Auditor::end_unseen_resumed(const std::vector<RunKey>& untold) {
  std::unordered_map<RunKey, OpenRun> waiting;  // they live: a later sweep tells of them
  for (const RunKey& key : untold)
    if (auto run = resumed_.extract(key)) waiting.insert(std::move(run));
  for (const auto& [key, run] : resumed_) {
    ports_.open_runs.erase(run.run_id);
    ports_.journal.record(RunEnded{run.run_id, ports_.clock.wall_now(), true}, nullptr);
  }
  resumed_ = std::move(waiting);
}

void Auditor::close_run(const RunKey& key, BootTime time, bool is_approximate) {
  const auto found = runs_.find(key);
  ASSAY_ASSERT(found != runs_.end());
  Run run = std::move(found->second);
  runs_.erase(found);
  late_names_.erase(key);
  if (run.awaits_claims)
    ended_[run.id] = {std::move(run.told), run.stack, ports_.clock.boot_now() + kClaimsAwaited};
  else
    stacks_.remove_run(run.stack);
  ports_.open_runs.erase(run.id);
  ++counters_.ends;
  ports_.journal.record(RunEnded{run.id, wall(time), is_approximate}, nullptr);
}

void Auditor::ask_for_claims(Run& run, const ContainerStart& start) {
  if (ports_.claims == nullptr || run.told.names.container_id.empty()) return;
  if (start.is_host_root || lacks_layers(start)) return;
  run.awaits_claims = true;
  ports_.claims->look_up({run.id, start, run.told.names}, ports_.post_claims);
}

void Auditor::on_claims(const RunClaims& claims) {
  follow(apply(claims.layers));
  const auto found = runs_.find(claims.key);
  if (found != runs_.end() && found->second.id == claims.run_id) {
    found->second.awaits_claims = false;
    return take_claims(claims.run_id, found->second.told, claims);
  }
  const auto ended = ended_.find(claims.run_id);
  if (ended == ended_.end()) return;
  take_claims(claims.run_id, ended->second.told, claims);
  stacks_.remove_run(ended->second.stack);
  ended_.erase(ended);
}

void Auditor::take_claims(const RunId& run_id, Told& told, const RunClaims& claims) {
  bool is_news = complete_names(told.names, claims.names);
  for (const std::string& conflict : claims.conflicts) {
    const auto& known = told.conflicts;
    if (known.size() >= kMaxConflicts) break;
    if (std::find(known.begin(), known.end(), conflict) != known.end()) continue;
    told.conflicts.push_back(conflict);
    is_news = true;
  }
  if (is_news) ports_.journal.record(RunNamed{run_id, told.names, told.conflicts}, nullptr);
}

void Auditor::forget_overdue() {
  const BootTime now = ports_.clock.boot_now();
  for (auto run = ended_.begin(); run != ended_.end();) {
    const bool is_overdue = run->second.until <= now;
    if (is_overdue) stacks_.remove_run(run->second.stack);
    run = is_overdue ? ended_.erase(run) : std::next(run);
  }
}

template <typename Result>
std::vector<StackChange> Auditor::apply(const std::vector<Result>& results) {
  std::vector<StackChange> merged;
  std::set<StackDigest> between;  // made here and never recorded: only the last step counts
  for (const Result& result : results) {
    for (StackChange& change : stacks_.apply(result)) {
      if (!change.joins_known) between.insert(change.to);
      if (!between.contains(change.from)) {
        merged.push_back(std::move(change));
        continue;
      }
      for (StackChange& earlier : merged) {
        if (earlier.to != change.from) continue;
        earlier.to = change.to;
        earlier.stack = change.stack;
      }
    }
  }
  std::erase_if(merged, [](const StackChange& change) { return change.from == change.to; });
  return merged;
}

void Auditor::on_layers(const std::vector<LayerResult>& results) {
  follow(apply(results));
}

void Auditor::follow(const std::vector<StackChange>& changes) {
  for (const StackChange& change : changes) {
    for (auto& [id, ended] : ended_)
      if (ended.stack == change.from) ended.stack = change.to;
    for (auto& [key, run] : runs_) {
      if (run.stack != change.from) continue;
      run.stack = change.to;
      ports_.open_runs.put({run.id, key, run.first_process, run.stack});
    }
    ports_.journal.record(StackAdvanced{change.from, change.to, judge(*change.stack)},
                          change.stack);
  }
}

void Auditor::on_catalog(std::shared_ptr<const catalog::Catalog> catalog) {
  catalog_ = std::move(catalog);
}

void Auditor::on_tick() {
  look_up_late_names();
  forget_overdue();
  report_losses();
  last_tick_ = ports_.clock.wall_now();
}

void Auditor::look_up_late_names() {
  for (auto late = late_names_.begin(); late != late_names_.end();) {
    Run& run = runs_.at(late->first);
    ContainerNames names = ports_.records.look_up(late->second.start);
    const bool is_done = !names.name.empty() || --late->second.attempts_left == 0;
    complete_names(names, run.told.names);
    if (names != run.told.names) {
      run.told.names = names;
      ports_.journal.record(RunNamed{run.id, std::move(names), run.told.conflicts}, nullptr);
      ask_for_claims(run, late->second.start);  // the record is there now
    }
    late = is_done ? late_names_.erase(late) : std::next(late);
  }
}

void Auditor::report_losses() {
  const LossCounters now = ports_.source.health().loss;
  const std::uint64_t lost = (now.lost_starts - reported_loss_.lost_starts) +
                             (now.recursion_misses - reported_loss_.recursion_misses);
  if (lost > 0) {
    ports_.journal.record(
        EvidenceGap{last_tick_, ports_.clock.wall_now(),
                    "the probe lost records of starts; a sweep looks again", lost},
        nullptr);
    ports_.source.request_sweep();
  }
  reported_loss_ = now;
}

KindContext Auditor::kind_context(const ContainerStart& start, const ContainerNames& names) const {
  KindContext context;
  for (const auto& [key, run] : runs_) {
    if (key.root == start.key.root || run.kind == RunKind::kChroot) continue;
    context.shares_known_namespace |= run.mount_namespace == start.mount_namespace;
    context.shares_known_cgroup |=
        !names.container_id.empty() && key.cgroup_id == start.key.cgroup_id;
  }
  return context;
}

catalog::Verdict Auditor::judge(const catalog::Stack& stack) const {
  return catalog::judge(stack, *catalog_, ports_.clock.wall_now());
}

WallTime Auditor::wall(BootTime time) const {
  return ports_.clock.wall_now() - (ports_.clock.boot_now() - time);
}

AuditorSnapshot Auditor::snapshot() const {
  AuditorSnapshot snapshot = counters_;
  snapshot.running = runs_.size();
  snapshot.catalog_sequence = catalog_->sequence();
  std::map<StackDigest, catalog::VerdictStatus> judged;
  for (const auto& [key, run] : runs_) {
    const auto [position, is_new] = judged.try_emplace(run.stack);
    if (is_new) position->second = judge(*stacks_.find(run.stack)->stack).status;
    ++snapshot.running_by_verdict[position->second];
  }
  return snapshot;
}

}  // namespace assay::agent
