// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "common/catalog/log.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;
using nlohmann::json;

namespace {

Statement full_approval() {
  Statement statement;
  statement.catalog_id = "00112233445566778899aabbccddeeff";
  statement.sequence = 2;
  statement.previous.bytes.fill(0xab);
  statement.issued_at = parse_rfc3339("2026-06-01T00:00:00.123456789Z").value();
  statement.base = id_of("golden/debian:12");
  statement.stacks = base("x:1", {"A", "B"}).stacks;
  statement.stacks[0].manifest_digest = "sha256:" + std::string(64, 'e');
  statement.stacks.push_back(base("x:1", {"C"}).stacks[0]);
  statement.stacks[1].layers[0].diff_id.reset();
  statement.stacks[1].layers[0].deletions.reset();
  statement.stacks[1].root = BaseRoot{shape("R"), content("R"), 11, 1100};
  statement.stacks[0].layers[1].deviceless = BaseDeviceless{shape("B'"), content("B'")};
  statement.stacks[0].file_set = FileSetReference{digest_for<FileSetDigest>("files", "x"), 4711};
  statement.reason = "first \"release\"\n";
  statement.expires_at = parse_rfc3339("2027-01-01T00:00:00Z").value();
  statement.successor = "golden/debian:13";
  statement.annotations = {{"source", "debootstrap"}};
  return statement;
}

/// The approval of the test vector in docs/formats/catalog.md.
Statement documented_approval() {
  Statement statement;
  statement.catalog_id = "00112233445566778899aabbccddeeff";
  statement.sequence = 1;
  statement.issued_at = parse_rfc3339("2026-01-02T03:04:05Z").value();
  statement.base = id_of("debian:12");
  BaseLayer layer;
  layer.diff_id = DiffId{};
  layer.diff_id->bytes.fill(0x11);
  layer.shape.bytes.fill(0x22);
  layer.content.bytes.fill(0x33);
  layer.entries = 7;
  layer.content_bytes = 4096;
  statement.stacks = {BaseStack{"linux/amd64", "", {layer}, std::nullopt}};
  return statement;
}

constexpr const char* kDocumentedApproval =
    R"({"_type":"https://in-toto.io/Statement/v1","predicate":{"properties":["ASSAY_BASE_AP)"
    R"(PROVED"],"timeCreated":"2026-01-02T03:04:05.000000000Z","urn:assay:catalog:statement)"
    R"(:v1":{"action":"approve","base":"debian:12","catalog_id":"00112233445566778899aabbcc)"
    R"(ddeeff","issued_at":"2026-01-02T03:04:05.000000000Z","previous":"sha256:000000000000)"
    R"(0000000000000000000000000000000000000000000000000000","sequence":1,"stacks":[{"layer)"
    R"(s":[{"content":"sha256:3333333333333333333333333333333333333333333333333333333333333)"
    R"(333","content_bytes":4096,"diff_id":"sha256:1111111111111111111111111111111111111111)"
    R"(111111111111111111111111","entries":7,"shape":"sha256:222222222222222222222222222222)"
    R"(2222222222222222222222222222222222"}],"platform":"linux/amd64"}]},"verifier":{"id":")"
    R"(urn:assay:catalog:00112233445566778899aabbccddeeff","policies":[]}},"predicateType":)"
    R"("https://in-toto.io/attestation/svr/v0.2","subject":[{"digest":{"sha256":"029e4c98e6)"
    R"(cf773eb41953f7976b2494f253e8cefddd0d3d9a328aca243d6513"},"name":"debian:12"}]})";

}  // namespace

TEST_CASE("a statement survives in-toto JSON whole", "[catalog][unit]") {
  const std::string text = to_in_toto(full_approval());
  const Statement read = statement_from_in_toto(text).value();
  CHECK(to_in_toto(read) == text);
  CHECK(read.issued_at == full_approval().issued_at);
  CHECK(read.stacks[0].layers.size() == 2);
  CHECK_FALSE(read.stacks[1].layers[0].deletions);
  CHECK_FALSE(read.stacks[0].root);
  CHECK(read.stacks[1].root == full_approval().stacks[1].root);
  CHECK(read.stacks[0].layers[1].deviceless == full_approval().stacks[0].layers[1].deviceless);
  CHECK_FALSE(read.stacks[0].layers[0].deviceless);
  CHECK(read.stacks[0].file_set == full_approval().stacks[0].file_set);
  CHECK_FALSE(read.stacks[1].file_set);
  CHECK(read.annotations == full_approval().annotations);
}

TEST_CASE("the documented statement has the documented bytes", "[catalog][unit]") {
  CHECK(to_in_toto(documented_approval()) == kDocumentedApproval);
}

TEST_CASE("the documented statement with other forms has the documented subject",
          "[catalog][unit]") {
  Statement statement = documented_approval();
  BaseDeviceless& deviceless = statement.stacks[0].layers[0].deviceless.emplace();
  deviceless.shape.bytes.fill(0x66);
  deviceless.content.bytes.fill(0x77);
  BaseRoot& root = statement.stacks[0].root.emplace();
  root.shape.bytes.fill(0x44);
  root.content.bytes.fill(0x55);
  root.entries = 6;
  root.content_bytes = 4000;
  const json object = json::parse(to_in_toto(statement));
  CHECK(object["subject"][0]["digest"]["sha256"] ==
        "a90478596ed9d104ea6fcf0501275c3d5cb0bc1e0f7860fc5db0f9d3c757c2b0");
}

TEST_CASE("the documented statement with a file set has the documented subject",
          "[catalog][unit]") {
  Statement statement = documented_approval();
  FileSetReference& file_set = statement.stacks[0].file_set.emplace();
  file_set.digest.bytes.fill(0x88);
  file_set.files = 5;
  const json object = json::parse(to_in_toto(statement));
  CHECK(object["subject"][0]["digest"]["sha256"] ==
        "5f1c354209ca0360427d1d674b8d425ec2661f2ed02507f225264397df0f0e1c");
}

TEST_CASE("a policy with rules has the documented subject, and is strict", "[catalog][unit]") {
  Statement statement = documented_approval();
  statement.stacks.clear();
  statement.action = Action::kSetPolicy;
  Policy& policy = statement.policy.emplace();
  policy.since_build = std::chrono::days(90);
  policy.severity_limits.critical = 0;
  Exemption& exemption = policy.exemptions.emplace_back();
  exemption.base = "debian";
  exemption.pod_namespace = "payments";
  exemption.owner = "pay@example.org";
  exemption.reason = "moves in May";
  exemption.until = parse_rfc3339("2026-05-31T00:00:00Z").value();
  const std::string text = to_in_toto(statement);
  const json object = json::parse(text);
  CHECK(object["subject"][0]["digest"]["sha256"] ==
        "2f99ff49f8540ee04f2a209f5504fb9578d0ede8e721f0db513b8039feb9f66a");
  CHECK(statement_from_in_toto(text).value().policy == statement.policy);
  const auto spoiled = [&](const char* path, const json& value) {
    json bad = object;
    bad["predicate"]["policy"]["rules"][json::json_pointer(path)] = value;
    return statement_from_in_toto(bad.dump());
  };
  for (const auto& [path, value] : std::initializer_list<std::pair<const char*, json>>{
           {"/requires_scan", 1},
           {"/revoked_rung", "none"},
           {"/since_build_seconds", 0},
           {"/since_build_seconds", 4'000'000'000U},
           {"/severity_limits/critical", -1},
           {"/severity_limits/terrible", 1},
           {"/more", 1},
           {"/exemptions/0/until", "soon"},
           {"/exemptions/0/base", "Debian"},
           {"/exemptions/0/owner", ""},
           {"/exemptions/0/namespace", 5},
           {"/exemptions/0/labels", json::array()},
           {"/severity_limits/critical", 1}}) {  // another policy than the subject's
    INFO(path);
    CHECK_FALSE(spoiled(path, value));
  }
}

TEST_CASE("a policy for containment has the documented subject, and is strict", "[catalog][unit]") {
  Statement statement = documented_approval();
  statement.stacks.clear();
  statement.action = Action::kSetPolicy;
  statement.policy.emplace();
  const json usual = json::parse(to_in_toto(statement));
  CHECK_FALSE(usual["predicate"]["policy"].contains("contained_share_percent"));
  statement.policy->contained_share_percent = 80;
  const std::string text = to_in_toto(statement);
  const json object = json::parse(text);
  CHECK(object["subject"][0]["digest"]["sha256"] != usual["subject"][0]["digest"]["sha256"]);
  CHECK(object["subject"][0]["digest"]["sha256"] ==
        "6b82717227b2b69f52d036f591af91bddb3db7ddd709442f0af3502aed8f1969");
  CHECK(statement_from_in_toto(text).value().policy == statement.policy);
  for (const char* name :
       {"contained_share_percent", "contained_own_percent", "contained_min_files"}) {
    INFO(name);
    for (const json& value : {json(0), json(101), json(-1), json("80"), json(1.5)}) {
      json bad = object;
      bad["predicate"]["policy"][name] = value;
      if (value == 101 && std::string(name) == "contained_min_files") continue;
      CHECK_THAT(statement_from_in_toto(bad.dump()).error().message,
                 Catch::Matchers::Contains(name));
    }
    json bad = object;
    bad["predicate"]["policy"].erase(name);
    CHECK_THAT(statement_from_in_toto(bad.dump()).error().message, Catch::Matchers::Contains(name));
  }
}

TEST_CASE("statements are in-toto Statement v1", "[catalog][unit]") {
  const json object = json::parse(to_in_toto(full_approval()));
  CHECK(object["_type"] == "https://in-toto.io/Statement/v1");
  CHECK(object["predicateType"] == "https://in-toto.io/attestation/svr/v0.2");
  CHECK(object["subject"][0]["name"] == "golden/debian:12");
  REQUIRE(object["subject"].size() == 2);
  CHECK(object["subject"][1]["name"] == "manifest");
  CHECK(object["subject"][1]["digest"]["sha256"] == std::string(64, 'e'));
  Statement revoke = documented_approval();
  revoke.action = Action::kRevoke;
  revoke.stacks.clear();
  CHECK(json::parse(to_in_toto(revoke))["predicateType"] == "urn:assay:catalog:statement:v1");
  CHECK(object["subject"][0]["digest"]["sha256"].get<std::string>().size() == 64);
}

TEST_CASE("a statement with anything wrong in it is refused", "[catalog][unit]") {
  struct Row {
    const char* name;
    std::function<void(json&)> spoil;
    const char* says;
  };
  const auto p = [](json& j) -> json& { return j["predicate"]["urn:assay:catalog:statement:v1"]; };
  const Row rows[] = {
      {"old in-toto", [](json& j) { j["_type"] = "https://in-toto.io/Statement/v0.1"; }, "_type"},
      {"later predicate", [](json& j) { j["predicateType"] = "urn:assay:catalog:statement:v2"; },
       "predicateType"},
      {"the verifier of another catalog",
       [](json& j) { j["predicate"]["verifier"]["id"] = "urn:assay:catalog:0"; }, "\"verifier\""},
      {"another time of the result",
       [](json& j) { j["predicate"]["timeCreated"] = "2026-01-01T00:00:00Z"; }, "\"timeCreated\""},
      {"another property", [](json& j) { j["predicate"]["properties"].push_back("X"); },
       "\"properties\""},
      {"unknown member of the result", [](json& j) { j["predicate"]["x"] = 1; }, "\"x\""},
      {"an approval as a plain statement",
       [&](json& j) {
         j["predicate"] = json(p(j));
         j["predicateType"] = "urn:assay:catalog:statement:v1";
       },
       "\"action\""},
      {"a manifest that no stack has", [](json& j) { j["subject"].push_back(j["subject"][0]); },
       "subject"},
      {"no predicate", [](json& j) { j.erase("predicate"); }, "\"predicate\" is missing"},
      {"predicate is text", [](json& j) { j["predicate"] = "x"; }, "not a JSON object"},
      {"no subject", [](json& j) { j.erase("subject"); }, "subject"},
      {"other subject", [](json& j) { j["subject"][0]["name"] = "x:1"; }, "subject"},
      {"other subject digest",
       [](json& j) { j["subject"][0]["digest"]["sha256"] = std::string(64, '0'); }, "subject"},
      {"entries not under the subject",
       [&](json& j) { p(j)["stacks"][0]["layers"][0]["entries"] = 11; }, "subject"},
      {"unknown member", [&](json& j) { p(j)["only_on"] = "x"; }, "\"only_on\" is not a member"},
      {"unknown member of a layer", [&](json& j) { p(j)["stacks"][0]["layers"][1]["x"] = 1; },
       "stacks[0].layers[1]: \"x\""},
      {"a root without content", [&](json& j) { p(j)["stacks"][1]["root"].erase("content"); },
       "stacks[1].root: \"content\""},
      {"root not under the subject", [&](json& j) { p(j)["stacks"][1]["root"]["entries"] = 1; },
       "subject"},
      {"a file set without its digest",
       [&](json& j) { p(j)["stacks"][0]["file_set"].erase("digest"); },
       "stacks[0].file_set: \"digest\""},
      {"too large a file set", [&](json& j) { p(j)["stacks"][0]["file_set"]["files"] = 200'001; },
       "stacks[0].file_set: \"files\""},
      {"unknown member of a file set", [&](json& j) { p(j)["stacks"][0]["file_set"]["x"] = 1; },
       "stacks[0].file_set: \"x\""},
      {"file set not under the subject",
       [&](json& j) { p(j)["stacks"][0]["file_set"]["files"] = 4712; }, "subject"},
      {"file set taken away", [&](json& j) { p(j)["stacks"][0].erase("file_set"); }, "subject"},
      {"root taken away", [&](json& j) { p(j)["stacks"][1].erase("root"); }, "subject"},
      {"unknown member of a layer without devices",
       [&](json& j) { p(j)["stacks"][0]["layers"][1]["deviceless"]["x"] = 1; },
       "stacks[0].layers[1].deviceless: \"x\""},
      {"layer without devices not under the subject",
       [&](json& j) { p(j)["stacks"][0]["layers"][1].erase("deviceless"); }, "subject"},
      {"unknown member of a root", [&](json& j) { p(j)["stacks"][1]["root"]["x"] = 1; },
       "stacks[1].root: \"x\""},
      {"unknown action", [&](json& j) { p(j)["action"] = "bless"; }, "\"action\""},
      {"sequence zero", [&](json& j) { p(j)["sequence"] = 0; }, "begins at 1"},
      {"negative sequence", [&](json& j) { p(j)["sequence"] = -1; }, "\"sequence\""},
      {"sequence as text", [&](json& j) { p(j)["sequence"] = "2"; }, "\"sequence\""},
      {"fraction", [&](json& j) { p(j)["sequence"] = 2.5; }, "\"sequence\""},
      {"short previous", [&](json& j) { p(j)["previous"] = "sha256:ab"; }, "\"previous\""},
      {"date", [&](json& j) { p(j)["issued_at"] = "yesterday"; }, "\"issued_at\""},
      {"date beyond 64 bits", [&](json& j) { p(j)["expires_at"] = "9999-01-01T00:00:00Z"; },
       "\"expires_at\""},
      {"name without version", [&](json& j) { p(j)["base"] = "debian"; }, "NAME:VERSION"},
      {"catalog id in capitals",
       [&](json& j) { p(j)["catalog_id"] = "00112233445566778899AABBCCDDEEFF"; }, "catalog_id"},
      {"no stacks", [&](json& j) { p(j)["stacks"] = json::array(); }, "\"stacks\" is empty"},
      {"no layers", [&](json& j) { p(j)["stacks"][0]["layers"] = json::array(); },
       "\"layers\" is empty"},
      {"layer is a number", [&](json& j) { p(j)["stacks"][0]["layers"][0] = 1; },
       "not a JSON object"},
      {"too many layers",
       [&](json& j) {
         json& layers = p(j)["stacks"][0]["layers"];
         layers = json(513, layers[0]);
       },
       "more than 512"},
      {"over-long reason", [&](json& j) { p(j)["reason"] = std::string(4097, 'x'); },
       "longer than 4096"},
      {"annotation is a number", [&](json& j) { p(j)["annotations"]["n"] = 1; }, "annotations"},
      {"too many annotations",
       [&](json& j) {
         for (int i = 0; i < 65; ++i)
           p(j)["annotations"][std::to_string(i)] = "";
       },
       "more than 64"},
      {"policy in an approval",
       [&](json& j) {
         p(j)["policy"] = {{"required_rung", "shape"}, {"pending_deadline_seconds", 1}};
       },
       "\"policy\" is not a member"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    json object = json::parse(to_in_toto(full_approval()));
    row.spoil(object);
    auto read = statement_from_in_toto(object.dump());
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message, Catch::Contains(row.says));
  }
}

TEST_CASE("a policy that accepts no evidence at all is refused", "[catalog][unit]") {
  Statement statement = full_approval();
  statement.action = Action::kSetPolicy;
  statement.stacks.clear();
  statement.expires_at.reset();
  statement.successor.clear();
  const auto read = [&](Rung rung, std::chrono::seconds deadline) {
    statement.policy = Policy{rung, deadline};
    return statement_from_in_toto(to_in_toto(statement)).has_value();
  };
  CHECK(read(Rung::kContent, std::chrono::minutes(5)));
  CHECK(read(Rung::kShape, std::chrono::seconds(0)));
  CHECK_FALSE(read(Rung::kClaimed, std::chrono::minutes(5)));  // what a store says never approves
  CHECK_FALSE(read(Rung::kNone, std::chrono::minutes(5)));
  CHECK_FALSE(read(Rung::kContained, std::chrono::minutes(5)));
  CHECK_FALSE(read(Rung::kContent, std::chrono::days(8)));
}

TEST_CASE("what is not JSON at all is refused", "[catalog][unit]") {
  const std::string good = to_in_toto(full_approval());
  CHECK_FALSE(statement_from_in_toto(""));
  CHECK_FALSE(statement_from_in_toto(good.substr(0, good.size() - 1)));
  CHECK_FALSE(statement_from_in_toto(good + "x"));
  CHECK_FALSE(statement_from_in_toto("[" + good + "]"));
  CHECK_FALSE(statement_from_in_toto(std::string(100'000, '{')));
  CHECK_FALSE(head_from_in_toto(good));
}

TEST_CASE("a head survives in-toto JSON", "[catalog][unit]") {
  Head head{"00112233445566778899aabbccddeeff", 9, {}, full_approval().issued_at, {}};
  head.last.bytes.fill(7);
  head.expires_at = head.issued_at + kHeadLifetime;
  const Head read = head_from_in_toto(to_in_toto(head)).value();
  CHECK(read.catalog_id == head.catalog_id);
  CHECK(read.sequence == 9);
  CHECK(read.last == head.last);
  CHECK(read.issued_at == head.issued_at);
  CHECK(read.expires_at == head.expires_at);
}
