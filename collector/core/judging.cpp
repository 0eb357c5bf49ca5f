// SPDX-License-Identifier: Apache-2.0
#include "collector/core/judging.h"

#include <sys/random.h>

#include <algorithm>

#include "collector/core/triage.h"
#include "common/base/encoding.h"
#include "common/catalog/exemption.h"
#include "common/catalog/judge.h"
#include "common/catalog/recognition.h"
#include "common/catalog/sandbox.h"

namespace assay::collector {
namespace {

constexpr int kStacksPerLook = 1024;
constexpr int kRunsPerSearch = 50;  // a search in a file set takes as long as settling so many

catalog::Verdict undescribed_verdict(std::uint64_t sequence) {
  catalog::Verdict verdict;
  verdict.status = catalog::VerdictStatus::kPending;
  verdict.reason = "the node has not described this stack yet";
  verdict.catalog_sequence = sequence;
  return verdict;
}

bool same_but_sequence(catalog::Verdict a, const catalog::Verdict& b) {
  a.catalog_sequence = b.catalog_sequence;
  return a == b;
}

std::string base_of(const catalog::FindingCause& cause, const catalog::Verdict& verdict) {
  for (const auto& match : verdict.matches)
    if (match.base.text() == cause.subject) return cause.subject;
  return verdict.base_name();
}

std::string resolution(const catalog::Verdict& verdict) {
  std::string text = "the verdict is " + std::string(catalog::to_string(verdict.status)) + " now";
  if (const std::string base = verdict.base_name(); !base.empty()) text += " (" + base + ")";
  return text;
}

/// The same directories, known to the same content.
bool has_same_bytes(const catalog::Stack& a, const catalog::Stack& b) {
  return std::ranges::equal(
      a.layers, b.layers, [](const catalog::StackLayer& one, const catalog::StackLayer& other) {
        return one.instance == other.instance && one.evidence.content == other.evidence.content;
      });
}

}  // namespace

bool is_judged_kind(catalog::FindingKind kind) {
  using enum catalog::FindingKind;
  return kind == kUnknownBase || kind == kDeprecatedBase || kind == kRevokedBase ||
         kind == kExpiredBase || kind == kUnverified || kind == kMismatch || kind == kTampered ||
         kind == kMaskedBase || kind == kUnsupportedRoot || kind == kRogue ||
         kind == kIdentityConflict;
}

bool resolves_by_itself(catalog::FindingKind kind) {
  return kind != catalog::FindingKind::kMismatch && kind != catalog::FindingKind::kTampered &&
         kind != catalog::FindingKind::kIdentityConflict &&
         kind != catalog::FindingKind::kForeignExecutable;
}

std::string new_finding_id(std::int64_t opened_ns) {
  char bytes[16] = {};
  ASSAY_ASSERT(::getrandom(bytes, sizeof(bytes), 0) == static_cast<ssize_t>(sizeof(bytes)));
  // Time first, so that an index on ids grows at its end.
  for (std::size_t i = 0; i < sizeof(opened_ns); ++i)
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(opened_ns) >> (8 * (7 - i)));
  return to_hex({bytes, sizeof(bytes)});
}

Judging::Judging(std::shared_ptr<const catalog::Catalog> catalog, const JudgingRound& round,
                 catalog::ScanSummaries scans, const Limits& limits)
    : catalog_(std::move(catalog)),
      round_(round),
      scans_(std::move(scans)),
      max_runs_(std::max(limits.max_runs, 1)),
      max_remembered_(limits.max_remembered) {}

void Judging::begin_round(std::shared_ptr<const catalog::Catalog> catalog,
                          const JudgingRound& round) {
  catalog_ = std::move(catalog);
  begin_round(round);
}

void Judging::begin_round(const JudgingRound& round) {
  round_ = round;
  forget();
}

void Judging::forget() {
  ids_.clear();
  stacks_.clear();
  by_evidence_.clear();
}

void Judging::remember(const JudgedStack& stack) {
  if (stacks_.size() >= max_remembered_) forget();
  stacks_.insert_or_assign(stack.id, stack);
}

Result<JudgedStack> Judging::judged(StoreWriter& store, NodeId node, const StackDigest& digest,
                                    WallTime now) {
  const StackName name{node, digest};
  if (const auto known = ids_.find(name); known != ids_.end())
    return judged(store, known->second, now);
  ASSAY_ASSIGN(auto row, store.find_stack(node, digest));
  if (!row) {
    ASSAY_ASSIGN(const StackId id, store.add_stack(node, digest));
    row = StackRow{id, false, 0, {}};
  }
  ASSAY_ASSIGN(JudgedStack stack, judge(store, *row, now, nullptr));
  if (ids_.size() >= max_remembered_) forget();
  ids_.emplace(name, stack.id);
  return stack;
}

Result<JudgedStack> Judging::judged(StoreWriter& store, StackId id, WallTime now) {
  if (const auto known = stacks_.find(id); known != stacks_.end()) return known->second;
  ASSAY_ASSIGN(const StackRow row, store.stack_row(id));
  return judge(store, row, now, nullptr);
}

Result<Judging::LayerVerdict> Judging::judge_layers(StoreWriter& store, const StackRow& row,
                                                    WallTime now) {
  if (row.evidence) {
    const auto known = by_evidence_.find(*row.evidence);
    if (known != by_evidence_.end()) return known->second;
  }
  ASSAY_ASSIGN(catalog::Stack stack, store.load_stack(row.id));
  LayerVerdict judged{std::make_shared<const catalog::Stack>(std::move(stack)), {}};
  judged.verdict = catalog::judge(*judged.stack, *catalog_, now, &scans_);
  if (!row.evidence) return judged;
  if (by_evidence_.size() >= max_remembered_) by_evidence_.clear();
  by_evidence_.emplace(*row.evidence, judged);
  return judged;
}

/// `runs`: how many were settled is added to it; such a stack comes once and is not remembered.
Result<JudgedStack> Judging::judge(StoreWriter& store, const StackRow& row, WallTime now,
                                   int* runs) {
  JudgedStack judged{row.id, row.is_described, nullptr, row.verdict, row.file_set};
  if (!row.is_described) {
    // Not remembered: its description may come with the next message.
    judged.stack = std::make_shared<const catalog::Stack>();
    judged.verdict = undescribed_verdict(catalog_->sequence());
    return judged;
  }
  ASSAY_ASSIGN(LayerVerdict by_layers, judge_layers(store, row, now));
  judged.stack = std::move(by_layers.stack);
  catalog::Verdict verdict = std::move(by_layers.verdict);
  if (row.judged_round >= round_.round) {
    if (runs == nullptr) remember(judged);
    return judged;
  }
  ASSAY_ASSIGN(judged.file_set,
               containing_.look(store, {row, *judged.stack, *catalog_, now, &scans_}, verdict));
  const bool is_same = row.judged_round != 0 && same_but_sequence(row.verdict, verdict);
  judged.verdict = std::move(verdict);
  if (is_same) {
    ASSAY_TRY(store.confirm_verdict(row.id, catalog_->sequence(), round_.round));
    ASSAY_ASSIGN(const bool may_change, may_change_exemptions(store, judged));
    if (may_change) {
      ASSAY_ASSIGN(const int settled, settle_all(store, judged, now));
      if (runs != nullptr) *runs += settled;
    }
  } else {
    ASSAY_TRY(store.set_verdict(row, judged.verdict, round_.round));
    ASSAY_ASSIGN(const int settled, settle_all(store, judged, now));
    if (runs != nullptr) *runs += settled;
  }
  if (runs == nullptr) remember(judged);
  return judged;
}

Result<StackDigest> Judging::describe(StoreWriter& store, NodeId node, const catalog::Stack& stack,
                                      WallTime now) {
  const StackDigest digest = catalog::digest_of(stack);
  const StackName name{node, digest};
  if (const auto known = ids_.find(name); known != ids_.end() && stacks_.contains(known->second))
    return digest;  // remembered stacks are described ones
  ASSAY_ASSIGN(auto row, store.find_stack(node, digest));
  if (!row) {
    ASSAY_ASSIGN(const StackId id, store.add_stack(node, digest));
    row = StackRow{id, false, 0, {}};
  }
  if (row->is_described) return digest;
  ASSAY_TRY(store.describe_stack(row->id, node, stack));
  row->is_described = true;
  row->evidence = catalog::evidence_digest_of(stack);
  ASSAY_TRY(judge(store, *row, now, nullptr));
  return digest;
}

Result<void> Judging::take_file_set(StoreWriter& store, NodeId node, const FileSetAnswer& answer,
                                    WallTime now) {
  ASSAY_ASSIGN(auto row, store.find_stack(node, answer.stack));
  if (!row || row->file_set != FileSetState::kWanted || answer.first_layer > row->file_set_from)
    return ok();
  return save_file_set(store, row->id, answer, now);
}

Result<void> Judging::save_file_set(StoreWriter& store, StackId id, const FileSetAnswer& answer,
                                    WallTime now) {
  ASSAY_TRY(store.save_file_set(id, answer));
  stacks_.erase(id);
  ASSAY_ASSIGN(StackRow row, store.stack_row(id));
  row.judged_round = 0;  // judged already, but without them
  ASSAY_TRY(judge(store, row, now, nullptr));
  return ok();
}

Result<void> Judging::carry_file_set(StoreWriter& store, StackId from, const JudgedStack& to,
                                     WallTime now) {
  if (to.file_set != FileSetState::kWanted) return ok();
  ASSAY_ASSIGN(const StackRow before, store.stack_row(from));
  ASSAY_ASSIGN(const StackRow after, store.stack_row(to.id));
  if (before.file_set != FileSetState::kThere || before.file_set_from > after.file_set_from)
    return ok();
  ASSAY_ASSIGN(const catalog::Stack told, store.load_stack(from));
  ASSAY_ASSIGN(const catalog::Stack now_told, store.load_stack(to.id));
  if (!has_same_bytes(told, now_told)) return ok();
  ASSAY_ASSIGN(const auto saved, store.find_file_set(from));
  return saved ? save_file_set(store, to.id, *saved, now) : ok();
}

bool Judging::is_by_scans(const JudgedStack& stack, WallTime now) const {
  if (!catalog_->policy().has_scan_rules()) return false;
  const auto without = catalog::judge(*stack.stack, *catalog_, now);
  return without.status != catalog::judge(*stack.stack, *catalog_, now, &scans_).status;
}

Result<void> Judging::want_again(StoreWriter& store, const JudgedStack& stack) {
  if (stack.file_set != FileSetState::kGone) return ok();
  ASSAY_ASSIGN(const StackRow row, store.stack_row(stack.id));
  stacks_.erase(stack.id);
  return store.set_file_set_state(stack.id, FileSetState::kWanted, row.file_set_from);
}

/// The same verdict on the same runs, but an exemption may have come, gone or ended, or what the
/// policy says of sandboxes or of rogue containers.
Result<bool> Judging::may_change_exemptions(StoreWriter& store, const JudgedStack& stack) {
  const auto& exemptions = catalog_->policy().exemptions;
  const bool is_named = std::ranges::any_of(stack.verdict.matches, [&](const auto& match) {
    return std::ranges::any_of(exemptions, [&](const catalog::Exemption& exemption) {
      return exemption.base == match.base.text() || exemption.base == match.base.name;
    });
  });
  if (is_named) return true;
  return store.has_ruled_runs(stack.id);
}

/// A cause that an exemption keeps from being a finding.
struct ExemptedCause {
  catalog::FindingCause cause;
  std::string text;
};

struct Judging::Settlement {
  OpenRun run;
  const catalog::Verdict& verdict;
  std::int64_t now_ns = 0;
  std::vector<catalog::FindingCause> wanted;
  std::vector<OpenFinding> open;
  bool is_ended = false;
  bool is_described = false;
  std::vector<ExemptedCause> exempted = {};

  const OpenFinding* find_open(const catalog::FindingCause& cause) const {
    for (const auto& finding : open)
      if (finding.kind == cause.kind && finding.subject == cause.subject) return &finding;
    return nullptr;
  }
  bool is_wanted(const OpenFinding& finding) const {
    return std::any_of(wanted.begin(), wanted.end(), [&](const catalog::FindingCause& cause) {
      return cause.kind == finding.kind && cause.subject == finding.subject;
    });
  }
  const ExemptedCause* find_exempted(const OpenFinding& finding) const {
    for (const auto& one : exempted)
      if (one.cause.kind == finding.kind && one.cause.subject == finding.subject) return &one;
    return nullptr;
  }
  /// Something was found that keeps the verdict pending for good.
  bool is_settled_badly() const {
    return std::ranges::any_of(wanted, [](const catalog::FindingCause& cause) {
      return cause.kind == catalog::FindingKind::kTampered ||
             cause.kind == catalog::FindingKind::kMaskedBase;
    });
  }
  /// Of a run that ended only what a person must still look into stays open.
  bool outlives_run(catalog::FindingKind kind) const {
    return kind == catalog::FindingKind::kUnverified || !resolves_by_itself(kind);
  }
};

Result<void> Judging::settle(StoreWriter& store, OpenRun run, const JudgedStack& stack,
                             WallTime now) {
  const bool is_pending = stack.verdict.status == catalog::VerdictStatus::kPending;
  const OpenRun before = run;
  Settlement settlement{run, stack.verdict,     to_unix_ns(now),   {},
                        {},  run.ended_ns != 0, stack.is_described};
  // A node's clock may run ahead: a deadline is never farther away than the policy's own length,
  // and does not move away while it is waited for.
  const std::int64_t start_ns = std::min(run.started_ns, settlement.now_ns);
  std::int64_t deadline_ns =
      start_ns + std::chrono::nanoseconds(catalog_->policy().pending_deadline).count();
  if (run.overdue_at_ns != 0) deadline_ns = std::min(deadline_ns, run.overdue_at_ns);
  const bool is_overdue = settlement.is_ended || settlement.now_ns >= deadline_ns;
  settlement.wanted = catalog::causes_of(stack.verdict, *stack.stack, is_overdue);
  for (auto& cause : catalog::causes_of_conflicts(run.claim_conflicts))
    settlement.wanted.push_back(std::move(cause));
  for (auto& cause : catalog::causes_of_masking(run.masked, stack.verdict))
    settlement.wanted.push_back(std::move(cause));
  const bool is_rogue = !run.rogue.empty() && catalog_->policy().reports_rogue;
  for (auto& cause :
       catalog::causes_of_recognition(is_rogue ? run.rogue : "", run.identity_conflicts))
    settlement.wanted.push_back(std::move(cause));
  ASSAY_TRY(take_sandbox_rule(store, settlement));
  if (catalog::may_be_exempt(catalog_->policy(), settlement.wanted, now))
    ASSAY_TRY(take_exemptions(store, settlement, now));
  ASSAY_ASSIGN(settlement.open, store.open_findings(run.key));
  ASSAY_TRY(resolve_unwanted(store, settlement));
  ASSAY_TRY(open_wanted(store, settlement));
  ASSAY_TRY(note_exempted(store, settlement));
  run.exemption = settlement.exempted.empty() ? "" : settlement.exempted.front().text;
  run.is_overdue = is_pending && is_overdue;
  run.overdue_at_ns = is_pending && !is_overdue ? deadline_ns : 0;
  // What was tampered with or masked stays pending: of a run that ended there is nothing left to
  // wait for.
  run.is_open = !settlement.is_ended || (is_pending && !settlement.is_settled_badly());
  if (run.is_open == before.is_open && run.is_overdue == before.is_overdue &&
      run.overdue_at_ns == before.overdue_at_ns && run.exemption == before.exemption)
    return ok();
  return store.set_run_state(run);
}

Result<void> Judging::take_sandbox_rule(StoreWriter& store, Settlement& settlement) {
  const catalog::Policy& policy = catalog_->policy();
  if (settlement.run.kind != catalog::kSandboxKind || policy.sandbox == catalog::SandboxRule{})
    return ok();
  ASSAY_ASSIGN(ContainerNames names, store.run_names(settlement.run.key));
  if (settlement.run.is_contradicted()) names.is_bound_to_kernel = false;
  auto outcome = catalog::apply_sandbox_rule(policy, settlement.run.kind, names, settlement.verdict,
                                             settlement.wanted);
  for (auto& cause : outcome.accepted)
    settlement.exempted.push_back({std::move(cause), outcome.text});
  return ok();
}

Result<void> Judging::take_exemptions(StoreWriter& store, Settlement& settlement, WallTime now) {
  ASSAY_ASSIGN(ContainerNames names, store.run_names(settlement.run.key));
  if (settlement.run.is_contradicted()) names.is_bound_to_kernel = false;
  std::vector<catalog::FindingCause> left;
  for (auto& cause : settlement.wanted) {
    const auto outcome = catalog::exemption_for(catalog_->policy(), cause, names, now);
    if (outcome.exemption != nullptr) {
      settlement.exempted.push_back(
          {std::move(cause), catalog::exemption_text(*outcome.exemption)});
      continue;
    }
    if (outcome.is_unconfirmed)
      cause.reason += "; an exemption names this container, but nothing confirms its names";
    left.push_back(std::move(cause));
  }
  settlement.wanted = std::move(left);
  return ok();
}

/// What was exempt from the first moment is in the history all the same: once.
Result<void> Judging::note_exempted(StoreWriter& store, const Settlement& settlement) {
  for (const auto& [cause, text] : settlement.exempted) {
    ASSAY_ASSIGN(const bool had, store.had_finding(settlement.run.key, cause.kind, cause.subject));
    if (had) continue;
    ASSAY_TRY(
        store.add_finding({new_finding_id(settlement.now_ns), cause.kind, cause.subject,
                           cause.reason, base_of(cause, settlement.verdict), settlement.run.node,
                           settlement.run.key, settlement.now_ns, settlement.now_ns, text}));
  }
  return ok();
}

Result<void> Judging::open_wanted(StoreWriter& store, Settlement& settlement) {
  for (const auto& cause : settlement.wanted) {
    const OpenFinding* open = settlement.find_open(cause);
    if (open != nullptr) {
      ASSAY_TRY(follow_verdict(store, *open, settlement.verdict, settlement.now_ns));
      if (open->reason != cause.reason)
        ASSAY_TRY(change_reason(store, *open, cause.reason, settlement.now_ns));
      continue;
    }
    NewFinding finding{new_finding_id(settlement.now_ns),
                       cause.kind,
                       cause.subject,
                       cause.reason,
                       base_of(cause, settlement.verdict),
                       settlement.run.node,
                       settlement.run.key,
                       settlement.now_ns,
                       0,
                       ""};
    if (settlement.is_ended && !settlement.outlives_run(cause.kind)) {
      // Known only after the end: history keeps it, nobody has to act on it.
      ASSAY_ASSIGN(const bool had,
                   store.had_finding(settlement.run.key, cause.kind, cause.subject));
      if (had) continue;
      finding.resolved_ns = settlement.now_ns;
      finding.resolved_reason = "the run had ended";
    }
    ASSAY_TRY(store.add_finding(finding));
  }
  return ok();
}

Result<void> Judging::resolve_unwanted(StoreWriter& store, Settlement& settlement) {
  for (const auto& finding : settlement.open) {
    const bool is_over = settlement.is_ended && !settlement.outlives_run(finding.kind);
    // Of an undescribed stack nothing is known: that resolves nothing.
    const bool is_gone = settlement.is_described && is_judged_kind(finding.kind) &&
                         resolves_by_itself(finding.kind) && !settlement.is_wanted(finding);
    if (!is_over && !is_gone) continue;
    const ExemptedCause* exempted = settlement.find_exempted(finding);
    std::string why = exempted != nullptr ? exempted->text : resolution(settlement.verdict);
    if (is_over) why = "the run ended";
    ASSAY_TRY(store.resolve_finding(finding.key, settlement.now_ns, why));
  }
  return ok();
}

Result<int> Judging::settle_all(StoreWriter& store, const JudgedStack& stack, WallTime now) {
  return settle_after(store, stack, RunKey{}, now);
}

/// What is left is written down in the same transaction, so that a crash loses no run.
Result<int> Judging::settle_after(StoreWriter& store, const JudgedStack& stack, RunKey after,
                                  WallTime now) {
  ASSAY_ASSIGN(const auto runs, store.open_runs_on(stack.id, after, max_runs_));
  for (const auto& run : runs)
    ASSAY_TRY(settle(store, run, stack, now));
  std::optional<RunKey> last;
  if (static_cast<int>(runs.size()) == max_runs_) {
    last = runs.back().key;
    has_unsettled_ = true;
  }
  ASSAY_TRY(store.set_unsettled(stack.id, last));
  return static_cast<int>(runs.size());
}

Result<int> Judging::settle_left(StoreWriter& store, int max_runs, WallTime now) {
  if (!has_unsettled_) return 0;
  ASSAY_ASSIGN(const auto stacks, store.unsettled_stacks(kStacksPerLook));
  int runs = 0;
  for (const auto& left : stacks) {
    ASSAY_ASSIGN(const StackRow row, store.stack_row(left.id));
    int settled = 0;  // by a new verdict of this round: then the runs began again
    ASSAY_ASSIGN(const JudgedStack stack, judge(store, row, now, &settled));
    if (settled == 0) {
      ASSAY_ASSIGN(settled, settle_after(store, stack, left.after, now));
    }
    runs += std::max(settled, 1);
    if (runs >= max_runs) break;
  }
  if (stacks.empty()) has_unsettled_ = false;
  return runs;
}

Result<bool> Judging::judge_some(StoreWriter& store, int max_runs, WallTime now) {
  ASSAY_ASSIGN(int runs, settle_left(store, max_runs, now));
  const bool had_left = runs != 0;
  if (runs >= max_runs) return true;
  ASSAY_ASSIGN(const auto stacks, store.stacks_to_judge(round_.round, kStacksPerLook));
  for (const StackId id : stacks) {
    ASSAY_ASSIGN(const StackRow row, store.stack_row(id));
    ASSAY_TRY(judge(store, row, now, &runs));
    runs += kRunsPerSearch * containing_.take_searches();
    if (runs >= max_runs) break;
  }
  return had_left || !stacks.empty();
}

Result<bool> Judging::settle_overdue(StoreWriter& store, int max_runs, WallTime now) {
  ASSAY_ASSIGN(const auto runs, store.overdue_runs(to_unix_ns(now), max_runs));
  for (const auto& run : runs) {
    ASSAY_ASSIGN(const JudgedStack stack, judged(store, run.stack, now));
    ASSAY_TRY(settle(store, run, stack, now));
  }
  return !runs.empty();
}

}  // namespace assay::collector
