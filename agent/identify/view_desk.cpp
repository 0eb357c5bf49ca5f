// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/view_desk.h"

#include <algorithm>
#include <utility>

#include "agent/identify/layer_dialect.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxWaiting = 4096;  // runs; more are looked at on demand
constexpr std::size_t kMaxReasonBytes = 200;

ViewReport unchecked(const ViewTask& task, const Error& error) {
  ViewReport report{task.run_id, task.key, task.plan, {}};
  report.is_gone = error.code == ErrorCode::kNotFound;
  report.view.reason = escape_untrusted(error.text(), kMaxReasonBytes);
  return report;
}

/// The upper directory, in the terms in which layers are opened: it lies beside them, as a rule.
std::optional<LowerLayer> upper_of(const ViewTask& task) {
  const RootIdentity& root = task.key.root;
  const bool can_be_proven = task.start.is_overlay && root.generation != 0 && !task.layers.empty();
  if (!can_be_proven) return std::nullopt;
  LowerLayer upper;
  upper.device = task.layers.back().layer.device;
  upper.magic = task.layers.back().layer.magic;
  upper.inode = root.inode;
  upper.generation = root.generation;
  return upper;
}

bool is_one_device(const std::vector<LayerTask>& layers) {
  return std::all_of(layers.begin(), layers.end(), [&](const LayerTask& task) {
    return task.layer.device == layers.front().layer.device;
  });
}

}  // namespace

struct ViewDesk::Opened {
  std::vector<std::unique_ptr<Layer>> held;
  std::unique_ptr<Layer> upper;
  std::vector<SeenLayer> layers;
};

ViewDesk::ViewDesk(Ports ports, const ViewLimits& limits)
    : ports_(ports),
      limits_(limits),
      worker_("assay-view", 1, WorkerPriority::kIdle, kMaxWaiting) {}

ViewDesk::~ViewDesk() = default;

void ViewDesk::check(ViewTask task, Callback on_report) {
  waiting_.fetch_add(1);
  // Shared, so that a full queue can still be answered.
  const auto shared = std::make_shared<std::pair<ViewTask, Callback>>(std::move(task), on_report);
  const bool is_taken = worker_.try_submit([this, shared](const std::stop_token& stop) {
    look(shared->first, shared->second, stop);
    waiting_.fetch_sub(1);
  });
  if (is_taken) return;
  waiting_.fetch_sub(1);
  ViewReport refused =
      unchecked(shared->first, {ErrorCode::kLimitExceeded, "too many containers wait"});
  refused.is_refused = true;
  on_report(std::move(refused));
}

void ViewDesk::look(const ViewTask& task, const Callback& on_report, const std::stop_token& stop) {
  pacer_.wait_for_turn(stop);
  if (stop.stop_requested()) return;
  const auto began = std::chrono::steady_clock::now();
  ViewReport report{task.run_id, task.key, task.plan, {}};
  pacer_.run([&] {
    auto root = ports_.roots.open(task.start);
    if (!root) {
      report = unchecked(task, root.error());
      return;
    }
    auto view = look_into(task, **root, stop);
    // Of a container that was taken down meanwhile nothing is known: its files went one by one.
    const auto still_there = (*root)->check();
    if (!still_there)
      report = unchecked(task, still_there.error());
    else if (!view)
      report = unchecked(task, view.error());
    else
      report.view = std::move(*view);
  });
  if (stop.stop_requested()) return;
  report.view.checked = ports_.clock.wall_now();
  count(report, std::chrono::steady_clock::now() - began);
  on_report(std::move(report));
}

Result<catalog::View> ViewDesk::look_into(const ViewTask& task, const ContainerRoot& root,
                                          const std::stop_token& stop) {
  if (task.start.other_stack == OtherStack::kFuseOverlay)
    return Error{ErrorCode::kUnsupported, "a program (fuse-overlayfs) serves this root"};
  if (task.start.other_stack == OtherStack::kAufs)
    return Error{ErrorCode::kUnsupported, "aufs shows no inode numbers of its layers"};
  auto opened = open_layers(task);
  // A layer that is gone says nothing of the container.
  if (!opened) {
    if (opened.error().code == ErrorCode::kNotFound) opened.error().code = ErrorCode::kUnavailable;
    return std::move(opened.error()).with_context("a layer");
  }
  const bool has_upper = opened->upper != nullptr;
  SeenRoot seen{opened->layers,
                root.fd(),
                has_upper ? opened->upper->fd() : -1,
                root.mounts(),
                dialect_of(task.layers.front()),
                is_one_device(task.layers) && (has_upper || !task.start.is_overlay)};
  if (task.plan.layers == 0) return look_at_mounts(seen);
  return look_at_view(seen, limits_, stop);
}

Result<ViewDesk::Opened> ViewDesk::open_layers(const ViewTask& task) {
  Opened opened;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < task.layers.size(); ++i) {
    const LayerTask& layer = task.layers[i];
    if (layer.layer.is_data_only) continue;
    ASSAY_ASSIGN(std::unique_ptr<Layer> open, layer.is_root_directory
                                                  ? ports_.opener.open_root(task.start)
                                                  : ports_.opener.open(layer.layer, layer.start));
    SeenLayer seen;
    seen.fd = open->fd();
    seen.is_injected = task.is_injected[i];
    seen.is_id_mapped = layer.layer.is_id_mapped;
    seen.is_base = !seen.is_injected && compared < task.plan.layers;
    if (seen.is_base) seen.applies_marks = task.plan.deletions_agree[compared];
    compared += seen.is_injected ? 0 : 1;
    opened.held.push_back(std::move(open));
    opened.layers.push_back(seen);
  }
  if (const auto upper = upper_of(task))
    if (auto open = ports_.opener.open(*upper, task.start)) opened.upper = std::move(*open);
  return opened;
}

void ViewDesk::count(const ViewReport& report, std::chrono::nanoseconds busy) {
  const MutexLock lock(mutex_);
  ++counts_.looks;
  counts_.paths += report.view.paths;
  counts_.busy += busy;
  if (report.is_gone)
    ++counts_.gone;
  else if (report.view.state == catalog::ViewState::kUnchecked && report.plan.layers != 0)
    ++counts_.failed;
  if (report.view.state == catalog::ViewState::kDiffers) ++counts_.differing;
}

ViewCounts ViewDesk::counts() const {
  const MutexLock lock(mutex_);
  ViewCounts counts = counts_;
  counts.waiting = waiting_.load();
  return counts;
}

}  // namespace assay::agent
