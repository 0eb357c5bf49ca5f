// SPDX-License-Identifier: Apache-2.0
// The field names that docs/cli.md promises.
#include "cli/records.h"

#include <catch2/catch.hpp>

#include "cli/output/json.h"

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
    }
  }
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
    return std::get<std::string>(to_value(base, now).find("status")->storage());
  };
  CHECK(status() == "approved");
  base.expires_at = now;
  CHECK(status() == "expired");
  base.status = catalog::BaseStatus::kRevoked;
  CHECK(status() == "revoked");
}
