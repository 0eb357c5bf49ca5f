// SPDX-License-Identifier: Apache-2.0
// Which base a report is about, and whose its findings are.
#include <catch2/catch.hpp>

#include "common/catalog/scan_matching.h"

using namespace assay;
using namespace assay::catalog;

namespace {

template <typename D>
D digest(std::uint8_t fill) {
  D made;
  made.bytes.fill(fill);
  return made;
}

BaseStack stack(const std::vector<std::uint8_t>& fills, std::uint8_t manifest = 0) {
  BaseStack made;
  for (const std::uint8_t fill : fills)
    made.layers.push_back({digest<DiffId>(fill), {}, {}, std::nullopt});
  if (manifest != 0) made.manifest_digest = digest<Sha256>(manifest).text();
  return made;
}

Base base(const std::string& name, std::vector<BaseStack> stacks, std::uint8_t config = 0) {
  Base made;
  made.id = *BaseId::parse(name);
  made.status = BaseStatus::kApproved;
  made.stacks = std::move(stacks);
  if (config != 0) made.annotations[kConfigDigestAnnotation] = digest<ConfigDigest>(config).text();
  return made;
}

Catalog catalog_of(std::vector<Base> bases) {
  std::map<BaseId, Base> all;
  for (Base& one : bases)
    all.emplace(one.id, one);
  return Catalog("id", 1, std::move(all), {});
}

/// debian:12 = layers 1, 2; java:17 = 1, 2, 3 on it; folder:1 was approved from a directory.
Catalog sample() {
  Base folder = base("folder:1", {stack({9})});
  folder.stacks.front().layers.front().diff_id.reset();
  return catalog_of({base("debian:12", {stack({1, 2}, 101)}, 51),
                     base("java:17", {stack({1, 2, 3}, 102)}, 52), folder,
                     base("multi:1", {stack({21}, 121), stack({22}, 122)}, 53)});
}

ScanReport of_layers(const std::vector<std::uint8_t>& fills) {
  ScanReport report;
  for (const std::uint8_t fill : fills)
    report.image.diff_ids.push_back(digest<DiffId>(fill));
  return report;
}

ScanReport of_image(std::uint8_t image_id) {
  ScanReport report;
  report.image.image_id = digest<ConfigDigest>(image_id);
  return report;
}

std::string text_of(const std::vector<ScanTarget>& targets) {
  std::string text;
  for (const ScanTarget& target : targets)
    text += (text.empty() ? "" : ", ") + target.base->id.text() + " " +
            std::string(to_string(target.scope)) + " " + target.matched_by;
  return text;
}

}  // namespace

TEST_CASE("a report finds its base by itself", "[scan][catalog][unit]") {
  const Catalog catalog = sample();
  struct Row {
    const char* name;
    ScanReport report;
    std::string found;
  };
  ScanReport by_manifest;
  by_manifest.image.manifests = {digest<Sha256>(77), digest<Sha256>(101)};
  ScanReport vex;
  vex.statements = {{"CVE-1", {}, {}, {digest<Sha256>(102)}}};
  const Row rows[] = {
      {"image id", of_image(51), "debian:12 base image-id"},
      {"a manifest digest that a store calls image id", of_image(101),
       "debian:12 base manifest-digest"},
      {"one of the repository digests", by_manifest, "debian:12 base manifest-digest"},
      {"all layers", of_layers({1, 2}), "debian:12 base diff-ids"},
      {"the base with most layers", of_layers({1, 2, 3, 4}), "java:17 application diff-ids"},
      {"only the lower base", of_layers({1, 2, 8}), "debian:12 application diff-ids"},
      {"the second platform", of_layers({22}), "multi:1 base diff-ids"},
      {"a VEX document", vex, "java:17 base manifest-digest"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto targets = find_targets(row.report, catalog, nullptr);
    INFO((targets ? "" : targets.error().message));
    REQUIRE(targets);
    CHECK(text_of(*targets) == row.found);
  }
}

TEST_CASE("an image approved under two names is scanned for both", "[scan][catalog][unit]") {
  const Catalog catalog =
      catalog_of({base("a:1", {stack({1})}, 51), base("b:1", {stack({1})}, 51)});
  const auto targets = find_targets(of_layers({1}), catalog, nullptr);
  REQUIRE(targets);
  CHECK(text_of(*targets) == "a:1 base diff-ids, b:1 base diff-ids");
}

TEST_CASE("a report of no base, and one that says nothing, are told apart",
          "[scan][catalog][unit]") {
  const Catalog catalog = sample();
  const auto other = find_targets(of_layers({1}), catalog, nullptr);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::kNotFound);
  const auto silent = find_targets(ScanReport{}, catalog, nullptr);
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == ErrorCode::kInvalidArgument);
  CHECK(silent.error().message.find("--base") != std::string::npos);
}

TEST_CASE("a named base is believed only as far as the report does not say otherwise",
          "[scan][catalog][unit]") {
  const Catalog catalog = sample();
  const auto named = [&](const ScanReport& report, const char* name) {
    return find_targets(report, catalog, catalog.find(*BaseId::parse(name)));
  };
  struct Row {
    const char* name;
    ScanReport report;
    const char* base;
    std::string found;  // "": refused
  };
  ScanReport belied = of_layers({5});
  belied.image.image_id = digest<ConfigDigest>(51);
  const Row rows[] = {
      {"an image id that the layers belie", belied, "debian:12", ""},
      {"a silent report", {}, "debian:12", "debian:12 base name"},
      {"its own", of_image(51), "debian:12", "debian:12 base image-id"},
      {"an image on it", of_layers({1, 2, 3}), "debian:12", "debian:12 application diff-ids"},
      {"another image id", of_image(52), "debian:12", ""},
      {"other layers", of_layers({5}), "debian:12", ""},
      {"a base without digests", of_layers({5}), "folder:1", "folder:1 base name"},
      {"a platform whose id is not known", of_image(99), "multi:1", "multi:1 base name"},
      {"layers of no platform", of_layers({5}), "multi:1", ""},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto targets = named(row.report, row.base);
    CHECK((targets ? text_of(*targets) : "") == row.found);
    if (!targets) {
      CHECK(targets.error().code == ErrorCode::kInvalidArgument);
      CHECK(targets.error().message.find("another image") != std::string::npos);
    }
  }
}

TEST_CASE("findings of an image on a base are split by layer", "[scan][catalog][unit]") {
  const Catalog catalog = sample();
  ScanReport report = of_layers({1, 2, 4});
  for (const std::uint8_t layer : std::vector<std::uint8_t>{2, 4, 99}) {
    report.findings.push_back({.id = "CVE-" + std::to_string(layer)});
    report.findings.back().layer = digest<DiffId>(layer);
  }
  report.findings.push_back({.id = "CVE-0"});
  const auto targets = find_targets(report, catalog, nullptr);
  REQUIRE(targets);
  CHECK(
      origins_of(report, targets->front()) ==
      std::vector<Origin>{Origin::kBase, Origin::kApplication, Origin::kUnknown, Origin::kUnknown});
  report.image.diff_ids.pop_back();
  const auto whole = find_targets(report, catalog, nullptr);
  REQUIRE(whole);
  CHECK(origins_of(report, whole->front()) == std::vector<Origin>(4, Origin::kBase));
}

TEST_CASE("VEX bears on the packages that it names, and the newest statement counts",
          "[scan][catalog][unit]") {
  const auto at = [](int day) { return WallTime(std::chrono::days(day)); };
  ScanFinding finding{
      .id = "SNYK-1", .aliases = {"CVE-1"}, .package = "libssl3", .installed = "3.0"};
  const auto statement = [&](const char* package, Applicability what, int day) {
    VexStatement made;
    made.id = "CVE-1";
    if (package[0] != '\0') made.packages = {package};
    made.applicability = what;
    made.time = at(day);
    return made;
  };
  const auto judged = [&](std::vector<VexStatement> all) {
    return to_string(judged_applicability(finding, all));
  };
  using A = Applicability;
  CHECK(judged({}) == "affected");
  CHECK(judged({statement("", A::kNotAffected, 1)}) == "not_affected");
  CHECK(judged({statement("pkg:apk/alpine/libssl3@3.0", A::kFixed, 1)}) == "fixed");
  CHECK(judged({statement("pkg:apk/alpine/libssl3", A::kFixed, 1)}) == "fixed");
  CHECK(judged({statement("pkg:apk/alpine/libssl3@3.1", A::kFixed, 1)}) == "affected");
  CHECK(judged({statement("pkg:apk/alpine/openssl@3.0", A::kFixed, 1)}) == "affected");
  CHECK(judged({statement("", A::kNotAffected, 2), statement("", A::kAffected, 1)}) ==
        "not_affected");
  CHECK(judged({statement("", A::kNotAffected, 1), statement("", A::kUnderInvestigation, 1)}) ==
        "under_investigation");
  finding.purl = "pkg:deb/debian/libssl3@3.0?arch=amd64";
  CHECK(judged({statement("pkg:apk/alpine/libssl3@3.0", A::kFixed, 1)}) == "affected");
  CHECK(judged({statement("pkg:deb/debian/libssl3@3.0", A::kFixed, 1)}) == "fixed");
  finding.id = "CVE-2";
  finding.aliases.clear();
  CHECK(judged({statement("", A::kNotAffected, 1)}) == "affected");
}

TEST_CASE("statements on other images are left out", "[scan][catalog][unit]") {
  const Catalog catalog = sample();
  ScanReport report;
  report.statements = {
      {"CVE-1", {}, {}, {digest<Sha256>(101)}}, {"CVE-2", {}, {}, {digest<Sha256>(7)}}, {"CVE-3"}};
  const auto targets = find_targets(report, catalog, nullptr);
  REQUIRE(targets);
  const auto kept = statements_for(report, targets->front());
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].id == "CVE-1");
  CHECK(kept[1].id == "CVE-3");
}

TEST_CASE("package URLs are taken apart", "[scan][catalog][unit]") {
  struct Row {
    const char* text;
    const char* type;
    const char* path;
    const char* version;
  };
  for (const Row& row : {Row{"pkg:deb/debian/curl@7.50?arch=i386#x", "deb", "debian/curl", "7.50"},
                         Row{"pkg:oci/alpine@sha256%3A12", "oci", "alpine", "sha256:12"},
                         Row{"pkg:npm/%40scope/name@1", "npm", "@scope/name", "1"},
                         Row{"pkg:npm/@scope/name", "npm", "@scope/name", ""},
                         Row{"pkg:pypi/django", "pypi", "django", ""}}) {
    INFO(row.text);
    const auto url = parse_purl(row.text);
    REQUIRE(url);
    CHECK(url->type == row.type);
    CHECK(url->path == row.path);
    CHECK(url->version == row.version);
  }
  for (const char* text : {"", "pkg:", "pkg:deb", "pkg:/x", "deb/x", "pkg:deb/"}) {
    INFO(text);
    CHECK_FALSE(parse_purl(text));
  }
}
