// SPDX-License-Identifier: Apache-2.0
// Stacks become verdicts, verdicts become findings, always inside the caller's transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "collector/core/containing.h"
#include "collector/core/store.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace assay::collector {

/// A stack with its verdict in the present round.
struct JudgedStack {
  StackId id{};
  bool is_described = false;
  /// One of the same evidence, which need not be the same directories; shared with the cache; never
  /// null.
  std::shared_ptr<const catalog::Stack> stack;
  catalog::Verdict verdict;
  FileSetState file_set = FileSetState::kNotNeeded;
};

/// Remembers what it judged in this round: by stack, and by evidence, of which a fleet has few.
/// Not thread-safe: it belongs to the commit thread.
class Judging {
 public:
  struct Limits {
    int max_runs = 1000;  ///< of one stack settled in one transaction; judge_some() does the others
    std::size_t max_remembered = 16'384;  ///< stacks, a few KiB each
  };
  Judging(std::shared_ptr<const catalog::Catalog> catalog, const JudgingRound& round,
          catalog::ScanSummaries scans, const Limits& limits);

  const catalog::Catalog& catalog() const { return *catalog_; }
  const JudgingRound& round() const { return round_; }
  const catalog::ScanSummaries& scans() const { return scans_; }
  /// What rules on scans are judged by from here on; before begin_round().
  void set_scans(catalog::ScanSummaries scans) { scans_ = std::move(scans); }
  /// From here on everything is judged by `catalog`. Call it after the round was committed.
  void begin_round(std::shared_ptr<const catalog::Catalog> catalog, const JudgingRound& round);
  /// A date passed: the same catalog, judged again.
  void begin_round(const JudgingRound& round);
  /// Drops what is remembered: something written with it was undone.
  void forget();

  /// The stack that `digest` names on `node`, added when it is new, judged in this round; when that
  /// changes its verdict, the findings of the runs on it follow.
  Result<JudgedStack> judged(StoreWriter& store, NodeId node, const StackDigest& digest,
                             WallTime now);
  Result<JudgedStack> judged(StoreWriter& store, StackId id, WallTime now);
  /// Takes a description; digests are recomputed from it. Known ones cost a look-up.
  Result<StackDigest> describe(StoreWriter& store, NodeId node, const catalog::Stack& stack,
                               WallTime now);

  /// Takes a file set that was asked for, and judges its stack again; any other is passed over.
  Result<void> take_file_set(StoreWriter& store, NodeId node, const FileSetAnswer& answer,
                             WallTime now);
  /// The runs of `from` stand on `to` now: when these are the same layers to the last byte, of
  /// which something else became known, what their files told is not asked for again.
  Result<void> carry_file_set(StoreWriter& store, StackId from, const JudgedStack& to,
                              WallTime now);
  /// Whether only what is known of scans made the verdict on `stack` what it is.
  bool is_by_scans(const JudgedStack& stack, WallTime now) const;
  /// A run started on `stack`: its file set may be made now although it was gone before.
  Result<void> want_again(StoreWriter& store, const JudgedStack& stack);

  /// Brings the findings of `run` in line with the verdict on its stack.
  Result<void> settle(StoreWriter& store, OpenRun run, const JudgedStack& stack, WallTime now);
  /// The same for the open runs on `stack`, from the first one on; how many were looked at.
  Result<int> settle_all(StoreWriter& store, const JudgedStack& stack, WallTime now);
  /// Whether runs were left for judge_some(), or may have been left before a restart.
  bool has_unsettled() const { return has_unsettled_; }

  /// Goes on with the stacks whose runs are not all settled, then judges stacks of earlier rounds,
  /// until about `max_runs` runs were looked at. False: nothing is left to do in this round.
  Result<bool> judge_some(StoreWriter& store, int max_runs, WallTime now);
  /// Settles runs whose pending verdict is overdue. False: none is left.
  Result<bool> settle_overdue(StoreWriter& store, int max_runs, WallTime now);

 private:
  struct StackName {
    NodeId node{};
    StackDigest digest;
    bool operator==(const StackName&) const = default;
  };
  struct StackNameHash {
    std::size_t operator()(const StackName& name) const noexcept {
      return std::hash<StackDigest>{}(name.digest) ^ static_cast<std::size_t>(name.node);
    }
  };
  struct Settlement;
  /// What follows from a stack's evidence, before its files are looked at.
  struct LayerVerdict {
    std::shared_ptr<const catalog::Stack> stack;
    catalog::Verdict verdict;
  };

  Result<LayerVerdict> judge_layers(StoreWriter& store, const StackRow& row, WallTime now);
  Result<JudgedStack> judge(StoreWriter& store, const StackRow& row, WallTime now, int* runs);
  Result<void> save_file_set(StoreWriter& store, StackId id, const FileSetAnswer& answer,
                             WallTime now);
  void remember(const JudgedStack& stack);
  Result<bool> may_change_exemptions(StoreWriter& store, const JudgedStack& stack);
  Result<void> take_sandbox_rule(StoreWriter& store, Settlement& settlement);
  Result<void> take_exemptions(StoreWriter& store, Settlement& settlement, WallTime now);
  Result<void> note_exempted(StoreWriter& store, const Settlement& settlement);
  Result<int> settle_after(StoreWriter& store, const JudgedStack& stack, RunKey after,
                           WallTime now);
  Result<int> settle_left(StoreWriter& store, int max_runs, WallTime now);
  Result<void> open_wanted(StoreWriter& store, Settlement& settlement);
  Result<void> resolve_unwanted(StoreWriter& store, Settlement& settlement);

  std::shared_ptr<const catalog::Catalog> catalog_;  // shared with readers of the same sequence
  JudgingRound round_;
  catalog::ScanSummaries scans_;
  Containing containing_;
  const int max_runs_;
  const std::size_t max_remembered_;
  bool has_unsettled_ = true;  // of an earlier life: judge_some() finds out
  std::unordered_map<StackName, StackId, StackNameHash> ids_;
  std::unordered_map<StackId, JudgedStack> stacks_;
  std::unordered_map<EvidenceDigest, LayerVerdict> by_evidence_;
};

/// The findings that judging opens and resolves; all others have their own causes.
bool is_judged_kind(catalog::FindingKind kind);
/// `mismatch` and `tampered` stay open until a person closes them.
bool resolves_by_itself(catalog::FindingKind kind);
/// 32 hex digits: the time, then 64 random bits.
std::string new_finding_id(std::int64_t opened_ns);

}  // namespace assay::collector
