// SPDX-License-Identifier: Apache-2.0
#include "collector/core/policy_trial.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "collector/core/trial_search.h"
#include "common/catalog/contained_verdict.h"
#include "common/catalog/exemption.h"
#include "common/catalog/recognition.h"
#include "common/catalog/sandbox.h"

namespace assay::collector {
namespace {

using catalog::Catalog;
using catalog::FindingCause;
using catalog::Policy;
using catalog::Verdict;

bool has_same_containment(const Policy& a, const Policy& b) {
  return a.contained_share_percent == b.contained_share_percent &&
         a.contained_own_percent == b.contained_own_percent &&
         a.contained_min_files == b.contained_min_files;
}

/// Whether the findings of single runs may differ although their stack's verdict does not.
bool depends_on_runs(const Policy& a, const Policy& b) {
  return a.exemptions != b.exemptions || a.pending_deadline != b.pending_deadline ||
         a.sandbox != b.sandbox || a.reports_rogue != b.reports_rogue;
}

class Trial {
 public:
  /// `search`: over the bases' files, where `after` looks for other shares of them than `before`.
  Trial(const Catalog& before, const Catalog& after, catalog::ScanSummaries scans,
        std::optional<TrialSearch> search, WallTime now)
      : before_(before),
        after_(after),
        scans_(std::move(scans)),
        search_(std::move(search)),
        now_(now),
        looks_at_runs_(depends_on_runs(before.policy(), after.policy())) {}

  Result<void> visit(const RunningStack& stack, const Store::StackReader& reader) {
    view_.running += stack.running;
    const Verdict before = judge_by(stack, before_);
    ASSAY_ASSIGN(const Verdict after, search_ ? search_and_judge(stack, reader)
                                              : Result<Verdict>(judge_by(stack, after_)));
    const bool is_other = before.status != after.status;
    if (is_other) view_.changed += stack.running;
    if (!looks_at_runs_ && before.status == after.status && before.matches == after.matches)
      return ok();
    ASSAY_ASSIGN(const auto runs, reader.runs());
    for (const RunningRun& run : runs) {
      compare_findings(causes_of(stack, before, before_.policy(), run),
                       causes_of(stack, after, after_.policy(), run));
      if (is_other) count(stack, run, before, after);
    }
    return ok();
  }

  TrialView finish() && {
    for (auto& [key, group] : groups_) {
      group.first.nodes = group.second.size();
      view_.groups.push_back(std::move(group.first));
    }
    std::ranges::stable_sort(view_.groups, std::ranges::greater(), &TrialGroup::running);
    if (view_.groups.size() > kMaxTrialRows) view_.groups.resize(kMaxTrialRows);
    for (auto& [key, finding] : findings_)
      view_.findings.push_back(std::move(finding));
    return std::move(view_);
  }

 private:
  /// By what was found in the stack's files.
  Verdict judge_by(const RunningStack& stack, const Catalog& catalog) const {
    Verdict verdict = catalog::judge(stack.stack, catalog, now_, &scans_);
    if (stack.containment && stack.containment->found.files != 0 &&
        catalog::wanted_file_set(verdict, stack.stack))
      catalog::add_containment(verdict, stack.containment->found, catalog, now_, &scans_);
    return verdict;
  }

  /// By what the other thresholds find in them.
  Result<Verdict> search_and_judge(const RunningStack& stack, const Store::StackReader& reader) {
    Verdict verdict = catalog::judge(stack.stack, after_, now_, &scans_);
    const auto from = catalog::wanted_file_set(verdict, stack.stack);
    if (!stack.containment || !from) return verdict;
    ASSAY_ASSIGN(const std::string files, reader.files());
    if (files.empty() || stack.containment->first_layer > *from) {
      ++view_.not_searched;
      return verdict;
    }
    ASSAY_ASSIGN(const catalog::Containment found, search_->find(files, verdict, after_.policy()));
    if (found.files != 0) catalog::add_containment(verdict, found, after_, now_, &scans_);
    return verdict;
  }

  std::vector<FindingCause> causes_of(const RunningStack& stack, const Verdict& verdict,
                                      const Policy& policy, const RunningRun& run) const {
    const bool is_overdue = from_unix_ns(run.started_ns) + policy.pending_deadline <= now_;
    auto causes = catalog::causes_of(verdict, stack.stack, is_overdue);
    if (policy.reports_rogue)
      for (FindingCause& cause : catalog::causes_of_recognition(run.rogue, {}))
        causes.push_back(std::move(cause));
    ContainerNames names = run.names;
    if (run.has_conflicts) names.is_bound_to_kernel = false;
    (void)catalog::apply_sandbox_rule(policy, run.kind, names, verdict, causes);
    if (!catalog::may_be_exempt(policy, causes, now_)) return causes;
    std::erase_if(causes, [&](const FindingCause& cause) {
      return catalog::exemption_for(policy, cause, names, now_).exemption != nullptr;
    });
    return causes;
  }

  void compare_findings(const std::vector<FindingCause>& before,
                        const std::vector<FindingCause>& after) {
    const auto has = [](const std::vector<FindingCause>& causes, const FindingCause& wanted) {
      return std::ranges::any_of(causes, [&](const FindingCause& cause) {
        return cause.kind == wanted.kind && cause.subject == wanted.subject;
      });
    };
    for (const FindingCause& cause : after)
      if (!has(before, cause)) ++finding_of(cause).opened;
    for (const FindingCause& cause : before)
      if (!has(after, cause)) ++finding_of(cause).resolved;
  }

  TrialFinding& finding_of(const FindingCause& cause) {
    TrialFinding& finding = findings_[{cause.kind, cause.subject}];
    finding.kind = cause.kind;
    finding.base = cause.subject;
    return finding;
  }

  void count(const RunningStack& stack, const RunningRun& run, const Verdict& before,
             const Verdict& after) {
    const std::string base = after.base_name().empty() ? before.base_name() : after.base_name();
    auto& [group, nodes] = groups_[{before.status, after.status, base, run.names.pod_namespace}];
    if (group.running++ == 0)
      group = {before.status, after.status, base, run.names.pod_namespace, 1, 0, after.reason};
    nodes.insert(stack.node);
    if (view_.runs.size() < kMaxTrialRows)
      view_.runs.push_back(
          {stack.node, run.run_id, run.names, before.status, after.status, after.reason});
  }

  const Catalog& before_;
  const Catalog& after_;
  const catalog::ScanSummaries scans_;
  std::optional<TrialSearch> search_;
  const WallTime now_;
  const bool looks_at_runs_;
  TrialView view_;
  using GroupKey =
      std::tuple<catalog::VerdictStatus, catalog::VerdictStatus, std::string, std::string>;
  std::map<GroupKey, std::pair<TrialGroup, std::set<NodeKey>>> groups_;
  std::map<std::pair<catalog::FindingKind, std::string>, TrialFinding> findings_;
};

}  // namespace

Result<TrialView> try_policy(Store& store, const Catalog& catalog, const Policy& policy,
                             WallTime now) {
  const Catalog other = catalog.with_policy(policy);
  ASSAY_ASSIGN(catalog::ScanSummaries scans, store.latest_scans());
  std::optional<TrialSearch> search;
  if (!has_same_containment(catalog.policy(), policy)) {
    ASSAY_ASSIGN(search, TrialSearch::over(store, catalog));
  }
  Trial trial(catalog, other, std::move(scans), std::move(search), now);
  ASSAY_TRY(store.visit_running([&](const RunningStack& stack, const Store::StackReader& reader) {
    return trial.visit(stack, reader);
  }));
  return std::move(trial).finish();
}

}  // namespace assay::collector
