// SPDX-License-Identifier: Apache-2.0
// Makes file sets of stacks, one after another in the background, and holds one until it is sent.
#pragma once

#include <condition_variable>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <vector>

#include "agent/core/file_sets.h"
#include "agent/core/ports.h"
#include "agent/identify/background_budget.h"
#include "agent/identify/worker_pool.h"
#include "common/base/mutex.h"
#include "common/catalog/file_set.h"
#include "common/image/fingerprint.h"

namespace assay::agent {

/// Thread-safe. The layers are read a second time, at idle priority, a file at a time; what is kept
/// are hashes (files/file_set_maker.h). A set that is made waits for take() before the next one
/// is begun, so that memory does not depend on how many are asked for.
class FileSetDesk {
 public:
  using Layers = std::vector<LayerTask>;
  struct Ports {
    LayerOpener& opener;
    /// Gives the layers of a stack, or none, to the callback; later, on any thread, or never.
    std::function<void(const StackDigest&, std::function<void(Layers)>)> find_layers;
    std::function<void()> on_ready;      ///< take() has something; any thread, must return at once
    BackgroundBudget* budget = nullptr;  ///< none: as much as there is
  };
  FileSetDesk(Ports ports, const image::FingerprintLimits& limits);
  /// Drops what waits; no callback runs after it.
  ~FileSetDesk();

  /// Never blocks. What waits already is not queued twice.
  void ask(const FileSetWish& wish);
  /// The set that is ready, once.
  std::optional<FileSetAnswer> take();

 private:
  void queue(const FileSetWish& wish, Layers layers);
  void make(const FileSetWish& wish, const Layers& layers, const std::stop_token& stop);
  Result<catalog::FileSet> read(const FileSetWish& wish, const Layers& layers,
                                const std::stop_token& stop);
  Result<void> read_layer(const LayerTask& task, image::LayerObserver& observer,
                          const std::stop_token& stop);

  const Ports ports_;
  const image::FingerprintLimits limits_;
  Mutex mutex_;
  std::condition_variable_any taken_;
  std::set<StackDigest> waiting_ ASSAY_GUARDED_BY(mutex_);  // queued or being made
  std::optional<FileSetAnswer> ready_ ASSAY_GUARDED_BY(mutex_);
  WorkerPool worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
