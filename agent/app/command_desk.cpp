// SPDX-License-Identifier: Apache-2.0
#include "agent/app/command_desk.h"

#include <utility>
#include <vector>

namespace assay::agent {
namespace {

constexpr std::size_t kMaxAnswers = 64;  // then the work waits until the collector takes some

}  // namespace

void CommandDesk::verify(const VerifyCommand& command) {
  std::uint64_t stream = 0;
  {
    const MutexLock lock(mutex_);
    stream = stream_;
    if (!open_.try_emplace(command.command).second) return;  // the number is taken
  }
  const auto order = orders_.order(
      command.order, [this, stream, number = command.command](const catalog::VerifyEvent& event) {
        return put(stream, number, event);
      });
  if (order) return set_order(stream, command.command, *order);
  {
    const MutexLock lock(mutex_);
    if (stream != stream_) return;
    open_.erase(command.command);
    answers_.push_back({command.command, catalog::failed(order.error())});
  }
  on_ready_();
}

void CommandDesk::set_order(std::uint64_t stream, std::uint64_t command, std::uint64_t order) {
  {
    const MutexLock lock(mutex_);
    const auto found = open_.find(command);
    const bool is_wanted = stream == stream_ && found != open_.end() && !found->second.is_cancelled;
    if (is_wanted) found->second.order = order;
    if (is_wanted) return;
  }
  orders_.cancel(order);  // it ended meanwhile, or nobody waits for it
}

void CommandDesk::cancel(std::uint64_t command) {
  std::uint64_t order = 0;
  {
    const MutexLock lock(mutex_);
    const auto found = open_.find(command);
    if (found == open_.end()) return;
    found->second.is_cancelled = true;
    order = found->second.order;
  }
  if (order != 0) orders_.cancel(order);
  room_.notify_all();
}

bool CommandDesk::put(std::uint64_t stream, std::uint64_t command,
                      const catalog::VerifyEvent& event) {
  {
    std::unique_lock lock(mutex_);
    const auto is_over = [&] {
      const auto found = open_.find(command);
      return stream != stream_ || found == open_.end() || found->second.is_cancelled;
    };
    if (std::holds_alternative<catalog::VerifyProgress>(event) && !answers_.empty())
      return !is_over();  // what comes later says more
    room_.wait(lock, [&] { return is_over() || answers_.size() < kMaxAnswers; });
    const bool is_last = std::holds_alternative<catalog::VerifyDone>(event);
    if (is_over()) {
      if (is_last && stream == stream_) open_.erase(command);
      return false;
    }
    if (is_last) open_.erase(command);
    answers_.push_back({command, event});
  }
  on_ready_();
  return true;
}

std::optional<CommandAnswer> CommandDesk::take() {
  std::optional<CommandAnswer> answer;
  {
    const MutexLock lock(mutex_);
    if (answers_.empty()) return answer;
    answer = std::move(answers_.front());
    answers_.pop_front();
  }
  room_.notify_all();
  return answer;
}

void CommandDesk::end_stream() {
  std::vector<std::uint64_t> orders;
  {
    const MutexLock lock(mutex_);
    ++stream_;
    for (const auto& [command, open] : open_)
      if (open.order != 0) orders.push_back(open.order);
    open_.clear();
    answers_.clear();
  }
  room_.notify_all();
  for (const std::uint64_t order : orders)
    orders_.cancel(order);
}

}  // namespace assay::agent
