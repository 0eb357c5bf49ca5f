// SPDX-License-Identifier: Apache-2.0
// What the calls of ScanService answer, without gRPC. Private to collector/query.
#pragma once

#include <string>

#include "assay/v1/scan.pb.h"
#include "collector/core/ports.h"
#include "common/base/clock.h"

namespace assay::collector {

/// Thread-safe; every function blocks on disk. Errors: kInvalidArgument, kNotFound, kCorrupt,
/// kLimitExceeded, kUnavailable.
class ScanAnswers {
 public:
  ScanAnswers(Store& store, CatalogKeeper& keeper, Ledger& ledger, const Clock& clock)
      : store_(store), keeper_(keeper), ledger_(ledger), clock_(clock) {}

  Result<void> import_scan(const Actor& actor, const v1::ImportScanRequest& request,
                           v1::ImportScanResponse& response);
  Result<void> list_scans(const v1::ListScansRequest& request, v1::ListScansResponse& response);
  Result<void> where(const v1::WhereVulnerabilityRequest& request,
                     v1::WhereVulnerabilityResponse& response);

 private:
  Store& store_;
  CatalogKeeper& keeper_;
  Ledger& ledger_;
  const Clock& clock_;
};

}  // namespace assay::collector
