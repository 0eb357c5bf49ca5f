// SPDX-License-Identifier: Apache-2.0
#include "collector/query/services.h"

#include <grpcpp/grpcpp.h>

#include "assay/v1/planning.grpc.pb.h"
#include "assay/v1/query.grpc.pb.h"
#include "assay/v1/scan.grpc.pb.h"
#include "collector/query/answers.h"
#include "collector/query/desk.h"
#include "collector/query/scan_answers.h"

namespace assay::collector {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// gRPC keeps request and response until Finish.
class QueryService final : public v1::Query::CallbackService {
 public:
  QueryService(Desk& desk, Answers& answers) : desk_(desk), answers_(answers) {}
  Reactor* ListRuns(Context* context, const v1::ListRunsRequest* request,
                    v1::ListRunsResponse* response) override {
    return desk_.serve(context, "Query.ListRuns", Role::kViewer,
                       [=, this](const Actor&) { return answers_.list_runs(*request, *response); });
  }
  Reactor* ListFindings(Context* context, const v1::ListFindingsRequest* request,
                        v1::ListFindingsResponse* response) override {
    return desk_.serve(context, "Query.ListFindings", Role::kViewer, [=, this](const Actor&) {
      return answers_.list_findings(*request, *response);
    });
  }
  Reactor* ListNodes(Context* context, const v1::ListNodesRequest* request,
                     v1::ListNodesResponse* response) override {
    return desk_.serve(context, "Query.ListNodes", Role::kViewer, [=, this](const Actor&) {
      return answers_.list_nodes(*request, *response);
    });
  }
  Reactor* GetTrace(Context* context, const v1::GetTraceRequest* request,
                    v1::Trace* response) override {
    return desk_.serve(context, "Query.GetTrace", Role::kViewer,
                       [=, this](const Actor&) { return answers_.get_trace(*request, *response); });
  }

 private:
  Desk& desk_;
  Answers& answers_;
};

class CatalogRpc final : public v1::CatalogService::CallbackService {
 public:
  CatalogRpc(Desk& desk, Answers& answers) : desk_(desk), answers_(answers) {}
  Reactor* GetLog(Context* context, const v1::GetLogRequest* request,
                  v1::CatalogLog* response) override {
    return desk_.serve(context, "CatalogService.GetLog", Role::kViewer,
                       [=, this](const Actor&) { return answers_.get_log(*request, *response); });
  }
  Reactor* GetFileSets(Context* context, const v1::GetFileSetsRequest* request,
                       v1::FileSets* response) override {
    return desk_.serve(
        context, "CatalogService.GetFileSets", Role::kViewer,
        [=, this](const Actor&) { return answers_.get_file_sets(*request, *response); });
  }
  Reactor* Submit(Context* context, const v1::SubmitRequest* request,
                  v1::SubmitResponse* response) override {
    return desk_.serve(
        context, "CatalogService.Submit", Role::kApprover,
        [=, this](const Actor& actor) { return answers_.submit(actor, *request, *response); });
  }
  Reactor* GetImpact(Context* context, const v1::GetImpactRequest* request,
                     v1::Impact* response) override {
    return desk_.serve(context, "CatalogService.GetImpact", Role::kViewer, [=, this](const Actor&) {
      return answers_.get_impact(*request, *response);
    });
  }

 private:
  Desk& desk_;
  Answers& answers_;
};

class ScanRpc final : public v1::ScanService::CallbackService {
 public:
  ScanRpc(Desk& desk, ScanAnswers& answers) : desk_(desk), answers_(answers) {}
  Reactor* ImportScan(Context* context, const v1::ImportScanRequest* request,
                      v1::ImportScanResponse* response) override {
    return desk_.serve(
        context, "ScanService.ImportScan", Role::kApprover,
        [=, this](const Actor& actor) { return answers_.import_scan(actor, *request, *response); });
  }
  Reactor* ListScans(Context* context, const v1::ListScansRequest* request,
                     v1::ListScansResponse* response) override {
    return desk_.serve(context, "ScanService.ListScans", Role::kViewer, [=, this](const Actor&) {
      return answers_.list_scans(*request, *response);
    });
  }
  Reactor* WhereVulnerability(Context* context, const v1::WhereVulnerabilityRequest* request,
                              v1::WhereVulnerabilityResponse* response) override {
    return desk_.serve(context, "ScanService.WhereVulnerability", Role::kViewer,
                       [=, this](const Actor&) { return answers_.where(*request, *response); });
  }

 private:
  Desk& desk_;
  ScanAnswers& answers_;
};

class PlanningService final : public v1::Planning::CallbackService {
 public:
  PlanningService(Desk& desk, Answers& answers) : desk_(desk), answers_(answers) {}
  Reactor* TestPolicy(Context* context, const v1::TestPolicyRequest* request,
                      v1::PolicyTrial* response) override {
    return desk_.serve(context, "Planning.TestPolicy", Role::kViewer, [=, this](const Actor&) {
      return answers_.test_policy(*request, *response);
    });
  }
  Reactor* Discover(Context* context, const v1::DiscoverRequest* request,
                    v1::Discovery* response) override {
    return desk_.serve(context, "Planning.Discover", Role::kViewer,
                       [=, this](const Actor&) { return answers_.discover(*request, *response); });
  }

 private:
  Desk& desk_;
  Answers& answers_;
};

class Services final : public QueryServices {
 public:
  Services(Store& store, CatalogKeeper& keeper, const NodeDirectory& nodes, Ledger& ledger,
           const Clock& clock, const QueryOptions& options)
      : answers_(store, keeper, nodes, clock),
        scan_answers_(store, keeper, ledger, clock),
        desk_(ledger, clock, options.threads, options.max_waiting),
        query_(desk_, answers_),
        catalog_(desk_, answers_),
        scans_(desk_, scan_answers_),
        planning_(desk_, answers_) {}

  std::vector<grpc::Service*> services() override {
    return {&query_, &catalog_, &scans_, &planning_};
  }

 private:
  Answers answers_;
  ScanAnswers scan_answers_;
  Desk desk_;  // its pool uses the answers
  QueryService query_;
  CatalogRpc catalog_;
  ScanRpc scans_;
  PlanningService planning_;
};

}  // namespace

std::unique_ptr<QueryServices> QueryServices::create(Store& store, CatalogKeeper& keeper,
                                                     const NodeDirectory& nodes, Ledger& ledger,
                                                     const Clock& clock, QueryOptions options) {
  return std::make_unique<Services>(store, keeper, nodes, ledger, clock, options);
}

}  // namespace assay::collector
