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
constexpr std::size_t kMaxAwaited = 10'000;  // ended runs whose claims are still to come
constexpr std::size_t kMaxConflicts = 16;    // of one run
constexpr std::size_t kMaxForeign = 64;      // files of one run that were told

/// The exec that showed the run, as one among its others.
ContainerExec first_exec(const ContainerStart& start) {
  ContainerExec exec;
  exec.key = start.key;
  exec.time = start.time;
  exec.process = start.process;
  if (!start.ancestors.empty()) exec.parent = start.ancestors.front();
  exec.uid = start.uid;
  exec.executable = start.executable;
  exec.arguments = start.arguments;
  exec.arguments_truncated = start.arguments_truncated;
  exec.file = start.file;
  exec.is_from_upper = start.file.origin == catalog::ExecOrigin::kUpper;
  return exec;
}

}  // namespace

ExecLevel exec_level_of(std::string_view word) {
  if (word == "all") return ExecLevel::kAll;
  return word == "foreign" ? ExecLevel::kForeign : ExecLevel::kOff;
}

Auditor::Auditor(Ports ports, AuditorConfig config)
    : ports_(std::move(ports)),
      config_(std::move(config)),
      catalog_(std::make_shared<const catalog::Catalog>()),
      stacks_(config_.max_waiting_stacks),
      places_(config_.max_place_bytes),
      state_(config_.state_interval) {}

void Auditor::resume() {
  for (const OpenRun& run : ports_.open_runs.load_of_other_boots()) {
    const WallTime ended = std::max(ports_.clock.wall_now(), run.started);
    ports_.journal.record(RunEnded{run.run_id, ended, true}, nullptr);
  }
  for (OpenRun& run : ports_.open_runs.load()) {
    const RunKey key = run.key;
    resumed_.emplace(key, Resumed{std::move(run), std::nullopt});
  }
  if (!ports_.open_runs.is_complete()) (void)state_.ask(0, BootTime{});  // any sweep will do
}

void Auditor::on_start(ContainerStart start) {
  const auto known = runs_.find(start.key);
  if (known == runs_.end()) return open_run(std::move(start));
  if (start.cause == StartCause::kSweep) return complete_run(known->second, start);
  // The same root in the same cgroup again: only after its last task went is it a new life.
  const Run& run = known->second;
  if (!run.emptied && !begins_another_life(start, run.first_process)) return;
  close_run(start.key, run.emptied.value_or(start.time), /*is_approximate=*/!run.emptied);
  open_run(std::move(start));
}

void Auditor::open_run(ContainerStart start) {
  ContainerNames names = ports_.records.look_up(start);
  if (!names.container_id.empty()) start.sandbox = ports_.records.sandbox_of(names, start);
  const bool may_come_late = names.name.empty() && !names.container_id.empty();
  const RunKey key = start.key;
  if (!open_named_run(start, std::move(names)) || !may_come_late) return;
  late_names_[key] = {std::move(start), config_.name_attempts};
}

bool Auditor::open_named_run(ContainerStart start, ContainerNames names) {
  if (runs_.size() >= config_.max_open_runs) {
    refuse(start);
    return false;
  }
  const std::optional<OpenRun> before = take_resumed(start);
  Run run;
  run.told.kind = kind_of(start, names, kind_context(start, names));
  run.told.names = std::move(names);
  run.first_seen = start.time;
  run.mount_namespace = start.mount_namespace;
  run.pid_namespace = start.pid_namespace;
  run.in_host_pid_namespace = start.in_host_pid_namespace;
  if (start.cause == StartCause::kRecord) run.recorded = ports_.clock.boot_now();

  const RunKey key = start.key;
  const ContainerExec first = first_exec(start);
  const bool is_shown_by_exec = is_by_exec(start.cause);
  keep_facts(run, start);
  if (before) {
    continue_resumed(*before, start, run);
    ask_for_claims(run, start);
  } else {
    run.first_process = start.process.key;
    run.started = wall(start.time);
    run.started_boot = start.time;
    run.stack = stand_on_layers(start);
    run.id = make_run_id(config_.boot_id, key, run.first_process);
    ask_for_claims(run, start);
    announce(run, std::move(start));
  }
  Run& opened = runs_.emplace(key, std::move(run)).first->second;
  if (is_shown_by_exec && !before) tell_exec(opened, first);
  tell_mismatches(opened);
  consider_view(key, opened);
  seek_acquaintances(key, opened, before.has_value());
  return true;
}

void Auditor::complete_run(Run& run, const ContainerStart& start) {
  if (run.told.kind == RunKind::kVmSandbox) return;  // unsupported for another reason
  const bool is_bare = !stacks_.find(run.stack)->stack->unsupported.empty();
  if (!is_bare || lacks_layers(start)) return;
  ask_for_claims(run, start);
  const StackDigest bare = std::exchange(run.stack, stand_on_layers(start));
  const StackDigest told = std::exchange(run.resumed_from, std::nullopt).value_or(bare);
  stacks_.remove_run(bare);
  if (told != run.stack) {
    const auto& stack = stacks_.find(run.stack)->stack;
    ports_.journal.record(StackAdvanced{told, run.stack, judge(*stack)}, stack);
  }
  tell_mismatches(run);
  consider_view(start.key, run);
}

StackDigest Auditor::stand_on_layers(const ContainerStart& start) {
  LayerPlan plan = plan_layers(start);
  catalog::Stack stack;
  stack.cluster = config_.cluster;
  stack.node = config_.node;
  stack.unsupported = std::move(plan.unsupported);
  for (const LayerTask& task : plan.tasks)
    stack.layers.push_back(bare_layer(task));
  return track(std::move(stack), std::move(plan.tasks));
}

StackDigest Auditor::track(catalog::Stack stack, std::vector<LayerTask> tasks) {
  std::vector<LayerRef> refs;
  std::vector<bool> is_final;
  std::vector<LayerTask> to_identify;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    refs.push_back(ref_of(tasks[i].layer));
    catalog::StackLayer& layer = stack.layers[i];
    const auto recalled = ports_.identifier.recall(tasks[i]);
    if (recalled) {
      const catalog::StackLayer before = std::exchange(layer, recalled->layer);
      layer.name = before.name;
      keep_told(layer.evidence, before.evidence);
    }
    if (const auto claim = ports_.claims ? ports_.claims->recall(refs.back()) : std::nullopt)
      take_claim(layer, *claim);
    if (ports_.watch != nullptr) ports_.watch->on_start(tasks[i]);
    is_final.push_back((recalled && recalled->is_final) || layer.evidence.content);
    if (!is_final.back()) to_identify.push_back(tasks[i]);
  }
  const StackDigest digest =
      stacks_.add_run(std::move(stack), std::move(refs), std::move(is_final));
  places_.put(digest, tasks);
  for (LayerTask& task : to_identify)
    ports_.identifier.identify(std::move(task), ports_.post_layer);
  return digest;
}

std::optional<StackDigest> Auditor::stand_again(const OpenRun& before,
                                                const ContainerStart& start) {
  if (lacks_layers(start)) return std::nullopt;
  std::optional<catalog::Stack> stack = ports_.open_runs.describe(before.stack);
  LayerPlan plan = plan_layers(start);
  if (!stack || !stack->unsupported.empty() || !plan.unsupported.empty() ||
      stack->layers.size() != plan.tasks.size())
    return std::nullopt;
  // The same superblock with the same upper: its layers cannot have been exchanged. Compared all
  // the same, since evidence belongs to one directory.
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    const catalog::LayerInstance& told = stack->layers[i].instance;
    const LowerLayer& seen = plan.tasks[i].layer;
    if (told.inode != seen.inode || told.generation != seen.generation) return std::nullopt;
  }
  stack->cluster = config_.cluster;
  stack->node = config_.node;
  return track(std::move(*stack), std::move(plan.tasks));
}

void Auditor::announce(const Run& run, ContainerStart start) {
  RunStarted event = describe(run, std::move(start));
  ++counters_.starts;
  if (event.is_late) ++counters_.late_starts;
  ports_.journal.record(std::move(event), stacks_.find(run.stack)->stack);
}

RunStarted Auditor::describe(const Run& run, ContainerStart start) const {
  RunStarted event;
  event.run_id = run.id;
  event.kind = run.told.kind;
  event.is_late = start.cause == StartCause::kSweep || start.cause == StartCause::kRecord ||
                  start.is_told_again;
  event.started = run.started;
  event.start = std::move(start);
  event.stack = run.resumed_from.value_or(run.stack);
  event.names = run.told.names;
  event.verdict = judge(*stacks_.find(run.stack)->stack);
  return event;
}

std::optional<OpenRun> Auditor::take_resumed(const ContainerStart& start) {
  auto found = resumed_.extract(start.key);
  if (found.empty()) return std::nullopt;
  Resumed before = std::move(found.mapped());
  // A start that the earlier agent told of and could not forget any more is read again.
  const bool is_same =
      start.cause == StartCause::kSweep || start.process.key == before.run.first_process;
  if (is_same) return std::move(before.run);
  end_resumed(before, start.time);  // the earlier life ended while the agent was away
  return std::nullopt;
}

void Auditor::continue_resumed(const OpenRun& before, const ContainerStart& start, Run& run) {
  run.id = before.run_id;
  run.first_process = before.first_process;
  run.started = before.started;
  run.started_boot = before.started_boot;
  if (const auto stack = stand_again(before, start)) {
    run.stack = *stack;
  } else {
    run.stack = stand_on_layers(start);
    if (lacks_layers(start)) {  // lost this time: what was told before is better
      run.resumed_from = before.stack;
      return;
    }
  }
  if (before.stack == run.stack) return;
  const auto& stack = stacks_.find(run.stack)->stack;
  ports_.journal.record(StackAdvanced{before.stack, run.stack, judge(*stack)}, stack);
}

void Auditor::end_resumed(const Resumed& resumed, BootTime time) {
  const OpenRun& run = resumed.run;
  const WallTime ended = in_run(run.started, run.started_boot, resumed.emptied.value_or(time));
  ports_.journal.record(RunEnded{run.run_id, ended, !resumed.emptied}, nullptr);
}

void Auditor::on_exec(const ContainerExec& exec) {
  const auto run = runs_.find(exec.key);
  if (run != runs_.end()) tell_exec(run->second, exec);
}

void Auditor::tell_exec(Run& run, const ContainerExec& exec) {
  if (!wants_exec(run, exec.file)) return;
  ports_.journal.record(ExecSeen{run.id, in_run(run.started, run.started_boot, exec.time), exec},
                        nullptr);
}

bool Auditor::wants_exec(Run& run, const ExecutedFile& file) const {
  if (config_.exec_level != ExecLevel::kForeign) return config_.exec_level == ExecLevel::kAll;
  if (!catalog::is_foreign(file.origin)) return false;
  // Who makes one file after the other is told of again, and keeps no memory.
  if (run.foreign.size() >= kMaxForeign) run.foreign.clear();
  return run.foreign.emplace(file.device, file.inode, file.generation).second;
}

void Auditor::on_emptied(const RunEmptied& emptied) {
  const auto run = runs_.find(emptied.key);
  if (run != runs_.end()) {
    run->second.emptied = emptied.time;
  } else {
    const auto resumed = resumed_.find(emptied.key);
    if (resumed == resumed_.end()) return;
    resumed->second.emptied = emptied.time;
  }
  ports_.source.request_sweep();
}

void Auditor::on_sweep(const SweepCompleted& sweep) {
  std::unordered_map<RunKey, bool> live;
  for (const RunKey& key : sweep.live)
    live.emplace(key, true);
  std::vector<std::pair<RunKey, BootTime>> ended;
  for (auto& [key, run] : runs_) {
    if (run.recorded || run.first_seen >= sweep.began) continue;  // started while it went on
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
  look_at_records(sweep.completed);
  if (!resumed_.empty()) end_unseen_resumed(sweep.untold);
  tell_tampering(sweep.began);
  if (state_.may_begin(sweep.began, ports_.clock.boot_now())) begin_state();
}

void Auditor::end_unseen_resumed(const std::vector<RunKey>& untold) {
  std::unordered_map<RunKey, Resumed> waiting;  // they live: a later sweep tells of them
  for (const RunKey& key : untold)
    if (auto run = resumed_.extract(key)) waiting.insert(std::move(run));
  const BootTime now = ports_.clock.boot_now();
  for (const auto& [key, resumed] : resumed_)
    end_resumed(resumed, now);
  resumed_ = std::move(waiting);
}

void Auditor::close_run(const RunKey& key, BootTime time, bool is_approximate) {
  const auto found = runs_.find(key);
  ASSAY_ASSERT(found != runs_.end());
  Run run = std::move(found->second);
  runs_.erase(found);
  if (run.facts) fact_bytes_ -= memory_of(*run.facts);
  late_names_.erase(key);
  seeking_.erase(key);
  answer_unchecked(run, "the run ended");
  if (run.claims_asked && ended_.size() < kMaxAwaited)
    ended_[run.id] = {std::move(run.told), run.stack, ports_.clock.boot_now() + kClaimsAwaited};
  else
    stacks_.remove_run(run.stack);
  ++counters_.ends;
  ports_.journal.record(
      RunEnded{run.id, in_run(run.started, run.started_boot, time), is_approximate}, nullptr);
}

void Auditor::ask_for_claims(Run& run, const ContainerStart& start) {
  if (ports_.claims == nullptr || run.told.names.container_id.empty()) return;
  if (start.is_host_root || lacks_layers(start) || run.recorded) return;
  run.claims_asked = ports_.clock.boot_now();
  ports_.claims->look_up({run.id, start, run.told.names}, ports_.post_claims);
}

void Auditor::on_claims(const RunClaims& claims) {
  follow(apply(claims.layers));
  const auto found = runs_.find(claims.key);
  if (found != runs_.end() && found->second.id == claims.run_id) {
    found->second.claims_asked.reset();
    found->second.is_anothers_record |= claims.is_anothers_record;
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
  told.kind = kind_by_names(told.kind, told.names);
  for (const std::string& conflict : claims.conflicts)
    is_news |= add_conflict(told, conflict);
  if (is_news) tell_names(run_id, told);
}

void Auditor::tell_names(const RunId& run_id, const Told& told) {
  ports_.journal.record(RunNamed{run_id, told.names, told.conflicts, told.kind, told.recognition},
                        nullptr);
}

/// True when it is news.
bool Auditor::add_conflict(Told& told, const std::string& conflict) {
  const auto& known = told.conflicts;
  if (known.size() >= kMaxConflicts) return false;
  if (std::find(known.begin(), known.end(), conflict) != known.end()) return false;
  told.conflicts.push_back(conflict);
  return true;
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

// Used in auditor_tampering.cpp and auditor_exact.cpp.
template std::vector<StackChange> Auditor::apply(const std::vector<LayerTampering>&);
template std::vector<StackChange> Auditor::apply(const std::vector<LayerExact>&);
template std::vector<StackChange> Auditor::apply(const std::vector<LayerMismatch>&);
template std::vector<StackChange> Auditor::apply(const std::vector<LayerUnproven>&);

void Auditor::on_layers(const std::vector<LayerResult>& results) {
  follow(apply(results));
}

void Auditor::follow(const std::vector<StackChange>& changes, bool is_of_running) {
  std::vector<RunKey> moved;
  for (const StackChange& change : changes) {
    places_.move(change.from, change.to);
    for (auto& [id, ended] : ended_)
      if (ended.stack == change.from) ended.stack = change.to;
    for (auto& [key, run] : runs_) {
      if (run.stack != change.from) continue;
      run.stack = change.to;
      moved.push_back(key);
    }
    ports_.journal.record(
        StackAdvanced{change.from, change.to, judge(*change.stack), is_of_running}, change.stack);
  }
  for (const RunKey& key : moved)
    consider_view(key, runs_.at(key));
}

void Auditor::on_catalog(std::shared_ptr<const catalog::Catalog> catalog) {
  catalog_ = std::move(catalog);
  are_views_due_ = true;
}

void Auditor::on_tick() {
  if (std::exchange(are_views_due_, false)) consider_views();
  look_up_late_names();
  look_for_acquaintances();
  forget_overdue();
  if (state_.is_telling())
    tell_state();
  else if (state_.needs_sweep(ports_.clock.boot_now()))
    ports_.source.request_sweep();
  report_refused();
}

void Auditor::look_up_late_names() {
  for (auto late = late_names_.begin(); late != late_names_.end();) {
    Run& run = runs_.at(late->first);
    ContainerNames names = ports_.records.look_up(late->second.start);
    const bool is_done = !names.name.empty() || --late->second.attempts_left == 0;
    complete_names(names, run.told.names);
    if (names != run.told.names) {
      run.told.names = std::move(names);
      run.told.kind = kind_by_names(run.told.kind, run.told.names);
      tell_names(run.id, run.told);
      ask_for_claims(run, late->second.start);  // the record is there now
    }
    late = is_done ? late_names_.erase(late) : std::next(late);
  }
}

KindContext Auditor::kind_context(const ContainerStart& start, const ContainerNames& names) const {
  KindContext context;
  const auto is_descendant_of = [&](const ProcessKey& process) {
    return std::ranges::any_of(start.ancestors,
                               [&](const ProcessInfo& one) { return one.key == process; });
  };
  for (const auto& [key, run] : runs_) {
    if (key.root == start.key.root || run.told.kind == RunKind::kChroot) continue;
    // The number of a namespace that is gone is given to the next one at once.
    context.shares_known_namespace |= !run.emptied && run.mount_namespace == start.mount_namespace;
    // A cgroup that is no container's is shared by whatever somebody starts by hand.
    context.shares_known_cgroup |=
        key.cgroup_id == start.key.cgroup_id &&
        (!names.container_id.empty() || is_descendant_of(run.first_process));
  }
  return context;
}

catalog::Verdict Auditor::judge(const catalog::Stack& stack) const {
  const WallTime now = ports_.judging_time ? ports_.judging_time() : ports_.clock.wall_now();
  return catalog::judge(stack, *catalog_, now);
}

WallTime Auditor::wall(BootTime time) const {
  return ports_.clock.wall_now() - (ports_.clock.boot_now() - time);
}

WallTime Auditor::in_run(WallTime started, BootTime started_boot, BootTime time) {
  return started + std::max(time - started_boot, BootTime(0));
}

AuditorSnapshot Auditor::snapshot() const {
  AuditorSnapshot snapshot = counters_;
  snapshot.running = runs_.size();
  for (const auto& [key, seeking] : seeking_) {
    const catalog::RecognitionState state = runs_.at(key).told.recognition.state;
    snapshot.rogue += state == catalog::RecognitionState::kUnknown;
    snapshot.unrecognised += state == catalog::RecognitionState::kUntold && seeking.looks < kLooks;
  }
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
