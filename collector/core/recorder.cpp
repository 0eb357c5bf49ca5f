// SPDX-License-Identifier: Apache-2.0
#include "collector/core/recorder.h"

#include <algorithm>
#include <charconv>

#include "collector/core/triage.h"
#include "common/base/encoding.h"
#include "common/base/escape_once.h"

namespace assay::collector {
namespace {

constexpr int kMaxStacksAskedFor = 1000;
constexpr int kMaxFileSetsAskedFor = 16;         // the others with the next batches
constexpr std::size_t kMaxRefusedCatalogs = 16;  // open findings of one node
constexpr const char* kQuiet = "the run keeps to its budget again";

/// What is so of a budget, however long and how often: how its noise_text() begins.
std::string noise_cause(const RunNoisy& event) {
  const std::string limit = std::to_string(event.limit);
  return event.budget == "starts" ? "more new roots at once than the " + limit + " that may wait"
                                  : "more than " + limit + " executed programs a second";
}

std::string noise_text(const RunNoisy& event) {
  return noise_cause(event) + ", from " + to_rfc3339(from_unix_ns(event.from_ns)) + " to " +
         to_rfc3339(from_unix_ns(event.until_ns)) + ": " + std::to_string(event.dropped) +
         (event.budget == "starts" ? " starts" : " execs") + " were not recorded";
}

constexpr std::size_t kMaxForeignFindings = 32;  // open ones of one run
constexpr const char* kManyForeign = "more files";
constexpr const char* kManyForeignText =
    "it executed more files that come from no layer: assay trace shows them";

/// The file, by its origin and path: a file in memory has a name that its maker chose.
std::string foreign_subject(const Exec& exec) {
  const std::string& path = exec.path.empty() ? exec.executable : exec.path;
  return escape_once(std::string(catalog::to_string(exec.origin)) + ":" + path.substr(0, 1024));
}

std::string foreign_text(const Exec& exec) {
  const std::string& path = exec.path.empty() ? exec.executable : exec.path;
  return escape_once(
      "it executed " + path.substr(0, 1024) + ", " + std::string(catalog::describe(exec.origin)) +
      (exec.is_interpreter ? ", as the interpreter of " + exec.executable : "") + " (uid " +
      std::to_string(exec.uid) + ", pid " + std::to_string(exec.process.pid) + ")");
}

}  // namespace

struct Recorder::Context {
  StoreWriter& store;
  NodeKey node;
  NodeId node_id{};
  WallTime now{};
  NodeState state = {};  // loaded before and saved after
  std::int64_t event_ns = 0;
  std::vector<StackDigest> unknown = {};

  Reconciler::Subject subject() { return {store, node_id, state, now}; }
};

Result<BatchOutcome> Recorder::open_epoch(StoreWriter& store, const NodeKey& node,
                                          const AgentInfo& agent, WallTime now) {
  BatchOutcome outcome;
  ASSAY_ASSIGN(const NodeId id, store.node_id(node));
  ASSAY_ASSIGN(NodeState state, store.node_state(id));
  const NodeState before = state;
  ASSAY_ASSIGN(const EpochRow row, reconciler_.open_epoch({store, id, state, now}, agent));
  if (state != before) ASSAY_TRY(store.save_node_state(id, state));
  outcome.acknowledged = row.acknowledged;
  outcome.state_wish = Reconciler::wish(state);
  ASSAY_ASSIGN(outcome.unknown, store.undescribed_stacks(id, kMaxStacksAskedFor));
  ASSAY_ASSIGN(outcome.file_sets, store.wanted_file_sets(id, kMaxFileSetsAskedFor));
  return outcome;
}

Result<BatchOutcome> Recorder::apply(StoreWriter& store, const NodeKey& node, const Epoch& epoch,
                                     const Batch& batch, WallTime now) {
  Context context{store, node, {}, now};
  ASSAY_ASSIGN(context.node_id, store.node_id(node));
  ASSAY_ASSIGN(context.state, store.node_state(context.node_id));
  const NodeState before = context.state;
  ASSAY_ASSIGN(const auto known, store.find_epoch(context.node_id, epoch));
  EpochRow row = known.value_or(EpochRow{});
  for (const auto& stack : batch.stacks)
    ASSAY_TRY(judging_.describe(store, context.node_id, stack, now));
  for (const auto& answer : batch.file_sets)
    ASSAY_TRY(judging_.take_file_set(store, context.node_id, answer, now));
  for (const auto& event : batch.events) {
    if (event.sequence <= row.acknowledged) {
      ++counts_.duplicates;
      continue;
    }
    ASSAY_TRY(follow(context, event, row.acknowledged));
    context.event_ns = event.time_ns;
    ASSAY_TRY(std::visit([&](const auto& body) { return on(context, body); }, event.body));
    row.acknowledged = event.sequence;
    row.last_event_ns = std::max(row.last_event_ns, std::min(event.time_ns, to_unix_ns(now)));
    ++counts_.events;
  }
  if (!known || row.acknowledged != known->acknowledged)
    ASSAY_TRY(store.save_epoch(context.node_id, epoch, row));
  if (context.state != before) ASSAY_TRY(store.save_node_state(context.node_id, context.state));
  ASSAY_ASSIGN(auto wanted, store.wanted_file_sets(context.node_id, kMaxFileSetsAskedFor));
  return BatchOutcome{row.acknowledged, std::move(context.unknown), Reconciler::wish(context.state),
                      std::move(wanted)};
}

/// What the agent dropped at its limit it says itself, in `skipped` and in an EvidenceGap. Any
/// other hole means that it has to send again.
Result<void> Recorder::follow(Context& context, const Event& event, std::uint64_t acknowledged) {
  const std::uint64_t missing = event.sequence - acknowledged - 1;
  if (missing == 0) return ok();
  if (event.skipped < missing)
    return Error{ErrorCode::kInvalidArgument,
                 "a hole in the sequences: expected " + std::to_string(acknowledged + 1) +
                     ", got " + std::to_string(event.sequence) + "; send again from there"};
  reconciler_.on_skipped(context.subject());
  return ok();
}

Result<void> Recorder::on(Context& /*context*/, std::monostate /*event*/) {
  ++counts_.strays;
  return ok();
}

Result<JudgedStack> Recorder::stack_of(Context& context, const std::optional<StackDigest>& digest) {
  if (digest) {
    ASSAY_ASSIGN(JudgedStack stack,
                 judging_.judged(context.store, context.node_id, *digest, context.now));
    auto& unknown = context.unknown;
    if (!stack.is_described &&
        std::find(unknown.begin(), unknown.end(), *digest) == unknown.end() &&
        unknown.size() < kMaxStacksAskedFor)
      unknown.push_back(*digest);
    return stack;
  }
  const catalog::Stack unreadable{
      context.node.cluster, context.node.node, {}, "the root could not be read"};
  ASSAY_ASSIGN(const StackDigest own,
               judging_.describe(context.store, context.node_id, unreadable, context.now));
  return judging_.judged(context.store, context.node_id, own, context.now);
}

bool Recorder::differs(const RunStarted& event, const JudgedStack& stack, WallTime now) {
  if (!event.agent_verdict || !stack.is_described) return false;
  const auto& theirs = *event.agent_verdict;
  // What files tell only we know.
  const auto is_by_files = [](const auto& match) {
    return match.rung == catalog::Rung::kContained;
  };
  if (std::ranges::any_of(stack.verdict.matches, is_by_files)) return false;
  if (theirs.catalog_sequence != stack.verdict.catalog_sequence) return false;
  if (theirs.status == stack.verdict.status && theirs.base_name() == stack.verdict.base_name())
    return false;
  // Nor does a node know of scans.
  if (judging_.is_by_scans(stack, now)) return false;
  ++counts_.verdict_differences;
  return true;
}

/// An agent that lost its memory finds its runs again, and by then on a stack with more evidence.
Result<void> Recorder::start_again(Context& context, const RunStarted& event,
                                   const JudgedStack& stack) {
  ++counts_.duplicates;
  ASSAY_ASSIGN(auto run, context.store.find_run(context.node_id, event.run_id));
  if (!run || run->ended_ns != 0 || run->stack == stack.id) return ok();
  ASSAY_TRY(context.store.move_run(*run, stack.id));
  run->stack = stack.id;
  return judging_.settle(context.store, *run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const RunStarted& event) {
  ASSAY_ASSIGN(const JudgedStack stack, stack_of(context, event.stack));
  const NewRun row{context.node_id, stack.id, &event, differs(event, stack, context.now),
                   context.state.state};
  ASSAY_ASSIGN(const auto key, context.store.add_run(row));
  if (!key) return start_again(context, event, stack);
  ASSAY_TRY(judging_.want_again(context.store, stack));
  OpenRun run;
  run.key = *key;
  run.stack = stack.id;
  run.node = context.node_id;
  run.run_id = event.run_id;
  run.started_ns = event.started_ns;
  run.kind = event.kind;
  return judging_.settle(context.store, run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const RunEnded& event) {
  ASSAY_ASSIGN(auto run, context.store.find_run(context.node_id, event.run_id));
  if (!run || run->ended_ns != 0) {
    ++(run ? counts_.duplicates : counts_.strays);
    return ok();
  }
  ASSAY_TRY(
      context.store.end_run(*run, event.ended_ns, event.is_approximate, to_unix_ns(context.now)));
  run->ended_ns = event.ended_ns;
  ASSAY_ASSIGN(const JudgedStack stack, judging_.judged(context.store, run->stack, context.now));
  return judging_.settle(context.store, *run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const StackAdvanced& event) {
  ASSAY_ASSIGN(const auto from, context.store.find_stack(context.node_id, event.from));
  if (!from) {
    ++counts_.strays;
    return ok();
  }
  ASSAY_ASSIGN(const JudgedStack to, stack_of(context, event.to));
  if (to.id == from->id) return ok();
  const auto moved = event.is_of_running ? StoreWriter::Moved::kRunning : StoreWriter::Moved::kAll;
  ASSAY_TRY(context.store.move_runs(from->id, to.id, moved));
  ASSAY_TRY(judging_.settle_all(context.store, to, context.now));
  return judging_.carry_file_set(context.store, from->id, to, context.now);
}

Result<void> Recorder::on(Context& context, const RunNamed& event) {
  ASSAY_ASSIGN(auto run, context.store.find_run(context.node_id, event.run_id));
  if (!run) {
    ++counts_.strays;
    return ok();
  }
  ASSAY_TRY(context.store.name_run(run->key, event.names));
  const bool has_conflicts = !event.claim_conflicts.empty();  // none: those told before stay
  ASSAY_ASSIGN(bool is_news, take_kind(context.store, *run, event.kind));
  ASSAY_ASSIGN(const bool is_recognised,
               take_recognition(context.store, *run, event.names, event.recognition));
  is_news |= is_recognised || has_conflicts;
  const catalog::Policy& policy = judging_.catalog().policy();
  if (!is_news && policy.exemptions.empty() && policy.sandbox == catalog::SandboxRule{})
    return ok();
  if (has_conflicts) {
    ASSAY_TRY(context.store.set_claim_conflicts(run->key, event.claim_conflicts));
    run->claim_conflicts = event.claim_conflicts;
  }
  ASSAY_ASSIGN(const JudgedStack stack, judging_.judged(context.store, run->stack, context.now));
  return judging_.settle(context.store, *run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const ExecSeen& event) {
  ASSAY_ASSIGN(const auto run, context.store.find_run(context.node_id, event.run_id));
  if (run) {
    Exec exec = event.exec;  // none is of a time to come: it would never be over
    exec.time_ns = std::min(exec.time_ns, to_unix_ns(context.now));
    ASSAY_TRY(context.store.add_exec(run->key, exec));
    return tell_foreign(context, *run, exec);
  }
  ++counts_.strays;
  return ok();
}

/// One finding per run and file, and one for all that are too many. It stays until a person closes
/// it: what ran does not become another thing when the container ends.
Result<void> Recorder::tell_foreign(Context& context, const OpenRun& run, const Exec& exec) {
  if (!catalog::is_foreign(exec.origin)) return ok();
  const std::int64_t now_ns = to_unix_ns(context.now);
  ASSAY_ASSIGN(const auto open, context.store.open_findings(run.key));
  std::size_t foreign = 0;
  std::string subject = foreign_subject(exec);
  for (const auto& finding : open)
    foreign += finding.kind == catalog::FindingKind::kForeignExecutable;
  const bool is_too_many = foreign >= kMaxForeignFindings;
  const auto is_told = [&](const std::string& told) {
    return std::ranges::any_of(open, [&](const OpenFinding& finding) {
      return finding.kind == catalog::FindingKind::kForeignExecutable && finding.subject == told;
    });
  };
  if (is_told(subject)) return ok();
  if (is_too_many) {
    subject = kManyForeign;
    if (is_told(subject)) return ok();
  }
  ASSAY_ASSIGN(const bool had, context.store.had_finding(
                                   run.key, catalog::FindingKind::kForeignExecutable, subject));
  if (had) return ok();  // a person has closed it
  return context.store.add_finding({new_finding_id(now_ns),
                                    catalog::FindingKind::kForeignExecutable, subject,
                                    is_too_many ? kManyForeignText : foreign_text(exec), "",
                                    context.node_id, run.key, now_ns, 0, ""});
}

Result<void> Recorder::on(Context& context, const EvidenceGap& event) {
  std::string reason = "nothing could be seen from " + to_rfc3339(from_unix_ns(event.from_ns)) +
                       " to " + to_rfc3339(from_unix_ns(event.until_ns)) + ": " +
                       escape_once(event.reason);
  if (event.lost != 0) reason += " (" + std::to_string(event.lost) + " records lost)";
  return context.store.add_finding(
      {new_finding_id(to_unix_ns(context.now)), catalog::FindingKind::kEvidenceGap,
       to_rfc3339(from_unix_ns(event.from_ns), 9), std::move(reason), "", context.node_id,
       std::nullopt, to_unix_ns(context.now), 0, ""});
}

/// One finding per run and budget: open while it goes on, resolved when it is over or the run ends.
Result<void> Recorder::on(Context& context, const RunNoisy& event) {
  ASSAY_ASSIGN(const auto run, context.store.find_run(context.node_id, event.run_id));
  if (!run || run->ended_ns != 0) {
    ++(run ? counts_.duplicates : counts_.strays);
    return ok();
  }
  const std::int64_t now_ns = to_unix_ns(context.now);
  const std::string reason = noise_text(event);
  ASSAY_ASSIGN(const auto open, context.store.open_findings(run->key));
  for (const auto& finding : open) {
    if (finding.kind != catalog::FindingKind::kNoisy || finding.subject != event.budget) continue;
    if (finding.reason.starts_with(noise_cause(event) + ","))  // more of the same ends no mute
      ASSAY_TRY(context.store.set_finding_reason(finding.key, reason, now_ns));
    else
      ASSAY_TRY(change_reason(context.store, finding, reason, now_ns));
    return event.is_over ? context.store.resolve_finding(finding.key, now_ns, kQuiet) : ok();
  }
  return context.store.add_finding({new_finding_id(now_ns), catalog::FindingKind::kNoisy,
                                    event.budget, reason, "", context.node_id, run->key, now_ns,
                                    event.is_over ? now_ns : 0, event.is_over ? kQuiet : ""});
}

/// True when it is another kind than it was taken for.
Result<bool> Recorder::take_kind(StoreWriter& store, OpenRun& run, const std::string& kind) {
  if (kind.empty() || kind == run.kind) return false;
  ASSAY_TRY(store.set_kind(run.key, kind));
  run.kind = kind;
  return true;
}

/// True when its findings may be others now. Conflicts stay, whatever comes after them.
Result<bool> Recorder::take_recognition(StoreWriter& store, OpenRun& run,
                                        const ContainerNames& names,
                                        const catalog::Recognition& told) {
  catalog::Recognition now = told;
  if (now.state == catalog::RecognitionState::kUntold) {
    // Names that the kernel agrees with say that its runtime knows it by now.
    const bool is_known_now = !run.rogue.empty() && names.are_confirmed();
    if (!is_known_now && now.conflicts.empty()) return false;
    if (is_known_now) now.state = catalog::RecognitionState::kKnown;
  }
  for (std::string& known : run.identity_conflicts)
    if (now.conflicts.size() < catalog::kMaxIdentityConflicts &&
        std::ranges::find(now.conflicts, known) == now.conflicts.end())
      now.conflicts.push_back(std::move(known));
  ASSAY_TRY(store.set_recognition(run.key, now));
  const bool is_untold = now.state == catalog::RecognitionState::kUntold;
  std::string rogue = is_untold ? run.rogue : now.rogue_reason();
  const bool is_news = run.rogue != rogue || run.identity_conflicts.size() != now.conflicts.size();
  run.rogue = std::move(rogue);
  run.identity_conflicts = std::move(now.conflicts);
  return is_news;
}

/// Unchecked tells nothing new of a run that was looked at before.
Result<void> Recorder::take_view(StoreWriter& store, OpenRun& run, const catalog::View& view) {
  if (view.state == catalog::ViewState::kUnchecked && view.reason.empty()) return ok();
  ASSAY_TRY(store.set_view(run.key, view));
  run.masked = catalog::masked_reason(view);
  return ok();
}

Result<void> Recorder::on(Context& context, const RunViewed& event) {
  ASSAY_ASSIGN(auto run, context.store.find_run(context.node_id, event.run_id));
  if (!run) {
    ++counts_.strays;
    return ok();
  }
  const StackId before = run->stack;
  ASSAY_TRY(take_view(context.store, *run, event.view));
  ASSAY_ASSIGN(const JudgedStack stack,
               event.stack ? stack_of(context, event.stack)
                           : judging_.judged(context.store, run->stack, context.now));
  if (stack.id != before && run->ended_ns == 0) {
    ASSAY_TRY(context.store.move_run(*run, stack.id));
    run->stack = stack.id;
    ASSAY_TRY(judging_.carry_file_set(context.store, before, stack, context.now));
  }
  if (run->stack != stack.id) return ok();  // it ended before it was known
  return judging_.settle(context.store, *run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const StateBegun& /*event*/) {
  reconciler_.begin(context.subject(), context.event_ns);
  return ok();
}

Result<void> Recorder::on(Context& context, const RunPresent& event) {
  StoreWriter& store = context.store;
  ASSAY_ASSIGN(const JudgedStack stack, stack_of(context, event.run.stack));
  ASSAY_ASSIGN(auto run, store.find_run(context.node_id, event.run.run_id));
  const bool is_new = !run;
  const bool is_reopened = run && run->ended_ns != 0;
  if (is_new) {
    RunStarted late = event.run;
    late.is_late = true;  // seen at its start or not: it comes to us after it
    ASSAY_ASSIGN(const auto key, store.add_run({context.node_id, stack.id, &late, false, 0}));
    run = OpenRun{};
    run->key = *key;
    run->node = context.node_id;
    run->run_id = late.run_id;
    run->started_ns = late.started_ns;
    run->kind = late.kind;
  } else {
    if (is_reopened) ASSAY_TRY(store.reopen_run(*run));
    if (run->stack != stack.id) ASSAY_TRY(store.move_run(*run, stack.id));
    const ContainerNames& names = event.run.names;
    if (!names.container_id.empty() || !names.name.empty())
      ASSAY_TRY(store.name_run(run->key, names));
  }
  if (!event.claim_conflicts.empty()) {  // those told before stay
    ASSAY_TRY(store.set_claim_conflicts(run->key, event.claim_conflicts));
    run->claim_conflicts = event.claim_conflicts;
  }
  ASSAY_TRY(take_view(store, *run, event.view));
  // A run of before the agent's restart has no kind of its own in a full state.
  if (event.run.kind == "sandbox") ASSAY_TRY(take_kind(store, *run, event.run.kind));
  ASSAY_TRY(take_recognition(store, *run, event.run.names, event.recognition));
  run->stack = stack.id;
  run->ended_ns = 0;
  run->is_open = true;
  ASSAY_TRY(reconciler_.told(context.subject(), run->key, is_new, is_reopened));
  return judging_.settle(store, *run, stack, context.now);
}

Result<void> Recorder::on(Context& context, const StateCompleted& event) {
  return reconciler_.complete(context.subject(), event);
}

Result<void> Recorder::identity_conflict(StoreWriter& store, const NodeKey& node,
                                         const std::string& reason, WallTime now) {
  ASSAY_ASSIGN(const NodeId id, store.node_id(node));
  ASSAY_ASSIGN(const auto open,
               store.open_node_findings(id, catalog::FindingKind::kIdentityConflict));
  for (const auto& finding : open)
    return change_reason(store, finding, reason, to_unix_ns(now));
  return store.add_finding({new_finding_id(to_unix_ns(now)),
                            catalog::FindingKind::kIdentityConflict, node.text(), reason, "", id,
                            std::nullopt, to_unix_ns(now), 0, ""});
}

Result<void> Recorder::catalog_refused(StoreWriter& store, const NodeKey& node,
                                       std::uint64_t sequence, const std::string& reason,
                                       WallTime now) {
  ASSAY_ASSIGN(const NodeId id, store.node_id(node));
  const std::string subject = std::to_string(sequence);
  const std::string text =
      "the agent refused the catalog at sequence " + subject + ": " + escape_once(reason);
  ASSAY_ASSIGN(const auto open,
               store.open_node_findings(id, catalog::FindingKind::kCatalogRefused));
  for (const auto& finding : open)
    if (finding.subject == subject) return change_reason(store, finding, text, to_unix_ns(now));
  if (open.size() >= kMaxRefusedCatalogs)  // an agent can make up any sequence
    return change_reason(store, open.back(), text, to_unix_ns(now));
  return store.add_finding({new_finding_id(to_unix_ns(now)), catalog::FindingKind::kCatalogRefused,
                            subject, text, "", id, std::nullopt, to_unix_ns(now), 0, ""});
}

Result<std::optional<std::uint64_t>> Recorder::refused_sequence(StoreWriter& store,
                                                                const NodeKey& node) {
  ASSAY_ASSIGN(const NodeId id, store.node_id(node));
  ASSAY_ASSIGN(const auto open,
               store.open_node_findings(id, catalog::FindingKind::kCatalogRefused));
  std::optional<std::uint64_t> highest;
  for (const auto& finding : open) {
    std::uint64_t sequence = 0;
    const char* begin = finding.subject.data();
    std::from_chars(begin, begin + finding.subject.size(), sequence);
    highest = std::max(highest.value_or(0), sequence);
  }
  return highest;
}

Result<void> Recorder::catalog_accepted(StoreWriter& store, const NodeKey& node, WallTime now) {
  ASSAY_ASSIGN(const NodeId id, store.node_id(node));
  ASSAY_ASSIGN(const auto open,
               store.open_node_findings(id, catalog::FindingKind::kCatalogRefused));
  for (const auto& finding : open)
    ASSAY_TRY(store.resolve_finding(finding.key, to_unix_ns(now),
                                    "the agent holds the present catalog now"));
  return ok();
}

}  // namespace assay::collector
