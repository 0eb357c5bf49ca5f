// SPDX-License-Identifier: Apache-2.0
#include "collector/query/services.h"

#include <grpcpp/grpcpp.h>

#include "assay/v1/access.grpc.pb.h"
#include "assay/v1/planning.grpc.pb.h"
#include "assay/v1/query.grpc.pb.h"
#include "assay/v1/scan.grpc.pb.h"
#include "assay/v1/triage.grpc.pb.h"
#include "collector/query/access_answers.h"
#include "collector/query/answers.h"
#include "collector/query/desk.h"
#include "collector/query/scan_answers.h"
#include "collector/query/triage_answers.h"

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

class TriageService final : public v1::Triage::CallbackService {
 public:
  TriageService(Desk& desk, TriageAnswers& answers) : desk_(desk), answers_(answers) {}
  Reactor* GetFinding(Context* context, const v1::GetFindingRequest* request,
                      v1::FindingDetail* response) override {
    return desk_.serve(context, "Triage.GetFinding", Role::kViewer, [=, this](const Actor&) {
      return answers_.get_finding(*request, *response);
    });
  }
  Reactor* ChangeFinding(Context* context, const v1::ChangeFindingRequest* request,
                         v1::ChangedFinding* response) override {
    return desk_.serve(
        context, "Triage.ChangeFinding", Role::kApprover,
        [=, this](const Actor& actor) { return answers_.change(actor, *request, *response); });
  }

 private:
  Desk& desk_;
  TriageAnswers& answers_;
};

class AccessService final : public v1::Access::CallbackService {
 public:
  AccessService(Desk& desk, AccessAnswers& answers) : desk_(desk), answers_(answers) {}
  Reactor* WhoAmI(Context* context, const v1::WhoAmIRequest*, v1::Identity* response) override {
    return desk_.serve_for(context, "Access.WhoAmI", Role::kViewer,
                           [=](const Principal& who, const Actor& actor) {
                             return AccessAnswers::who_am_i(who, actor, *response);
                           });
  }
  Reactor* CreateToken(Context* context, const v1::CreateTokenRequest* request,
                       v1::CreatedToken* response) override {
    return desk_.serve_for(context, "Access.CreateToken", Role::kAdmin,
                           [=, this](const Principal& who, const Actor& actor) {
                             return answers_.create_token(who, actor, *request, *response);
                           });
  }
  Reactor* ListTokens(Context* context, const v1::ListTokensRequest* request,
                      v1::ListTokensResponse* response) override {
    return desk_.serve(context, "Access.ListTokens", Role::kAdmin, [=, this](const Actor&) {
      return answers_.list_tokens(*request, *response);
    });
  }
  Reactor* RevokeToken(Context* context, const v1::RevokeTokenRequest* request,
                       v1::Token* response) override {
    return desk_.serve_for(context, "Access.RevokeToken", Role::kAdmin,
                           [=, this](const Principal& who, const Actor& actor) {
                             return answers_.revoke_token(who, actor, *request, *response);
                           });
  }
  Reactor* ListAudit(Context* context, const v1::ListAuditRequest* request,
                     v1::ListAuditResponse* response) override {
    return desk_.serve(context, "Access.ListAudit", Role::kAdmin, [=, this](const Actor&) {
      return answers_.list_audit(*request, *response);
    });
  }

 private:
  Desk& desk_;
  AccessAnswers& answers_;
};

class Services final : public QueryServices {
 public:
  Services(Store& store, CatalogKeeper& keeper, const NodeDirectory& nodes, Ledger& ledger,
           Doorkeeper& door, const Clock& clock, const QueryOptions& options)
      : answers_(store, keeper, nodes, clock),
        scan_answers_(store, keeper, ledger, clock),
        triage_answers_(store, ledger, clock, options.people.max_mute),
        access_answers_(store, ledger, door.tokens(), clock, options.people.max_token_lifetime),
        desk_(door, options.threads, options.max_waiting),
        query_(desk_, answers_),
        catalog_(desk_, answers_),
        scans_(desk_, scan_answers_),
        planning_(desk_, answers_),
        triage_(desk_, triage_answers_),
        access_(desk_, access_answers_) {}

  std::vector<grpc::Service*> services() override {
    return {&query_, &catalog_, &scans_, &planning_, &triage_, &access_};
  }
  void set_limits(PeopleLimits limits) override {
    triage_answers_.set_max_mute(limits.max_mute);
    access_answers_.set_max_lifetime(limits.max_token_lifetime);
  }

 private:
  Answers answers_;
  ScanAnswers scan_answers_;
  TriageAnswers triage_answers_;
  AccessAnswers access_answers_;
  Desk desk_;  // its pool uses the answers
  QueryService query_;
  CatalogRpc catalog_;
  ScanRpc scans_;
  PlanningService planning_;
  TriageService triage_;
  AccessService access_;
};

}  // namespace

std::unique_ptr<QueryServices> QueryServices::create(Store& store, CatalogKeeper& keeper,
                                                     const NodeDirectory& nodes, Ledger& ledger,
                                                     Doorkeeper& door, const Clock& clock,
                                                     QueryOptions options) {
  return std::make_unique<Services>(store, keeper, nodes, ledger, door, clock, options);
}

}  // namespace assay::collector
