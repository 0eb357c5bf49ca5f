// SPDX-License-Identifier: Apache-2.0
// What a token may be narrowed to: a closed list (docs/cli.md, "Tokens"), and which of it each call
// asks for.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::collector {

enum class Scope {
  kRunsRead,
  kFindingsRead,
  kNodesRead,
  kCatalogRead,
  kCatalogSubmit,
  kScansRead,
  kScansImport,
  kTriageWrite,
  kNodesCommand,
  kNodesAdmit,
  kTokensManage,
  kAuditRead,
};

std::string_view to_string(Scope scope);  ///< "runs:read", …
/// Errors: kInvalidArgument, naming those there are.
Result<Scope> parse_scope(std::string_view text);
/// "a, b, c"; "" for none.
std::string join(const std::vector<Scope>& scopes);

/// The scope that a call ("Query.ListRuns") asks for. None: no narrowed token may make it, but for
/// Access.WhoAmI, which everybody may.
std::optional<Scope> scope_of(std::string_view method);

}  // namespace assay::collector
