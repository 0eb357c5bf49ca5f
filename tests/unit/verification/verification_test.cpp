// SPDX-License-Identifier: Apache-2.0
// What a verify says, on the wire and for people.
#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "common/output/json.h"
#include "common/output/table.h"
#include "common/output/yaml.h"
#include "common/verification/report.h"
#include "common/verification/verify_codec.h"

namespace assay::verification {
namespace {

using catalog::LayerOutcome;
using catalog::VerifiedLayer;
using catalog::VerifyBegun;
using catalog::VerifyDone;
using catalog::VerifyEvent;

VerifiedLayer layer(LayerOutcome outcome) {
  VerifiedLayer one;
  one.containers = {{"run-1", "c0ffee", "web"}};
  one.containers_total = 1;
  one.name = "/store/1/diff";
  one.diff_id = DiffId{sha256("1").bytes};
  one.shape = ShapeDigest{sha256("2").bytes};
  one.outcome = outcome;
  one.checked = {"record"};
  one.took = std::chrono::milliseconds(7);
  return one;
}

VerifiedNode node(std::vector<VerifiedLayer> layers, std::optional<Error> error = std::nullopt) {
  return {"prod", "node-1", static_cast<std::uint32_t>(layers.size()), std::move(layers),
          std::move(error)};
}

TEST_CASE("every event comes back from the wire as it went", "[verification][unit]") {
  VerifiedLayer changed = layer(LayerOutcome::kChanged);
  changed.changes = {"/etc/passwd (content)"};
  changed.tampered = "/etc/passwd (content)";
  changed.content = ContentDigest{sha256("3").bytes};
  changed.entries = 4;
  changed.files_read = 2;
  changed.bytes_read = 100;
  for (const VerifyEvent& event :
       {VerifyEvent(VerifyBegun{3}), VerifyEvent(catalog::VerifyProgress{1, 2}),
        VerifyEvent(layer(LayerOutcome::kAsRecorded)), VerifyEvent(changed),
        VerifyEvent(VerifyDone{}),
        VerifyEvent(VerifyDone{ErrorCode::kNotFound, "no such container"})}) {
    const auto decoded = decode(encode(event));
    REQUIRE(decoded);
    CHECK(*decoded == event);
  }
}

TEST_CASE("what is hostile on the wire is cut, refused or counted as the worst",
          "[verification][unit]") {
  VerifiedLayer big = layer(LayerOutcome::kAsRecorded);
  big.name = std::string("\xff\x1b") + std::string(5000, 'x');
  big.containers.assign(100, {"r", "c", "n"});
  big.changes.assign(1000, std::string(5000, 'y'));
  const std::string bytes = encode(big);
  CHECK(bytes.size() < static_cast<std::size_t>(kMaxEventBytes));
  const auto decoded = decode(bytes);
  REQUIRE(decoded);
  const auto& cut = std::get<VerifiedLayer>(*decoded);
  CHECK(cut.name.size() <= 520);
  CHECK(cut.containers.size() == catalog::kMaxVerifiedContainers);
  CHECK(cut.changes.size() == catalog::kMaxVerifiedChanges);
  CHECK(decode("nonsense").error().code == ErrorCode::kCorrupt);
  CHECK(decode("").error().code == ErrorCode::kCorrupt);  // no event in it
  CHECK(decode(std::string(static_cast<std::size_t>(kMaxEventBytes) + 1, 'x')).error().code ==
        ErrorCode::kCorrupt);
  CHECK(catalog::parse_layer_outcome("splendid") == LayerOutcome::kNotChecked);
}

TEST_CASE("only what was wholly looked at ends with 0", "[verification][unit]") {
  struct Row {
    const char* name;
    std::vector<VerifiedNode> nodes;
    ExitCode code;
  };
  const Error away{ErrorCode::kUnavailable, "not connected"};
  const Error absent{ErrorCode::kNotFound, "absent"};
  const VerifiedLayer good = layer(LayerOutcome::kAsRecorded);
  const VerifiedLayer bad = layer(LayerOutcome::kChanged);
  const Row rows[] = {
      {"nothing there", {node({})}, ExitCode::kOk},
      {"all good", {node({good, good}), node({good})}, ExitCode::kOk},
      {"one changed", {node({good, bad})}, ExitCode::kNegative},
      {"no record", {node({good, layer(LayerOutcome::kNoRecord)})}, ExitCode::kUnavailable},
      {"not looked", {node({layer(LayerOutcome::kNotChecked)})}, ExitCode::kUnavailable},
      {"cut short", {node({good}, away)}, ExitCode::kUnavailable},
      {"not found", {node({}, absent)}, ExitCode::kNotFound},
      {"changed, and cut short", {node({bad}, away)}, ExitCode::kNegative},
      {"one node of two away", {node({good}), node({}, away)}, ExitCode::kUnavailable},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(exit_code_of(row.nodes) == row.code);
  }
}

TEST_CASE("an end before all layers were told is an error", "[verification][unit]") {
  VerifiedNode heard{"prod", "node-1", 0, {}, std::nullopt};
  CHECK_FALSE(take(VerifyBegun{2}, heard));
  CHECK_FALSE(take(layer(LayerOutcome::kAsRecorded), heard));
  CHECK(take(VerifyDone{}, heard));
  REQUIRE(heard.error);
  CHECK(exit_code_of({heard}) == ExitCode::kUnavailable);
}

TEST_CASE("the report says per layer what was compared, how it came out, and which paths",
          "[verification][unit]") {
  VerifiedLayer bad = layer(LayerOutcome::kChanged);
  bad.tampered = "/etc/passwd (content)";
  const output::Document document = document_of({node({bad})}, false);
  const std::string table = output::to_table(document, {});
  CHECK_THAT(table, Catch::Contains("node-1") && Catch::Contains("web") &&
                        Catch::Contains("6b86b273ff34") && Catch::Contains("record") &&
                        Catch::Contains("changed") && Catch::Contains("/etc/passwd (content)"));
  CHECK_THAT(output::to_json(document), Catch::Contains("\"outcome\": \"changed\""));
  CHECK(note_of({node({bad, layer(LayerOutcome::kAsRecorded)})}) ==
        "Verified: 1 as recorded, 1 changed.");
}

TEST_CASE("YAML has the values of JSON in blocks", "[output][unit]") {
  using output::Array;
  using output::Object;
  const output::Document document{
      Object{{"name", "a: \"b\"\n\xff"},
             {"none", output::Value()},
             {"empty", Array{}},
             {"list", Array{Object{{"x", std::uint64_t{1}}, {"y", Array{true, "z"}}}, "end"}}}};
  CHECK(output::to_yaml(document) ==
        "name: \"a: \\\"b\\\"\\\\x0a\\\\xff\"\n"
        "none: null\n"
        "empty: []\n"
        "list:\n"
        "  - x: 1\n"
        "    \"y\":\n"
        "      - true\n"
        "      - \"z\"\n"
        "  - \"end\"\n");
}

}  // namespace
}  // namespace assay::verification
