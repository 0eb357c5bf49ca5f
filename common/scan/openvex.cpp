// SPDX-License-Identifier: Apache-2.0
#include "common/base/encoding.h"
#include "common/catalog/scan_matching.h"
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::ScanReport;
using catalog::VexStatement;

constexpr std::size_t kMaxProducts = 1000;  // of one statement, and their packages

bool is_image(const std::string& type) {
  return type == "oci" || type == "docker";
}

/// A product is an image, by its package URL or hash, or a package.
Result<void> add_product(const Json& product, bool may_be_image, VexStatement& out) {
  if (out.packages.size() + out.images.size() > kMaxProducts)
    return Error{ErrorCode::kLimitExceeded,
                 "a statement has more than " + std::to_string(kMaxProducts) + " products"};
  std::string name = product.is_string() ? text(product) : text(product, "@id");
  const std::string purl = text(member(product, {"identifiers", "purl"}));
  if (!purl.empty()) name = purl;
  const auto url = catalog::parse_purl(name);
  if (may_be_image && url && is_image(url->type)) {
    if (const auto digest = digest_in_reference(url->version)) out.images.push_back(*digest);
  } else if (url) {
    out.packages.push_back(name);
  }
  if (const auto hash = Sha256::parse(text(member(product, {"hashes", "sha-256"})));
      may_be_image && hash)
    out.images.push_back(*hash);
  for (const Json& part : list(product, "subcomponents"))
    ASSAY_TRY(add_product(part, false, out));
  return ok();
}

Result<VexStatement> read_statement(const Json& item, std::optional<WallTime> document_time) {
  VexStatement statement;
  const Json& vulnerability = member(item, "vulnerability");
  statement.id = vulnerability.is_string() ? text(vulnerability) : text(vulnerability, "name");
  if (statement.id.empty()) return missing("\"vulnerability.name\" of a statement");
  ASSAY_ASSIGN(statement.aliases, texts(vulnerability, "aliases", catalog::kMaxScanIds));
  const std::string status = text(item, "status");
  auto parsed = catalog::parse_applicability(status);
  if (!parsed || *parsed == catalog::Applicability::kSuppressed)
    return Error{ErrorCode::kCorrupt, "a statement on " + statement.id +
                                          " has no status that OpenVEX knows: \"" + status + "\""};
  statement.applicability = *parsed;
  const std::string why = text(item, "justification");
  const std::string impact = text(item, "impact_statement");
  if (*parsed == catalog::Applicability::kNotAffected && why.empty() && impact.empty())
    return Error{ErrorCode::kCorrupt, "the statement on " + statement.id +
                                          " says not_affected without a justification or an impact "
                                          "statement, which OpenVEX requires"};
  statement.status_said = joined({status, why, impact, text(item, "action_statement")}, ": ");
  for (const char* key : {"timestamp", "last_updated"})
    if (const auto said = time(raw_text(item, key))) statement.time = *said;
  if (statement.time == WallTime{}) statement.time = document_time.value_or(WallTime{});
  for (const Json& product : list(item, "products"))
    ASSAY_TRY(add_product(product, true, statement));
  for (const Json& part : list(item, "subcomponents"))  // of version 0.0.1
    ASSAY_TRY(add_product(part, false, statement));
  return statement;
}

}  // namespace

Result<ScanReport> read_openvex(const Json& report) {
  ScanReport out;
  out.format = catalog::ScanFormat::kOpenVex;
  out.tool = text(report, "tooling");
  if (out.tool.empty()) out.tool = text(report, "author");
  if (out.tool.empty()) return missing("\"author\"");
  out.scanned_at = time(raw_text(report, "timestamp"));
  if (!out.scanned_at) return missing("\"timestamp\", or it is no time:");
  out.tool_version = text(report, "version");
  if (!member(report, "statements").is_array() || list(report, "statements").empty())
    return missing("the list \"statements\"");
  for (const Json& item : list(report, "statements")) {
    ASSAY_ASSIGN(VexStatement statement, read_statement(item, out.scanned_at));
    out.statements.push_back(std::move(statement));
  }
  return out;
}

}  // namespace assay::scan
