// SPDX-License-Identifier: Apache-2.0
// An approval as in-toto Simple Verification Result: what other tools read of it, around what Assay
// reads (docs/formats/catalog.md, "Approvals"); internal to common/catalog.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "common/base/result.h"
#include "common/catalog/log.h"

namespace assay::catalog {

inline constexpr std::string_view kSvrPredicate = "https://in-toto.io/attestation/svr/v0.2";

/// The SVR predicate of `approval`, with `own` (Assay's predicate) as its member `own_name`.
nlohmann::json svr_predicate(const Statement& approval, std::string_view own_name,
                             nlohmann::json own);
/// Checks that `predicate` says of `approval` what svr_predicate() would, and nothing else.
void check_svr(const nlohmann::json& predicate, const Statement& approval,
               std::string_view own_name, std::optional<Error>& fault);

}  // namespace assay::catalog
