// SPDX-License-Identifier: Apache-2.0
// Refused tries in the audit log, without letting anybody flood it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "collector/core/ports.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::collector {

inline constexpr std::size_t kMaxRefusalKinds = 1024;  ///< that are counted at a time

/// The first try of a host, of one kind (actor, action and reason), is written at once; those that
/// follow within a minute are counted and written as one entry after it. With more kinds than
/// kMaxRefusalKinds the rest is counted together. Thread-safe.
class RefusalLog {
 public:
  /// Both must outlive it.
  RefusalLog(Ledger& ledger, const Clock& clock) : ledger_(ledger), clock_(clock) {}
  ~RefusalLog() { flush(true); }
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  /// `entry`: all but its time and outcome.
  void refused(AuditEntry entry);
  /// Writes what was counted in minutes that are over, or of all.
  void flush(bool is_last = false);

 private:
  using Kind = std::tuple<std::string, std::string, std::string, std::string>;
  struct Counted {
    AuditEntry last;
    BootTime began{};
    std::uint64_t more = 0;  ///< after the first
  };
  void write(const Counted& counted);

  Ledger& ledger_;
  const Clock& clock_;
  Mutex mutex_;
  std::map<Kind, Counted> kinds_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
