// SPDX-License-Identifier: Apache-2.0
// A rewalker over real folders, with records in memory and layers that are opened by their names.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/identify/layer_identifier.h"
#include "agent/identify/layer_rewalker.h"
#include "common/base/unique_fd.h"
#include "tests/unit/agent/fakes.h"
#include "tests/unit/agent/layer_task.h"
#include "tests/unit/agent/named_opener.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent::tests {

using namespace std::chrono_literals;

inline constexpr auto kDeadline = 20s;

class MapRecords final : public LayerRecords, public LayerCache {
 public:
  Result<std::optional<KeptRecord>> find_record(const catalog::LayerInstance& instance) override {
    if (is_broken) return Error{ErrorCode::kUnavailable, "disk I/O error"};
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(instance);
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::string> find_tampered(const catalog::LayerInstance& instance) override {
    ASSAY_ASSIGN(const auto found, find_record(instance));
    return found ? found->tampered : std::string();
  }
  Result<void> keep_record(const catalog::LayerInstance& instance,
                           const KeptRecord& kept) override {
    const std::lock_guard lock(mutex_);
    rows_[instance] = kept;
    return ok();
  }
  Result<void> renew_record(const catalog::LayerInstance&) override {
    ++renewed;
    return ok();
  }
  std::atomic<bool> is_broken{false};  // for readers
  std::atomic<int> renewed{0};
  void lose(std::uint64_t inode) {
    const std::lock_guard lock(mutex_);
    std::erase_if(rows_, [&](const auto& row) { return row.first.inode == inode; });
  }
  // Nothing is remembered: each identifier reads the layer anew.
  std::optional<KnownLayer> find(const LayerKey&) override { return std::nullopt; }
  Result<void> store(const LayerKey&, const KnownLayer&) override { return ok(); }

 private:
  std::mutex mutex_;
  std::map<catalog::LayerInstance, KeptRecord> rows_;
};

/// The wall clock runs, so that files are what they are; the boot clock stands until it is set.
class SteppedClock final : public Clock {
 public:
  WallTime wall_now() const override { return SystemClock().wall_now() + 1h; }
  BootTime boot_now() const override { return BootTime(boot.load()); }
  std::atomic<BootTime::rep> boot{BootTime(100s).count()};
  void pass(BootTime time) { boot += time.count(); }
};

struct RewalkFixture {
  Scratch scratch;
  NamedOpener opener;
  MapRecords records;
  SteppedClock clock;
  std::vector<LayerTask> running;
  std::mutex mutex;
  std::vector<LayerTampering> told;
  std::vector<std::string> failures;
  std::unique_ptr<LayerRewalker> rewalker = make();

  std::unique_ptr<LayerRewalker> make(const image::RecordLimits& limits = {}) {
    RewalkOptions options;
    options.interval = 60s;
    options.record_limits = limits;
    return std::make_unique<LayerRewalker>(
        LayerRewalker::Ports{opener, records, clock, [this](const auto& then) { then(running); },
                             [this](const LayerTampering& tampering) {
                               const std::lock_guard lock(mutex);
                               told.push_back(tampering);
                             },
                             [this](const LayerTask&, const Error& error) {
                               const std::lock_guard lock(mutex);
                               failures.push_back(error.text());
                             }},
        options);
  }

  /// Reads the layer as a first start does.
  LayerResult identify(const LayerTask& task, const image::RecordLimits& limits = {}) {
    IdentifierOptions options;
    options.record_limits = limits;
    options.content_is_idle = false;
    options.records = &records;
    options.clock = &clock;
    LayerIdentifier identifier(opener, records, options);
    std::condition_variable changed;
    std::optional<LayerResult> last;
    identifier.identify(task, [&](LayerResult result) {
      const std::lock_guard lock(mutex);
      if (result.is_final) last = std::move(result);
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, kDeadline, [&] { return last.has_value(); }));
    return *last;
  }
  /// Until nothing waits any more.
  void wait() const {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (rewalker->counts().waiting != 0) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
  }
  void walk_all() {
    rewalker->walk_all();
    wait();
  }
  std::vector<LayerTampering> take_told() {
    const std::lock_guard lock(mutex);
    return std::exchange(told, {});
  }
  LayerTask layer(const std::string& name = "layer", std::uint64_t inode = 7) {
    scratch.write(name + "/usr/bin/tool", "tool");
    scratch.write(name + "/etc/passwd", "root");
    LayerTask task = task_for(scratch.path(name), inode);
    running.push_back(task);
    return task;
  }
};

}  // namespace assay::agent::tests
