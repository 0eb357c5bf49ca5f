// SPDX-License-Identifier: Apache-2.0
#include "agent/app/auditor_loop.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kTick{1};
// Layers of one stack are identified side by side; what comes within this time is one step.
constexpr std::chrono::milliseconds kLayersTogether{20};
constexpr std::size_t kMaxLayersTogether = 1000;
constexpr std::size_t kExecShare = 2;  // execs may fill 1/kExecShare of the queue

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

void AuditorLoop::start(Auditor& auditor, StackFinder& stacks, CommitWatch* commits,
                        std::function<void()> on_tick) {
  auditor_ = &auditor;
  stacks_ = &stacks;
  commits_ = commits;
  on_tick_ = std::move(on_tick);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-auditor");
}

void AuditorLoop::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void AuditorLoop::on_start(ContainerStart start) {
  push_or_wait(std::move(start));
}

void AuditorLoop::on_exec(ContainerExec exec) {
  if (queue_.size() >= kCapacity / kExecShare) {
    dropped_.fetch_add(1);
    return;
  }
  push(std::move(exec));
}

void AuditorLoop::on_emptied(RunEmptied emptied) {
  push_or_wait(emptied);
}

void AuditorLoop::on_sweep(SweepCompleted sweep) {
  push_or_wait(std::move(sweep));
}

void AuditorLoop::on_gap(ObservationGap gap) {
  push(gap);
}

void AuditorLoop::on_noise(RunNoise noise) {
  push(noise);
}

void AuditorLoop::on_checkpoint(Checkpoint checkpoint) {
  push(checkpoint);
}

bool AuditorLoop::has_room() const {
  return queue_.size() < kEnoughToDo;
}

void AuditorLoop::post_layer(LayerResult result) {
  push(std::move(result));
}

void AuditorLoop::post_claims(RunClaims claims) {
  push(std::move(claims));
}

void AuditorLoop::post_view(ViewReport report) {
  post([report = std::move(report)](Auditor& auditor) { auditor.on_view(report); });
}

void AuditorLoop::post_recognition(RecognitionReport report) {
  post([report = std::move(report)](Auditor& auditor) { auditor.on_recognised(report); });
}

void AuditorLoop::post_catalog(CatalogPtr catalog) {
  push(std::move(catalog));
}

void AuditorLoop::post(std::function<void(Auditor&)> work) {
  push(std::move(work));
}

void AuditorLoop::post_state_request(std::uint64_t request) {
  push(StateRequest{request});
}

void AuditorLoop::push_or_wait(Item item) {
  // The loop works until its source has stopped: there will be room.
  if (!queue_.push(std::move(item), std::stop_token())) dropped_.fetch_add(1);
}

void AuditorLoop::push(Item item) {
  if (!queue_.try_push(std::move(item))) dropped_.fetch_add(1);
}

void AuditorLoop::run(const std::stop_token& stop) {
  auto next_tick = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_tick) {
      tick();
      next_tick = now + kTick;
    }
    if (!layers_.empty() && (now >= layers_due_ || layers_.size() >= kMaxLayersTogether))
      flush_layers();
    const auto until = layers_.empty() ? next_tick : std::min(next_tick, layers_due_);
    if (auto item = queue_.pop(stop, until - now)) {
      handle(std::move(*item));
      continue;
    }
    if (stop.stop_requested() && queue_.size() == 0) {
      return flush_layers();
    }
  }
}

void AuditorLoop::tick() {
  auditor_->on_tick();
  if (commits_ != nullptr) commits_->look();
  if (on_tick_) on_tick_();
  AuditorSnapshot snapshot = auditor_->snapshot();
  const MutexLock lock(snapshot_mutex_);
  snapshot_ = std::move(snapshot);
}

void AuditorLoop::handle(Item item) {
  std::visit(Overloaded{
                 [this](ContainerStart& start) {
                   stacks_->complete(start);
                   auditor_->on_start(std::move(start));
                 },
                 [this](const ContainerExec& exec) { auditor_->on_exec(exec); },
                 [this](const RunEmptied& emptied) { auditor_->on_emptied(emptied); },
                 [this](const SweepCompleted& sweep) { auditor_->on_sweep(sweep); },
                 [this](LayerResult& result) {
                   if (layers_.empty())
                     layers_due_ = std::chrono::steady_clock::now() + kLayersTogether;
                   layers_.push_back(std::move(result));
                 },
                 [this](const RunClaims& claims) { auditor_->on_claims(claims); },
                 [this](CatalogPtr& catalog) { auditor_->on_catalog(std::move(catalog)); },
                 [this](const ObservationGap& gap) { auditor_->on_gap(gap); },
                 [this](const RunNoise& noise) { auditor_->on_noise(noise); },
                 [this](const Checkpoint& checkpoint) { settle(checkpoint); },
                 [this](const std::function<void(Auditor&)>& work) { work(*auditor_); },
                 [this](const StateRequest& asked) { auditor_->on_state_request(asked.request); },
             },
             item);
}

// All that the source told before it is in the journal.
void AuditorLoop::settle(const Checkpoint& checkpoint) {
  settled_ns_ = checkpoint.well.count();
  if (commits_ != nullptr) commits_->on_recorded(checkpoint);
}

void AuditorLoop::flush_layers() {
  if (!layers_.empty()) auditor_->on_layers(std::exchange(layers_, {}));
}

AuditorSnapshot AuditorLoop::snapshot() const {
  const MutexLock lock(snapshot_mutex_);
  return snapshot_;
}

}  // namespace assay::agent
