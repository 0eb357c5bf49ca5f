// SPDX-License-Identifier: Apache-2.0
// Source: in-toto/attestation, spec/predicates/svr.md v0.2.
#include "common/catalog/svr.h"

#include "common/catalog/json_reader.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

json verifier_json(const Statement& approval) {
  return {{"id", "urn:assay:catalog:" + approval.catalog_id}, {"policies", json::array()}};
}

json properties_json() {
  return json::array({"ASSAY_BASE_APPROVED"});
}

}  // namespace

json svr_predicate(const Statement& approval, std::string_view own_name, json own) {
  json object = {{"verifier", verifier_json(approval)},
                 {"timeCreated", to_rfc3339(approval.issued_at, 9)},
                 {"properties", properties_json()}};
  object[std::string(own_name)] = std::move(own);
  return object;
}

void check_svr(const json& predicate, const Statement& approval, std::string_view own_name,
               std::optional<Error>& fault) {
  JsonReader reader(predicate, "predicate", fault);
  const json* verifier = reader.member("verifier", true);
  if (verifier != nullptr && *verifier != verifier_json(approval))
    reader.fail("verifier", "is not the catalog that the approval belongs to");
  const auto time = reader.time("timeCreated", true);
  if (time && *time != approval.issued_at)
    reader.fail("timeCreated", "is another time than issued_at");
  const json* properties = reader.member("properties", true);
  if (properties != nullptr && *properties != properties_json())
    reader.fail("properties", "is not that of an approval");
  (void)reader.member(std::string(own_name).c_str(), true);
  reader.expect_no_more();
}

}  // namespace assay::catalog
