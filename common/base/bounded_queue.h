// SPDX-License-Identifier: Apache-2.0
// Bounded queue between threads: a full queue refuses and counts, it never grows.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>

namespace assay {

/// Thread-safe, many producers and consumers.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// False, and one more in dropped(), when the queue is full.
  bool try_push(T item) {
    {
      const std::lock_guard lock(mutex_);
      if (items_.size() >= capacity_) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }

  /// Waits for room; false when `stop` was asked for first.
  bool push(T item, std::stop_token stop) {
    {
      std::unique_lock lock(mutex_);
      if (!room_.wait(lock, stop, [&] { return items_.size() < capacity_; })) return false;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }

  /// The oldest item; nothing when `timeout` passed or `stop` was asked for first.
  std::optional<T> pop(std::stop_token stop, std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!ready_.wait_for(lock, stop, timeout, [&] { return !items_.empty(); })) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    lock.unlock();
    room_.notify_one();
    return item;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable_any ready_;
  std::condition_variable_any room_;
  std::deque<T> items_;
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace assay
