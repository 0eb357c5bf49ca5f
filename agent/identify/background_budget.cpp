// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/background_budget.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>
#include <utility>

namespace assay::agent {
namespace {

// What may be taken at once after a pause: a small layer waits for nothing.
constexpr std::chrono::milliseconds kCredit{200};
// One piece of work is never worth a longer wait, whatever it says it took.
constexpr std::chrono::hours kLongest{1};

std::chrono::nanoseconds thread_cpu_time() {
  timespec time = {};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::chrono::nanoseconds scaled(std::chrono::nanoseconds time, double factor) {
  const std::chrono::duration<double, std::nano> price(static_cast<double>(time.count()) * factor);
  if (price >= kLongest) return kLongest;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(price);
}

}  // namespace

BackgroundBudget::BackgroundBudget(const BackgroundLimits& limits) : limits_(limits) {}

void BackgroundBudget::set_limits(const BackgroundLimits& limits) {
  {
    const MutexLock lock(mutex_);
    if (limits == limits_) return;
    limits_ = limits;
    ++version_;
    bytes_paid_until_ = cpu_paid_until_ = Time{};
  }
  changed_.notify_all();
}

void BackgroundBudget::charge(Time& paid_until, std::chrono::nanoseconds price, Time now) {
  paid_until = std::max(paid_until, now - kCredit) + price;
}

void BackgroundBudget::spend(std::uint64_t bytes, std::chrono::nanoseconds cpu,
                             const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const Time now = std::chrono::steady_clock::now();
  if (limits_.bytes_per_second > 0)
    charge(bytes_paid_until_,
           scaled(std::chrono::seconds(1),
                  static_cast<double>(bytes) / static_cast<double>(limits_.bytes_per_second)),
           now);
  if (limits_.cpu_percent > 0)
    charge(cpu_paid_until_, scaled(cpu, 100.0 / limits_.cpu_percent), now);
  const Time until = std::max(bytes_paid_until_, cpu_paid_until_);
  if (until <= now) return;
  changed_.wait_until(lock, stop, until,
                      [this, version = version_] { return version_ != version; });
}

std::function<void(const image::WalkProgress&)> BackgroundBudget::meter(std::stop_token stop) {
  return [this, stop = std::move(stop), bytes = std::uint64_t{0}, own = std::chrono::nanoseconds{0},
          cpu = thread_cpu_time()](const image::WalkProgress& read) mutable {
    const std::chrono::nanoseconds now = thread_cpu_time();
    spend(read.bytes - std::exchange(bytes, read.bytes),
          now - std::exchange(cpu, now) + read.own_thread_time -
              std::exchange(own, read.own_thread_time),
          stop);
  };
}

void be_background(image::WalkOptions& options, BackgroundBudget* budget, std::stop_token stop) {
  options.page_cache = image::PageCache::kSpare;
  if (budget == nullptr) return;
  options.progress = [told = std::move(options.progress),
                      meter = budget->meter(std::move(stop))](const image::WalkProgress& read) {
    if (told) told(read);
    meter(read);
  };
}

}  // namespace assay::agent
