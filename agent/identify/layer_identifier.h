// SPDX-License-Identifier: Apache-2.0
// Finds out what layers are: shapes at once, contents in the background, each directory once.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/core/exact.h"
#include "agent/core/ports.h"
#include "agent/identify/id_map.h"
#include "agent/identify/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/image/directory.h"
#include "common/image/node_record.h"

namespace assay::agent {

struct IdentifierOptions {
  unsigned int shape_threads = 2;
  unsigned int content_threads = 1;
  bool content_is_idle = true;          ///< SCHED_IDLE and idle I/O for the content threads
  std::size_t max_remembered = 50'000;  ///< layers in memory; the least recently used goes first
  std::size_t max_waiting = 100'000;    ///< layers that wait for a thread
  image::FingerprintLimits limits;
  LayerRecords* records = nullptr;  ///< none: no record is taken; outlives the identifier
  const Clock* clock = nullptr;     ///< with records
  image::RecordLimits record_limits;
};

/// `opener` and `cache` outlive the identifier. Thread-safe. Destroying it drops what waits without
/// a result; callbacks never run after the destructor returned.
class LayerIdentifier final : public Identifier {
 public:
  LayerIdentifier(LayerOpener& opener, LayerCache& cache, IdentifierOptions options);
  ~LayerIdentifier() override;

  std::optional<LayerResult> recall(const LayerTask& task) override;
  void identify(LayerTask task, Callback on_result) override;
  std::uint64_t pending() const override;
  /// What is recalled of the layer says from here on that it was changed.
  void on_tampering(const LayerTampering& tampering);
  /// What is recalled of the layer says from here on that it was proven, or (nothing) that it was
  /// not.
  void on_proof(const LayerRef& ref, const std::optional<LayerExact>& exact);
  /// Of layers whose reading begins from now on.
  void set_limits(const image::FingerprintLimits& limits);

 private:
  /// What decides a fingerprint and is known without any I/O.
  struct MemoKey {
    LayerRef ref;
    std::string overlay_options;
    auto operator<=>(const MemoKey&) const = default;
  };
  struct Known {
    catalog::LayerInstance instance;
    KnownLayer layer;
    bool is_final = false;
  };
  struct Subscriber {
    LayerTask task;
    Callback on_result;
    bool has_known = false;  ///< was told what is known now
  };
  struct Job {
    explicit Job(LayerTask first) : task(std::move(first)) {}
    const LayerTask task;
    std::optional<MemoKey> key;
    IdMap id_map;                  // from here on: the thread that runs the job
    std::unique_ptr<Layer> layer;  // kept between the rungs unless it is a container's own root
    bool is_held = false;          // `layer` counts against kMaxHeld
    std::string about;             // with the content: what the layer says of itself
    std::string tampered;          // what was changed since it was first read
    std::optional<image::NodeRecord> record;  // of the walk that read its content
    bool is_too_large = false;                // for a record
    Mutex mutex;
    std::vector<Subscriber> subscribers ASSAY_GUARDED_BY(mutex);
    std::optional<Known> known ASSAY_GUARDED_BY(mutex);
  };
  using JobPtr =
      std::shared_ptr<Job>;  // shared by the queue, the merge table and a late subscriber

  struct Remembered {
    Known known;
    std::list<MemoKey>::iterator order;
  };

  static std::optional<MemoKey> key_of(const LayerTask& task);
  static LayerResult result_for(const LayerTask& task, const Known& known);
  void run_shape(const JobPtr& job, const std::stop_token& stop);
  void run_content(const JobPtr& job, const std::stop_token& stop);
  Result<void> prepare(Job& job);
  static Result<void> choose_map(Job& job);
  Result<image::LayerFingerprint> fingerprint(Job& job, image::Scope scope,
                                              const std::stop_token& stop);
  Result<image::LayerFingerprint> walk(Job& job, image::WalkOptions& options,
                                       const std::stop_token& stop);
  bool is_recorded(const Job& job) const;
  void keep_record(Job& job);
  LayerKey cache_key(const Job& job) const;
  Known known_from(const Job& job, const image::LayerFingerprint& fingerprint) const;
  void reach(const JobPtr& job, Known known);
  void give_up(const JobPtr& job, const Error& error);
  void deliver(const JobPtr& job);
  void remember(const MemoKey& key, const Known& known);
  void finish(const JobPtr& job);
  void queue_content(const JobPtr& job);

  LayerOpener& opener_;
  LayerCache& cache_;
  const IdentifierOptions options_;
  std::atomic<std::uint64_t> pending_{0};
  std::atomic<std::uint64_t> held_{0};  // directories kept open between shape and content

  mutable Mutex mutex_;
  image::FingerprintLimits limits_ ASSAY_GUARDED_BY(mutex_);
  std::map<MemoKey, JobPtr> running_ ASSAY_GUARDED_BY(mutex_);
  std::map<MemoKey, Remembered> memory_ ASSAY_GUARDED_BY(mutex_);
  std::list<MemoKey> by_use_ ASSAY_GUARDED_BY(mutex_);  // least recently used first

  // Last, so that they are joined first; shapes submit contents, so shape_ goes before content_.
  std::unique_ptr<WorkerPool> content_;
  std::unique_ptr<WorkerPool> shape_;
};

}  // namespace assay::agent
