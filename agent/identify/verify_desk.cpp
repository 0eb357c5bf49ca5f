// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/verify_desk.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <utility>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kMaxOrders = 8;  // waiting, with the one that is worked on
constexpr std::chrono::seconds kProgressInterval{1};
constexpr std::size_t kMaxReasonBytes = 300;

/// What comparing the layer with its tar stream showed, beside what is known of it already.
void take_exact(const Result<ExactOutcome>& outcome, catalog::VerifiedLayer& found) {
  const bool is_changed = found.outcome == catalog::LayerOutcome::kChanged;
  if (!outcome) {  // nobody could look: not clean, whatever the record says
    if (!is_changed) found.outcome = catalog::LayerOutcome::kNotChecked;
    found.reason = "exact check: " + escape_untrusted(outcome.error().text(), kMaxReasonBytes);
    return;
  }
  if (outcome->status == ExactStatus::kNoSource) return;
  found.checked.emplace_back(catalog::kCheckedExact);
  found.bytes_read += outcome->stream_bytes;
  found.took += outcome->took;
  if (outcome->found) found.diff_id = outcome->found;
  if (outcome->status == ExactStatus::kExact) {
    if (!is_changed) found.outcome = catalog::LayerOutcome::kAsRecorded;
    return;
  }
  found.outcome = catalog::LayerOutcome::kChanged;
  found.reason = outcome->is_other_diff_id
                     ? "its tar stream has another diff ID than the runtime's store says"
                     : "it is not what its tar stream says";
  if (outcome->paths.empty()) found.reason = difference_text(*outcome);
  for (const std::string& path : outcome->paths)
    if (found.changes.size() < catalog::kMaxVerifiedChanges &&
        std::ranges::find(found.changes, path) == found.changes.end())
      found.changes.push_back(path);
}

/// What a port gives, whenever it does: it may come after the one who waits has gone.
template <typename Answer>
class Awaited {
 public:
  std::function<void(Answer)> taker() const {
    return [state = state_](Answer answer) {
      {
        const std::lock_guard lock(state->mutex);
        state->answer = std::move(answer);
      }
      state->came.notify_all();
    };
  }
  /// Nothing: it did not come until `deadline` or `stop`.
  std::optional<Answer> wait(const std::stop_token& stop, SteadyTime deadline) {
    std::unique_lock lock(state_->mutex);
    state_->came.wait_until(lock, stop, deadline, [&] { return state_->answer.has_value(); });
    return std::move(state_->answer);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable_any came;
    std::optional<Answer> answer;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();  // shared with who answers
};

}  // namespace

struct VerifyDesk::Job {
  Job(VerifyOrder given, VerifyListener listening)
      : order(std::move(given)),
        listener(std::move(listening)),
        deadline(std::chrono::steady_clock::now() + order.timeout) {}

  const VerifyOrder order;
  const VerifyListener listener;
  const SteadyTime deadline;
  std::stop_source stop;  // cancelled, late, not listened to any more, or the desk goes
  bool is_heard = true;   // the worker's thread only
  bool is_late() const { return std::chrono::steady_clock::now() >= deadline; }
  void tell(const catalog::VerifyEvent& event) {
    if (is_heard) is_heard = listener(event);
    if (!is_heard) stop.request_stop();
  }
};

VerifyDesk::VerifyDesk(Ports ports)
    : ports_(std::move(ports)),
      worker_(std::make_unique<WorkerPool>("assay-verify", 1, WorkerPriority::kIdle, kMaxOrders)) {}

VerifyDesk::~VerifyDesk() {
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, job] : jobs_)
      job->stop.request_stop();
  }
  worker_.reset();
}

Result<std::uint64_t> VerifyDesk::order(const VerifyOrder& order, VerifyListener listener) {
  if (order.target.size() > catalog::kMaxVerifyTargetBytes)
    return Error{ErrorCode::kInvalidArgument, "the name of what is to be verified is too long"};
  VerifyOrder bounded = order;
  bounded.timeout =
      std::clamp(order.timeout, catalog::kLeastVerifyTimeout, catalog::kMostVerifyTimeout);
  const auto job = std::make_shared<Job>(std::move(bounded), std::move(listener));
  const MutexLock lock(mutex_);
  const bool is_taken =
      jobs_.size() < kMaxOrders &&
      worker_->try_submit([this, job](const std::stop_token& stop) { work(job, stop); });
  if (!is_taken) {
    ++counts_.refused;
    return Error{ErrorCode::kLimitExceeded, "this node verifies already, and " +
                                                std::to_string(kMaxOrders - 1) +
                                                " orders wait for their turn: try again later"};
  }
  ++counts_.orders;
  jobs_.emplace(++last_id_, job);
  return last_id_;
}

void VerifyDesk::cancel(std::uint64_t id) {
  JobPtr job;
  {
    const MutexLock lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return;
    job = found->second;
  }
  job->stop.request_stop();  // may run callbacks: not under the mutex
}

VerifyCounts VerifyDesk::counts() const {
  const MutexLock lock(mutex_);
  VerifyCounts counts = counts_;
  counts.waiting = jobs_.size();
  return counts;
}

void VerifyDesk::work(const JobPtr& job, const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [&job] { job->stop.request_stop(); });
  auto done = verify(*job);
  if (stop.stop_requested())
    done = Error{ErrorCode::kUnavailable, "the agent stops"};
  else if (!done && job->is_late())
    done = Error{ErrorCode::kUnavailable,
                 "not done within the time that was given: what is missing was not looked at"};
  {
    const MutexLock lock(mutex_);  // before it is told: who was told may order again at once
    std::erase_if(jobs_, [&](const auto& entry) { return entry.second == job; });
  }
  job->tell(done ? catalog::VerifyDone{} : catalog::failed(done.error()));
}

Result<void> VerifyDesk::verify(Job& job) {
  ASSAY_ASSIGN(const VerifyScope scope, find(job));
  job.tell(catalog::VerifyBegun{static_cast<std::uint32_t>(scope.layers.size())});
  for (const VerifyTask& task : scope.layers) {
    if (job.is_late()) job.stop.request_stop();
    if (job.stop.stop_requested()) return Error{ErrorCode::kCancelled, "cancelled"};
    verify_layer(job, task);
  }
  return verify_views(job, scope);
}

Result<VerifyScope> VerifyDesk::find(Job& job) {
  Awaited<Result<VerifyScope>> answer;
  ports_.find(job.order.target, answer.taker());
  auto scope = answer.wait(job.stop.get_token(), job.deadline);
  if (!scope) return Error{ErrorCode::kCancelled, "cancelled"};
  return std::move(*scope);
}

Result<void> VerifyDesk::verify_views(Job& job, const VerifyScope& scope) {
  if (!ports_.look_into_roots || scope.runs.empty()) return ok();
  Awaited<Ports::Rows> answer;
  ports_.look_into_roots(scope.runs, answer.taker());
  const auto rows = answer.wait(job.stop.get_token(), job.deadline);
  if (!rows) return Error{ErrorCode::kCancelled, "cancelled"};
  for (const catalog::VerifiedLayer& row : *rows) {
    count(row);
    job.tell(row);
  }
  return ok();
}

void VerifyDesk::count(const catalog::VerifiedLayer& found) {
  const MutexLock lock(mutex_);
  ++counts_.layers;
  if (found.outcome == catalog::LayerOutcome::kChanged) ++counts_.changed;
  if (found.outcome == catalog::LayerOutcome::kNotChecked) ++counts_.failed;
}

void VerifyDesk::verify_layer(Job& job, const VerifyTask& task) {
  SteadyTime next = std::chrono::steady_clock::now() + kProgressInterval;
  const auto progress = [&](const image::WalkProgress& read) {
    if (job.is_late()) job.stop.request_stop();
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now < next) return;
    next = now + kProgressInterval;
    job.tell(catalog::VerifyProgress{read.files, read.bytes});
  };
  const std::stop_token stop = job.stop.get_token();
  catalog::VerifiedLayer found = ports_.rewalker.verify(task, progress, stop);
  if (ports_.exact != nullptr && task.unreadable.empty() && !stop.stop_requested())
    take_exact(ports_.exact->check(task.task, stop), found);
  count(found);
  job.tell(found);
}

}  // namespace assay::agent
