// SPDX-License-Identifier: Apache-2.0
// What running containers see of their bases: when it is looked at, and what follows.
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxPlans = 10'000;
constexpr std::size_t kMinIdPrefix = 12;  // as in `assay trace`
constexpr const char* kNotNow = "an earlier look found it; the last one found nothing masked";

bool answers_to(const RunId& id, const ContainerNames& names, const std::string& target) {
  if (target.empty() || id == target) return true;
  if (!names.name.empty() && names.name == target) return true;
  return names.container_id == target ||
         (target.size() >= kMinIdPrefix && names.container_id.starts_with(target));
}

/// With metacopy an inode number says nothing of whose bytes are served.
bool can_lift(const OverlayOptions& overlay) {
  return !overlay.metacopy && overlay.data_only_layers == 0;
}

bool is_same_but_time(catalog::View a, const catalog::View& b) {
  a.checked = b.checked;
  return a == b;
}

}  // namespace

const catalog::ViewPlan& Auditor::view_plan(const StackDigest& stack) {
  if (view_plans_.size() >= kMaxPlans) view_plans_.clear();
  const auto [position, is_new] = view_plans_.try_emplace(stack);
  if (is_new) position->second = catalog::plan_view(*stacks_.find(stack)->stack, *catalog_);
  return position->second;
}

void Auditor::consider_view(const RunKey& key, Run& run) {
  if (ports_.views == nullptr || run.look.is_waiting || run.told.kind == RunKind::kHostRoot) return;
  const catalog::ViewPlan& plan = view_plan(run.stack);
  const bool is_due = !run.look.asked || (plan.layers != 0 && *run.look.asked != plan);
  if (is_due) ask_for_view(key, run);
}

void Auditor::consider_views() {
  view_plans_.clear();
  if (ports_.views == nullptr) return;
  for (auto& [key, run] : runs_)
    consider_view(key, run);
}

void Auditor::ask_for_view(const RunKey& key, Run& run) {
  const StackTracker::Entry& entry = *stacks_.find(run.stack);
  ViewTask task;
  task.run_id = run.id;
  task.key = key;
  task.plan = view_plan(run.stack);
  task.layers = tasks_of(run.stack, entry);
  if (task.layers.empty()) return;  // nothing to compare with
  for (const catalog::StackLayer& layer : entry.stack->layers)
    task.is_injected.push_back(layer.is_injected);
  if (run.facts) {
    task.start = *run.facts;
  } else {
    task.start = task.layers.front().start;  // of the mount: another run's process
    task.start.cgroup_path.clear();
  }
  task.start.key = key;
  task.start.process.key = run.first_process;
  run.look.asked = task.plan;
  run.look.is_waiting = true;
  run.look.can_lift = can_lift(task.start.overlay);
  ports_.views->check(std::move(task), ports_.post_view);
}

void Auditor::on_view(const ViewReport& report) {
  const auto found = runs_.find(report.key);
  if (found == runs_.end() || found->second.id != report.run_id) return;
  Run& run = found->second;
  run.look.is_waiting = false;
  if (std::exchange(run.look.is_again, false)) return look_for_answers(report.key, run);
  take_view(run, report);
  for (const ViewAnswer& answer : std::exchange(run.look.answers, {}))
    answer(run.id, report.view);
  consider_view(report.key, run);
}

void Auditor::take_view(Run& run, const ViewReport& report) {
  catalog::View view = report.view;
  catalog::View& known = run.look.view;
  const bool was_masked = stacks_.find(run.stack)->stack->is_masked;
  if (view.state == catalog::ViewState::kUnchecked) {
    // A storm of short-lived containers does not become twice as many events.
    if (report.is_gone || report.is_refused || known.state != catalog::ViewState::kUnchecked ||
        was_masked)
      return;
    if (report.plan.layers == 0) return;  // the whole look is still to come
  } else if (view.state == catalog::ViewState::kAgrees) {
    // What was masked may have been run: that stays said.
    if (was_masked && known.state != catalog::ViewState::kDiffers) return;
    if (known.state == catalog::ViewState::kDiffers) {
      view = known;
      view.reason = kNotNow;
    }
  }
  const StackDigest before = run.stack;
  place_by_view(run, report);
  const bool is_news = !is_same_but_time(known, view);
  known = std::move(view);
  if (run.stack == before && !is_news) return;
  RunViewed event{run.id, known, std::nullopt};
  if (run.stack != before) event.stack = run.stack;
  ports_.journal.record(std::move(event), event.stack ? stacks_.find(run.stack)->stack : nullptr);
}

/// Moves the run to the stack that says what was seen of it.
void Auditor::place_by_view(Run& run, const ViewReport& report) {
  const catalog::Stack& stack = *stacks_.find(run.stack)->stack;
  const bool is_masked = stack.is_masked || report.view.is_masked_by_run();
  const bool is_lifted =
      !is_masked && report.plan.is_lift_wanted && run.look.can_lift && report.view.is_whole();
  const auto seen = is_lifted ? static_cast<std::uint32_t>(report.plan.layers) : 0U;
  if (is_masked == stack.is_masked && seen == stack.seen_layers) return;
  const std::vector<LayerTask> tasks = places_.find(run.stack);
  run.stack = stacks_.move_run(run.stack, seen, is_masked);
  if (!tasks.empty()) places_.put(run.stack, tasks);
}

std::size_t Auditor::check_views(const std::string& target, const ViewAnswer& answer) {
  std::size_t asked = 0;
  for (auto& [key, run] : runs_) {
    if (!answers_to(run.id, run.told.names, target)) continue;
    ++asked;
    if (answer) run.look.answers.push_back(answer);
    if (run.look.is_waiting) {
      run.look.is_again = true;  // it may have looked there already
      continue;
    }
    look_for_answers(key, run);
  }
  return asked;
}

void Auditor::look_for_answers(const RunKey& key, Run& run) {
  if (ports_.views != nullptr) ask_for_view(key, run);
  if (!run.look.is_waiting) answer_unchecked(run, "its layers are not known");
}

void Auditor::answer_unchecked(Run& run, const char* reason) {
  catalog::View view;
  view.reason = reason;
  for (const ViewAnswer& answer : std::exchange(run.look.answers, {}))
    answer(run.id, view);
}

}  // namespace assay::agent
