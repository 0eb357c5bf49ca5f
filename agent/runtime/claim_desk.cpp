// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/claim_desk.h"

#include <pthread.h>

#include <utility>

#include "agent/core/block_device.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kIdleWait{60};
// A record that changes while it is read, because its container goes, disagrees with itself.
constexpr int kMaxLooks = 3;

std::string text_of(const LayerClaim& claim) {
  return (claim.diff_id ? "diff ID " + claim.diff_id->text() : std::string("no diff ID")) +
         (claim.chain_id ? ", chain ID " + claim.chain_id->text() : "");
}

}  // namespace

ClaimDesk::ClaimDesk(std::vector<std::unique_ptr<ClaimSource>> sources, DirectoryCheck& check,
                     ClaimDeskOptions options)
    : check_(check), options_(options) {
  for (auto& source : sources)
    counters_.push_back(std::make_unique<Counter>(std::move(source), options_.max_waiting));
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    counters_[i]->thread = std::jthread([this, i](const std::stop_token& stop) { run(i, stop); });
    ::pthread_setname_np(counters_[i]->thread.native_handle(),
                         counters_[i]->source->name().c_str());
  }
}

ClaimDesk::~ClaimDesk() {
  for (auto& counter : counters_)
    counter->thread.request_stop();
  for (auto& counter : counters_)
    counter->thread.join();
}

std::optional<LayerClaim> ClaimDesk::recall(const LayerRef& ref) {
  if (is_exchangeable_device(ref.device)) return std::nullopt;
  const MutexLock lock(mutex_);
  const auto found = memory_.find(ref);
  if (found == memory_.end()) return std::nullopt;
  by_use_.splice(by_use_.end(), by_use_, found->second.order);
  return found->second.claim;
}

void ClaimDesk::look_up(ClaimTask task, std::function<void(RunClaims)> on_claims) {
  pass_on(0, {std::move(task), std::move(on_claims)});
}

/// To the source at `to`; without one, or when too much waits there, the answer is nothing.
void ClaimDesk::pass_on(std::size_t to, Job job) {
  RunClaims nothing{job.task.run_id, job.task.start.key, job.task.names, {}, {}};
  auto on_claims = job.on_claims;
  if (to < counters_.size()) {
    if (counters_[to]->queue.try_push(std::move(job))) return;
    dropped_.fetch_add(1);
  }
  on_claims(std::move(nothing));
}

void ClaimDesk::run(std::size_t at, const std::stop_token& stop) {
  Counter& counter = *counters_[at];
  while (!stop.stop_requested()) {
    auto job = counter.queue.pop(stop, kIdleWait);
    if (!job || stop.stop_requested()) continue;
    auto claims = ask(*counter.source, job->task, stop);
    if (stop.stop_requested()) return;
    if (claims)
      job->on_claims(std::move(*claims));
    else
      pass_on(at + 1, std::move(*job));
  }
}

std::optional<RunClaims> ClaimDesk::ask(ClaimSource& source, const ClaimTask& task,
                                        const std::stop_token& stop) {
  const KernelLayers kernel(task.start, check_);
  std::vector<std::string> before;
  for (int look = 0; look < kMaxLooks && !stop.stop_requested(); ++look) {
    const auto record = source.read(task, kernel, stop);
    if (!record) return std::nullopt;
    RunClaims claims = compare(task, *record, kernel);
    if (claims.conflicts.empty() || (look > 0 && claims.conflicts == before)) {
      // A plain root directory is its container's alone: nobody else will stand on it.
      if (kernel.is_stack()) remember(claims, record->store);
      return claims;
    }
    before = std::move(claims.conflicts);
  }
  return RunClaims{task.run_id, task.start.key, task.names, {}, {}};
}

/// A directory's claim is what was said first: that a store says something else later is news.
void ClaimDesk::remember(RunClaims& claims, const std::string& subject) {
  const MutexLock lock(mutex_);
  for (LayerClaim& claim : claims.layers) {
    if (claim.ref.generation == 0) continue;  // the next directory may have the same number
    const auto [position, is_new] = memory_.try_emplace(claim.ref);
    if (is_new) {
      position->second = {claim, by_use_.insert(by_use_.end(), claim.ref)};
      continue;
    }
    LayerClaim& known = position->second.claim;
    by_use_.splice(by_use_.end(), by_use_, position->second.order);
    if (known.diff_id == claim.diff_id && known.chain_id == claim.chain_id) {
      known = claim;
      continue;
    }
    claims.conflicts.push_back(subject + ": it says " + text_of(claim) + " of the directory with " +
                               "inode " + std::to_string(claim.ref.inode) + ", and said " +
                               text_of(known) + " before");
    claim = known;
  }
  while (memory_.size() > options_.max_remembered) {
    memory_.erase(by_use_.front());
    by_use_.pop_front();
  }
}

}  // namespace assay::agent
