#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first day and the rules after it: discover, draft, approve, try a policy, set it, and let a date pass.

The containers are a made-up timetable (tests/support/load_agent.cpp): everything from the auditor on is
the shipped code, and no runtime is needed.
"""
import calendar
import hashlib
import json
import time
import unittest

import deployment
from ledger import MadeUp

NEGATIVE, USAGE = 1, 2
COUNT = 3


class PolicyTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.layer = self.here.folder / "layer"
        (self.layer / "etc").mkdir(parents=True)
        (self.layer / "etc/marker").write_text("a base that nobody approved yet")
        self.here.start_collector()

    def start_containers(self):
        """They live for the whole test: nothing of it waits for them."""
        self.here.start_agent(made_up=MadeUp(self.layer, count=COUNT, rate_hz=50, life_ms=3_600_000))
        self.wait_for("unknown")

    def write_docker_records(self):
        """Records of docker with the containers' names, and no layers that the kernel could agree with."""
        root = self.here.folder / "docker"
        for number in range(COUNT):
            container = hashlib.sha256(str(number).encode()).hexdigest()
            folder = root / "containers" / container
            folder.mkdir(parents=True)
            (folder / "config.v2.json").write_text(json.dumps(
                {"ID": container, "Name": f"/rig-{number}", "Driver": "overlay2",
                 "Config": {"Image": "rig", "Labels": {}}}))
        self.here.settings = {"runtime": {"docker_roots": [str(root)]}}

    def wait_for(self, verdict):
        def look():
            runs = self.here.runs()
            return len(runs) == COUNT and {run["verdict"]["status"] for run in runs} == {verdict}
        self.here.wait(look, f"{COUNT} runs {verdict}")

    def policy(self, text):
        path = self.here.folder / "policy.yaml"
        path.write_text(text)
        return path

    def set_policy(self, text):
        return self.here.query("policy", "set", self.policy(text), "--yes", "--reason", "test")

    def open_kinds(self):
        return sorted(finding["kind"] for finding in self.here.findings())

    def draft(self):
        found = self.here.query("base", "discover")
        self.assertEqual((found["running"], found["not_read"]), (COUNT, 0))
        proposal, = found["proposals"]
        self.assertEqual((proposal["running"], proposal["nodes"], proposal["is_whole_image"]), (COUNT, 1, True))
        draft, = self.here.query("base", "discover", "--draft", f"rig:1={proposal['short_id']}", "--yes")["drafts"]
        self.assertEqual((draft["action"], draft["base"], draft["sequence"]), ("draft", "rig:1", 1))

    def approve(self):
        self.draft()
        approved = self.here.query("base", "approve", "rig:1", "--contact", "rigs@example.org",
                                   "--note", "first day", "--yes")
        self.assertEqual(approved["action"], "approve")
        self.wait_for("approved")

    def agent_says(self, verdict):
        return f'verdict="{verdict}"}} {COUNT}' in self.here.metrics_text(self.here.agent_http)

    def test_what_runs_becomes_a_draft_and_a_base(self):
        self.start_containers()
        self.draft()
        base, = self.here.query("base", "list")["bases"]
        self.assertEqual(base["status"], "draft")
        self.wait_for("unknown")  # a draft judges nothing
        self.here.query("base", "approve", "rig:1", "--contact", "rigs@example.org", "--yes")
        self.wait_for("approved")
        self.assertEqual(self.here.query("base", "show", "rig:1")["contact"], "rigs@example.org")
        self.assertEqual(self.here.query("base", "discover")["proposals"], [])
        impact = self.here.query("base", "impact", "rig")
        self.assertEqual((impact["impact"]["running"], impact["impact"]["nodes"]), (COUNT, 1))
        self.assertEqual(impact["bases"][0]["contact"], "rigs@example.org")
        self.assertTrue(impact["impact"]["since"])
        dry = self.here.query("base", "revoke", "rig:1", "--reason", "r", "--dry-run")
        self.assertEqual(dry["impact"], impact["impact"])

    def test_a_choice_that_is_none_is_refused(self):
        self.start_containers()
        for word, code in (("rig:1", USAGE), ("rig:1=99", 7), ("Rig:1=1", USAGE)):
            self.here.program("assay", "--config", self.here.folder / "cli.yaml", "base", "discover",
                              "--draft", word, "--yes", code=code)
        self.assertEqual(self.here.query("base", "list")["bases"], [])

    def test_a_policy_is_tried_before_it_is_set(self):
        self.start_containers()
        self.approve()
        strict = "scan: {required: true}\n"
        tried = self.here.query("policy", "test", self.policy(strict))
        self.assertEqual((tried["running"], tried["changed"]), (COUNT, COUNT))
        group, = tried["groups"]
        self.assertEqual((group["before"], group["after"], group["base"], group["running"]),
                         ("approved", "expired", "rig:1", COUNT))
        finding, = tried["findings"]
        self.assertEqual((finding["kind"], finding["opened"], finding["resolved"]), ("expired-base", COUNT, 0))
        self.assertEqual([change["key"] for change in tried["changes"]], ["scan.required"])
        self.assertEqual(self.open_kinds(), [])
        self.wait_for("approved")
        changed = self.set_policy(strict)
        self.assertEqual(changed["changes"], tried["changes"])
        self.wait_for("expired")
        self.assertEqual(self.open_kinds(), ["expired-base"] * COUNT)
        # Agents know no scans: theirs is the milder word, and no difference.
        self.here.wait(lambda: self.agent_says("approved"), "the agent's own verdict")
        self.assertEqual(self.here.metrics(self.here.collector_http)["assay_verdict_differences_total"], 0)
        # What is shown as a file is the policy that is in force.
        self.assertIsNone(self.set_policy_again())
        self.set_policy("")
        self.wait_for("approved")
        self.assertEqual(self.open_kinds(), [])

    def set_policy_again(self):
        """Sets what `policy show -o yaml` prints: None, because nothing changes by it."""
        file = self.policy(self.here.assay("policy", "show", "-o", "yaml"))
        return self.here.assay("policy", "set", file, "--yes", "--reason", "again", "-o", "json") or None

    def test_a_date_that_passes_needs_no_command(self):
        self.start_containers()
        self.approve()
        approved_at = self.here.query("base", "show", "rig:1")["approved_at"].partition(".")[0].rstrip("Z")
        age = int(time.time() - calendar.timegm(time.strptime(approved_at, "%Y-%m-%dT%H:%M:%S")))
        self.set_policy(f"freshness: {{since_build: {age + 15}s}}\n")
        self.assertEqual({run["verdict"]["status"] for run in self.here.runs()}, {"approved"})
        self.wait_for("expired")
        self.here.wait(lambda: self.agent_says("expired"), "the agent's own verdict")
        self.assertIn("not known when it was built", self.here.findings()[0]["reason"])

    def test_an_exemption_needs_names_that_something_confirms(self):
        self.write_docker_records()
        self.start_containers()
        self.approve()
        self.here.query("base", "revoke", "rig:1", "--reason", "CVE", "--yes", "--wait", "0")
        self.wait_for("revoked")
        self.set_policy("exemptions:\n  - base: rig\n    container: rig-*\n    owner: o\n    reason: r\n"
                        "    until: 2099-01-01\n")
        def is_told():
            findings = self.here.findings()
            return len(findings) == COUNT and all("nothing confirms" in one["reason"] for one in findings)
        self.here.wait(is_told, "findings that stay, and say why")
        self.assertEqual({run["exemption"] for run in self.here.runs()}, {""})

    def test_a_wrong_file_says_where(self):
        wrong = self.policy("exemptions:\n  - base: rig\n    until: 2020-01-01\n")
        for command in ("test", "set"):
            _, errors = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "policy", command,
                                          wrong, code=USAGE)
            for part in ("policy.yaml:2:5: exemptions: owner is missing", "policy.yaml:3:12:"):
                self.assertIn(part, errors)


if __name__ == "__main__":
    deployment.main()
