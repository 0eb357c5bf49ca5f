// SPDX-License-Identifier: Apache-2.0
// The field names that docs/cli.md promises.
#include "cli/records.h"

#include <catch2/catch.hpp>

#include "cli/about_view.h"
#include "common/output/json.h"
#include "common/output/table.h"

using namespace assay;
using namespace assay::cli;

namespace {

Run a_run() {
  Run run;
  run.run_id = "00112233445566778899aabbccddeeff";
  run.cluster = "prod";
  run.node = "node-1";
  run.kind = "container";
  run.started_at = *parse_rfc3339("2026-11-22T16:00:00Z");
  run.names.container_id = "4d5e6f708192a3b4c5d6";
  run.names.runtime = "docker";
  run.names.labels = {{"team", "shop"}};
  run.verdict.status = "approved";
  run.verdict.rung = "content";
  run.verdict.matches = {{"debian:12.7", "approved", "content", 1, 0}};
  run.verdict.application_layers = 2;
  run.verdict.catalog_sequence = 3;
  run.layers = 3;
  run.executable = "/usr/bin/sleep";
  run.process = {4711, run.started_at, "sleep"};
  return run;
}

}  // namespace

TEST_CASE("a run's JSON has the documented fields", "[cli][unit]") {
  CHECK(to_json({to_value(a_run())}) == R"({
  "run_id": "00112233445566778899aabbccddeeff",
  "container": "4d5e6f708192",
  "cluster": "prod",
  "node": "node-1",
  "kind": "container",
  "state": "running",
  "is_late": false,
  "started_at": "2026-11-22T16:00:00.000Z",
  "ended_at": null,
  "base": "debian:12.7",
  "verdict": {
    "status": "approved",
    "rung": "content",
    "matches": [
      {
        "base": "debian:12.7",
        "status": "approved",
        "rung": "content",
        "layers": 1,
        "first_layer": 0
      }
    ],
    "reason": "",
    "contradictions": [],
    "application_layers": 2,
    "catalog_sequence": 3
  },
  "stack": null,
  "layers": 3,
  "executable": "/usr/bin/sleep",
  "process": {
    "pid": 4711,
    "started_at": "2026-11-22T16:00:00.000Z",
    "name": "sleep"
  },
  "cgroup_path": "",
  "names": {
    "container_id": "4d5e6f708192a3b4c5d6",
    "runtime": "docker",
    "name": "",
    "image": "",
    "image_id": "",
    "config_digest": null,
    "manifest_digest": null,
    "repo_digest": null,
    "pod_name": "",
    "pod_namespace": "",
    "pod_uid": "",
    "labels": {
      "team": "shop"
    },
    "are_confirmed": false
  },
  "exemption": ""
}
)");
}

TEST_CASE("a container is called by its name, else by its short id, else by its run",
          "[cli][unit]") {
  ContainerNames names;
  names.container_id = "4d5e6f708192a3b4c5d6";
  names.name = "web";
  CHECK(container_text(names, "00112233445566778899") == "web");
  names.name.clear();
  CHECK(container_text(names, "00112233445566778899") == "4d5e6f708192");
  names.container_id.clear();
  CHECK(container_text(names, "00112233445566778899") == "001122334455");
}

TEST_CASE("bad news in the layers above names no run", "[cli][unit]") {
  Verdict verdict;
  CHECK(base_text(verdict).empty());
  verdict.matches = {{"old:1", "revoked", "content", 1, 2}};
  CHECK(base_text(verdict).empty());
  verdict.matches = {{"debian:12.7", "approved", "content", 1, 0},
                     {"old:1", "revoked", "content", 1, 2}};
  CHECK(base_text(verdict) == "debian:12.7");
}

TEST_CASE("a base past its date shows as expired, a revoked one stays revoked", "[cli][unit]") {
  const WallTime now = *parse_rfc3339("2026-11-22T16:00:00Z");
  catalog::Base base;
  base.id = {"debian", "12.7"};
  base.status = catalog::BaseStatus::kApproved;
  const auto status = [&] {
    return std::get<std::string>(to_value(base, catalog::Policy{}, now).find("status")->storage());
  };
  CHECK(status() == "approved");
  base.expires_at = now;
  CHECK(status() == "expired");
  base.status = catalog::BaseStatus::kRevoked;
  CHECK(status() == "revoked");
}

TEST_CASE("a node shows its state, what is degraded and its clock", "[cli][unit]") {
  Node node;
  node.state = "silent";
  node.degraded = {{"probe-blind", "not yet"}, {"catalog-stale", "expired"}};
  const auto text = [](const Value& value, const char* path) {
    return std::get<std::string>(value.find(path)->storage());
  };
  const Value unknown = to_value(node);
  CHECK(text(unknown, "state") == "silent");
  CHECK(text(unknown, "degraded_modes.1") == "catalog-stale");
  CHECK(text(unknown, "degraded.0.reason") == "not yet");
  CHECK(unknown.find("clock_offset_ns")->is_null());
  CHECK(unknown.find("outbox_oldest_at")->is_null());
  node.clock_offset_ns = -5;
  CHECK(std::get<std::int64_t>(to_value(node).find("clock_offset_ns")->storage()) == -5);
}

TEST_CASE("tables name the cluster when there are several", "[cli][unit]") {
  std::vector<Node> nodes(2);
  CHECK_FALSE(has_several_clusters(std::vector<Node>{}));
  nodes[0].cluster = nodes[1].cluster = "red";
  CHECK_FALSE(has_several_clusters(nodes));
  nodes[1].cluster = "blue";
  CHECK(has_several_clusters(nodes));
}

TEST_CASE("what layers say of themselves is called a claim in JSON and in a table", "[cli][unit]") {
  catalog::About about;
  about.distribution = {"rhel", "9.4", "Red Hat \x1b[31m", ""};
  about.databases = {{"rpm", "sqlite", "var/lib/rpm/rpmdb.sqlite", 1, "", {{"bash", "5", "x"}}},
                     {"rpm", "bdb", "var/lib/rpm/Packages", 0, "not read here", {}}};
  Object object;
  add_about(object, about, /*with_lists=*/true);
  Document document{object, {}};
  CHECK(to_json(document) == R"({
  "claimed_distribution": {
    "id": "rhel",
    "version": "9.4",
    "name": "Red Hat \u001b[31m",
    "variant": ""
  },
  "claimed_distribution_gap": "",
  "claimed_packages": [
    {
      "manager": "rpm",
      "packages": 1,
      "format": "sqlite",
      "path": "var/lib/rpm/rpmdb.sqlite",
      "gap": "",
      "list": [
        {
          "name": "bash",
          "version": "5",
          "architecture": "x"
        }
      ]
    },
    {
      "manager": "rpm",
      "packages": null,
      "format": "bdb",
      "path": "var/lib/rpm/Packages",
      "gap": "not read here",
      "list": []
    }
  ]
}
)");
  add_about_sections(document.sections, about);
  const std::string table = to_table(document, {});
  CHECK_THAT(table, Catch::Matchers::Contains("(a claim, part of no verdict)"));
  CHECK_THAT(table, Catch::Matchers::Contains("Red Hat \\x1b[31m"));
  CHECK_THAT(table, Catch::Matchers::Contains("not read here"));
  std::vector<Section> none;
  add_about_sections(none, {});
  CHECK(none.empty());
}

TEST_CASE("a base keeps as annotations what its layers say, and gives it back", "[cli][unit]") {
  catalog::About about;
  about.distribution = {"debian", "12", "Debian GNU/Linux 12 (bookworm)", "slim"};
  about.databases = {{"dpkg", "status", "var/lib/dpkg/status", 80, "", {}},
                     {"dpkg", "status.d", "var/lib/dpkg/status.d", 8, "", {}},
                     {"rpm", "ndb", "usr/lib/sysimage/rpm/Packages.db", 0, "it is ndb", {}}};
  const auto annotations = annotations_of(about);
  CHECK(annotations.at("assay.claimed-distribution") == "Debian GNU/Linux 12 (bookworm)");
  CHECK(annotations.at("assay.claimed-packages.dpkg") == "88");
  CHECK(annotations.at("assay.claimed-packages.rpm") == "not read: it is ndb");
  const catalog::About back = about_from(annotations);
  CHECK(back.distribution == about.distribution);
  REQUIRE(back.databases.size() == 2);
  CHECK(back.databases[0].packages == 88);
  CHECK(back.databases[1].gap == "it is ndb");
  CHECK(annotations_of({}).empty());
  CHECK(about_from({{"assay.reference", "x"}}) == catalog::About{});
}
