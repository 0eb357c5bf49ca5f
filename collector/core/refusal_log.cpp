// SPDX-License-Identifier: Apache-2.0
#include "collector/core/refusal_log.h"

#include "collector/core/call_rates.h"

namespace assay::collector {
namespace {

constexpr std::chrono::minutes kWindow{1};

}  // namespace

void RefusalLog::refused(AuditEntry entry) {
  entry.time_ns = to_unix_ns(clock_.wall_now());
  entry.outcome = "refused";
  const BootTime now = clock_.boot_now();
  const MutexLock lock(mutex_);
  Kind kind{host_of_peer(entry.peer), entry.actor, entry.action, entry.detail};
  auto found = kinds_.find(kind);
  if (found == kinds_.end() && kinds_.size() >= kMaxRefusalKinds) {
    kind = {};
    entry = {entry.time_ns, "", "refusals", "", "refused", "tries of too many kinds to tell apart"};
    found = kinds_.find(kind);
  }
  if (found != kinds_.end() && now - found->second.began < kWindow) {
    ++found->second.more;
    found->second.last = std::move(entry);
    return;
  }
  if (found != kinds_.end()) write(found->second);
  ledger_.audit(entry);
  kinds_.insert_or_assign(std::move(kind), Counted{std::move(entry), now});
}

void RefusalLog::flush(bool is_last) {
  const BootTime now = clock_.boot_now();
  const MutexLock lock(mutex_);
  std::erase_if(kinds_, [&](const auto& kind) {
    const bool is_over = is_last || now - kind.second.began >= kWindow;
    if (is_over) write(kind.second);
    return is_over;
  });
}

void RefusalLog::write(const Counted& counted) {
  if (counted.more == 0) return;
  AuditEntry entry = counted.last;
  entry.detail += " (" + std::to_string(counted.more) + " more within a minute)";
  ledger_.audit(std::move(entry));
}

}  // namespace assay::collector
