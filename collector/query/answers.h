// SPDX-License-Identifier: Apache-2.0
// What each call answers, without gRPC: requests in, messages or errors out. Private to
// collector/query.
#pragma once

#include <string>

#include "assay/v1/planning.pb.h"
#include "assay/v1/query.pb.h"
#include "collector/core/ports.h"

namespace assay::collector {

/// Thread-safe; every function blocks on disk. Errors: kInvalidArgument, kNotFound, kUnavailable.
class Answers {
 public:
  Answers(Store& store, CatalogKeeper& keeper, const NodeDirectory& nodes, const Clock& clock)
      : store_(store), keeper_(keeper), nodes_(nodes), clock_(clock) {}

  Result<void> list_runs(const v1::ListRunsRequest& request, v1::ListRunsResponse& response);
  Result<void> list_findings(const v1::ListFindingsRequest& request,
                             v1::ListFindingsResponse& response);
  Result<void> list_nodes(const v1::ListNodesRequest& request, v1::ListNodesResponse& response);
  Result<void> get_trace(const v1::GetTraceRequest& request, v1::Trace& response);
  Result<void> get_log(const v1::GetLogRequest& request, v1::CatalogLog& response);
  Result<void> get_file_sets(const v1::GetFileSetsRequest& request, v1::FileSets& response);
  Result<void> submit(const Actor& actor, const v1::SubmitRequest& request,
                      v1::SubmitResponse& response);
  Result<void> get_impact(const v1::GetImpactRequest& request, v1::Impact& response);
  Result<void> test_policy(const v1::TestPolicyRequest& request, v1::PolicyTrial& response);
  Result<void> discover(const v1::DiscoverRequest& request, v1::Discovery& response);

 private:
  Store& store_;
  CatalogKeeper& keeper_;
  const NodeDirectory& nodes_;
  const Clock& clock_;
};

}  // namespace assay::collector
