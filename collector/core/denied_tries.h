// SPDX-License-Identifier: Apache-2.0
// Every denied try is in the audit log, and nobody can fill the disk with them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/store.h"

namespace assay::collector {

/// Tries that look alike (who, what, from which host) are written one by one while they are few.
/// Those beyond are counted, and the count is an entry of its own when they have stopped for a
/// while, or once a minute. Not thread-safe.
class DeniedTries {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// The entry as it is to be written now; nothing: it was counted.
  std::optional<AuditEntry> admit(AuditEntry entry, Time now);
  /// Entries that tell counts that are due, or all of them at the end; `now_ns` is their time.
  std::vector<AuditEntry> due(Time now, std::int64_t now_ns, bool is_last = false);

 private:
  struct Bucket {
    double tokens = 0;
    Time filled{};
    bool take(Time now, double burst, double per_second);
  };
  struct Kind {
    Bucket bucket;
    AuditEntry last;
    std::uint64_t held_back = 0;
    Time told{};
  };

  std::map<std::string, Kind> kinds_;
  Bucket all_;
};

}  // namespace assay::collector
