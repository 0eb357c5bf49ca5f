// SPDX-License-Identifier: Apache-2.0
// What calls about single findings answer. Private to collector/query.
#pragma once

#include <atomic>
#include <chrono>

#include "assay/v1/triage.pb.h"
#include "collector/core/ports.h"

namespace assay::collector {

/// Thread-safe; every function blocks on disk. Errors: those of apply_triage(), kUnavailable.
class TriageAnswers {
 public:
  TriageAnswers(Store& store, Ledger& ledger, const Clock& clock, std::chrono::nanoseconds max_mute)
      : store_(store), ledger_(ledger), clock_(clock), max_mute_ns_(max_mute.count()) {}

  Result<void> get_finding(const v1::GetFindingRequest& request, v1::FindingDetail& response);
  Result<void> change(const Actor& actor, const v1::ChangeFindingRequest& request,
                      v1::ChangedFinding& response);
  void set_max_mute(std::chrono::nanoseconds max_mute) { max_mute_ns_ = max_mute.count(); }

 private:
  Store& store_;
  Ledger& ledger_;
  const Clock& clock_;
  std::atomic<std::int64_t> max_mute_ns_;
};

}  // namespace assay::collector
