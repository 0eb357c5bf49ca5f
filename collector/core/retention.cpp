// SPDX-License-Identifier: Apache-2.0
#include "collector/core/retention.h"

namespace assay::collector {
namespace {

constexpr std::chrono::hours kRoundInterval{1};

}  // namespace

std::string_view to_string(Aged kind) {
  switch (kind) {
    case Aged::kExecs:
      return "execs";
    case Aged::kFindings:
      return "findings";
    case Aged::kRuns:
      return "runs";
    case Aged::kScans:
      return "scans";
    case Aged::kAudit:
      return "audit";
  }
  return "";
}

void Retainer::set_retention(const Retention& retention) {
  const MutexLock lock(mutex_);
  retention_ = retention;
}

bool Retainer::is_due(BootTime now) {
  if (!next_round_) next_round_ = now + kRoundInterval;
  return cursor_ || now >= *next_round_;
}

std::chrono::seconds Retainer::age_of(Aged kind) const {
  const MutexLock lock(mutex_);
  switch (kind) {
    case Aged::kExecs:
      return retention_.execs;
    case Aged::kFindings:
      return retention_.findings;
    case Aged::kRuns:
      return retention_.runs;
    case Aged::kScans:
      return retention_.scans;
    case Aged::kAudit:
      return retention_.audit;
  }
  return {};
}

Result<bool> Retainer::step(StoreWriter& store, WallTime wall, BootTime now, int max_rows) {
  if (!cursor_) {
    next_round_ = now + kRoundInterval;
    kind_ = 0;
    cursor_ = AgedCursor{};
  }
  const Aged kind = kAgedKinds[kind_];
  const std::chrono::seconds age = age_of(kind);
  AgedRows rows;
  if (age.count() > 0) {
    ASSAY_ASSIGN(rows, store.remove_aged(kind, to_unix_ns(wall - age), *cursor_, max_rows));
    removed_[static_cast<std::size_t>(kind)] += rows.removed;
  }
  cursor_ = rows.next;
  if (!cursor_ && ++kind_ < kAgedKinds.size()) cursor_ = AgedCursor{};
  return kind == Aged::kRuns && rows.removed > 0;
}

}  // namespace assay::collector
