// SPDX-License-Identifier: Apache-2.0
#include "collector/core/scope.h"

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

struct Named {
  Scope scope;
  std::string_view name;
};
constexpr std::array kScopes = {
    Named{Scope::kRunsRead, "runs:read"},           Named{Scope::kFindingsRead, "findings:read"},
    Named{Scope::kNodesRead, "nodes:read"},         Named{Scope::kCatalogRead, "catalog:read"},
    Named{Scope::kCatalogSubmit, "catalog:submit"}, Named{Scope::kScansRead, "scans:read"},
    Named{Scope::kScansImport, "scans:import"},     Named{Scope::kTriageWrite, "triage:write"},
    Named{Scope::kNodesCommand, "nodes:command"},   Named{Scope::kNodesAdmit, "nodes:admit"},
    Named{Scope::kTokensManage, "tokens:manage"},   Named{Scope::kAuditRead, "audit:read"}};

struct Asked {
  std::string_view method;
  Scope scope;
};
constexpr std::array kMethods = {
    Asked{"Query.ListRuns", Scope::kRunsRead},
    Asked{"Query.GetTrace", Scope::kRunsRead},
    Asked{"Query.ListFindings", Scope::kFindingsRead},
    Asked{"Query.ListNodes", Scope::kNodesRead},
    Asked{"CatalogService.GetLog", Scope::kCatalogRead},
    Asked{"CatalogService.GetFileSets", Scope::kCatalogRead},
    Asked{"CatalogService.GetImpact", Scope::kCatalogRead},
    Asked{"CatalogService.Submit", Scope::kCatalogSubmit},
    Asked{"Planning.TestPolicy", Scope::kCatalogRead},
    Asked{"Planning.Discover", Scope::kCatalogRead},
    Asked{"ScanService.ListScans", Scope::kScansRead},
    Asked{"ScanService.WhereVulnerability", Scope::kScansRead},
    Asked{"ScanService.ImportScan", Scope::kScansImport},
    Asked{"Triage.GetFinding", Scope::kFindingsRead},
    Asked{"Triage.ChangeFinding", Scope::kTriageWrite},
    Asked{"NodeCommands.Verify", Scope::kNodesCommand},
    Asked{"NodeAccess.CreateJoinToken", Scope::kNodesAdmit},
    Asked{"NodeAccess.ListJoinTokens", Scope::kNodesAdmit},
    Asked{"NodeAccess.RevokeJoinToken", Scope::kNodesAdmit},
    Asked{"NodeAccess.RevokeNode", Scope::kNodesAdmit},
    Asked{"NodeAccess.RestoreNode", Scope::kNodesAdmit},
    Asked{"NodeAccess.ForgetNode", Scope::kNodesAdmit},
    Asked{"Access.CreateToken", Scope::kTokensManage},
    Asked{"Access.ListTokens", Scope::kTokensManage},
    Asked{"Access.RevokeToken", Scope::kTokensManage},
    Asked{"Access.ListAudit", Scope::kAuditRead},
};

}  // namespace

std::string_view to_string(Scope scope) {
  for (const Named& one : kScopes)
    if (one.scope == scope) return one.name;
  return "";
}

Result<Scope> parse_scope(std::string_view text) {
  std::string all;
  for (const Named& one : kScopes) {
    if (one.name == text) return one.scope;
    all += (all.empty() ? "" : ", ") + std::string(one.name);
  }
  return Error{ErrorCode::kInvalidArgument,
               "scope \"" + escape_untrusted(text, 80) + "\": there are " + all};
}

std::string join(const std::vector<Scope>& scopes) {
  std::string text;
  for (const Scope scope : scopes)
    text += (text.empty() ? "" : ", ") + std::string(to_string(scope));
  return text;
}

std::optional<Scope> scope_of(std::string_view method) {
  for (const Asked& one : kMethods)
    if (one.method == method) return one.scope;
  return std::nullopt;
}

}  // namespace assay::collector
