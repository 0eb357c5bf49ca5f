// SPDX-License-Identifier: Apache-2.0
// The stacks that runs of this node stand on, and how they gain evidence.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/core/exact.h"
#include "agent/core/ports.h"

namespace assay::agent {

/// One stack moved to another digest because more is known of a layer.
struct StackChange {
  StackDigest from;
  StackDigest to;
  std::shared_ptr<const catalog::Stack> stack;  // shared with the journal, never changed
  bool joins_known = false;  ///< `to` was tracked before: other runs stand on it already
};

/// What stays when a layer's evidence is replaced by what was found out or remembered of it: the
/// claim, the marks of tampering, and a proof of the same bytes.
void keep_told(catalog::LayerEvidence& evidence, const catalog::LayerEvidence& before);

/// Keeps every stack that some open run stands on or that still waits for evidence (a container
/// that lived a millisecond is judged after its end). Not thread-safe: the auditor's thread only.
class StackTracker {
 public:
  /// `max_waiting`: stacks without a run that may wait for evidence; the oldest goes first.
  explicit StackTracker(std::size_t max_waiting) : max_waiting_(max_waiting) {}

  struct Entry {
    std::shared_ptr<const catalog::Stack> stack;  // shared with the journal, never changed
    std::vector<LayerRef> refs;                   ///< one per layer
    std::vector<bool> is_final;                   ///< one per layer
    std::size_t runs = 0;
    std::uint64_t order = 0;
  };

  /// Adds a run to the stack with these layers and returns its digest.
  StackDigest add_run(catalog::Stack stack, std::vector<LayerRef> refs, std::vector<bool> is_final);
  /// A run left `digest`; the entry stays while evidence is still to come.
  void remove_run(const StackDigest& digest);
  /// Brings a layer's evidence into all stacks that hold it; what is claimed of it stays.
  std::vector<StackChange> apply(const LayerResult& result);
  /// Brings what is claimed of a layer into all stacks that hold it.
  std::vector<StackChange> apply(const LayerClaim& claim);
  /// Brings what was found to be changed in a layer into all stacks that hold it and on which runs
  /// stand. Where evidence is still to come the stack as it was waits for it, too: for runs that
  /// had ended before.
  std::vector<StackChange> apply(const LayerTampering& tampering);
  /// A layer was proven: counts for what was proven only, and not when it was changed.
  std::vector<StackChange> apply(const LayerExact& exact);
  /// A layer was found to be another one than it was proven to be.
  std::vector<StackChange> apply(const LayerMismatch& mismatch);
  /// Why a layer cannot be proven.
  std::vector<StackChange> apply(const LayerUnproven& unproven);
  /// Whether some stack that holds the layer, and on which a run stands, lacks what `tampering`
  /// says.
  bool lacks(const LayerTampering& tampering) const;
  /// Nothing when it is not tracked.
  const Entry* find(const StackDigest& digest) const;
  const std::map<StackDigest, Entry>& entries() const { return entries_; }

 private:
  using Edit =
      std::function<void(catalog::StackLayer& layer, std::vector<bool>::reference is_final)>;
  std::vector<StackChange> edit_layer(const LayerRef& ref, const Edit& edit);
  std::optional<StackChange> edit_entry(const StackDigest& from, const LayerRef& ref,
                                        const Edit& edit);
  void put(const StackDigest& digest, Entry entry);
  void index(const StackDigest& digest, const Entry& entry);
  void erase(const StackDigest& digest);
  void drop_oldest_waiting();

  const std::size_t max_waiting_;
  std::map<StackDigest, Entry> entries_;
  std::map<LayerRef, std::set<StackDigest>> by_ref_;
  std::uint64_t next_order_ = 0;
};

}  // namespace assay::agent
