#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people do about findings, with the real programs over real TLS. No node: the findings are in the store."""
import json
import sqlite3
import time
import unittest

import deployment

USAGE, REFUSED, NOT_FOUND = 2, 4, 7
FIRST, SECOND = "a" * 32, "a" * 16 + "b" * 16


class Triage(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.here.start_collector()
        self.here.stop_collector()
        with sqlite3.connect(self.here.store) as store:
            store.execute("INSERT INTO nodes(cluster, node) VALUES('test', 'n')")
            for finding in (FIRST, SECOND):
                store.execute("INSERT INTO findings(finding_id, kind, subject, reason, opened_ns, changed_ns, node_id, base) "
                              "VALUES(?, 'evidence-gap', ?, 'events are missing', 1, 1, 1, '')", (finding, finding))
        self.here.start_collector()
        for name, role in (("vic", "viewer"), ("ann", "approver"), ("bob", "approver")):
            self.here.program("assay-collector", "issue", "--config", self.here.folder / "collector.yaml", "--user", name,
                              "--role", role, "--out", self.here.folder / name)
            self.here.write(f"{name}.yaml", {"collector": {"address": f"127.0.0.1:{self.here.port}"}, "tls": self.here.tls(name)})

    def by(self, who, *words, code=0):
        """(stdout, stderr) of who's call."""
        return self.here.program("assay", "--config", self.here.folder / f"{who}.yaml", *words, code=code)

    def shown(self, finding=FIRST):
        return json.loads(self.by("vic", "finding", "show", finding, "-o", "json")[0])

    def listed(self, *words):
        return [finding["finding_id"] for finding in self.here.findings(*words)]

    def test_a_finding_is_acknowledged_and_assigned_by_name(self):
        self.by("ann", "finding", "ack", FIRST, SECOND, "--note", "on it")
        self.assertIn("acknowledged already by user:ann", self.by("bob", "finding", "ack", FIRST)[1])
        self.by("ann", "finding", "assign", FIRST, "--to", "bob")
        shown = self.shown()
        self.assertEqual((shown["triage"], shown["acknowledged_by"], shown["acknowledged_note"], shown["assignee"], shown["assigned_by"]),
                         ("acknowledged", "user:ann", "on it", "bob", "user:ann"))
        self.assertEqual([entry["action"] for entry in shown["history"]], ["assign", "acknowledge"])
        self.assertEqual(self.listed("--assignee", "bob"), [FIRST])
        self.assertEqual(len(self.listed("--triage", "acknowledged")), 2)
        entries = self.here.query("audit", "--action", "finding", "--actor", "ann")["entries"]
        self.assertEqual([entry["action"] for entry in entries], ["finding.assign"] + ["finding.acknowledge"] * 2)
        self.assertTrue(all(entry["peer"].startswith("ipv4:127.0.0.1:") and entry["outcome"] == "done" for entry in entries))
        self.by("bob", "finding", "assign", FIRST, "--nobody")
        self.assertEqual(self.shown()["assignee"], "")
        self.by("bob", "finding", "reopen", FIRST)
        self.assertEqual(self.shown()["triage"], "new")

    def test_a_word_that_is_no_finding_changes_nothing(self):
        self.by("ann", "finding", "assign", FIRST, "--to", "bob")
        history = self.shown()["history"]
        for words in ((FIRST,), (FIRST, "alice"), (FIRST, "--to", ""), (FIRST, "--to", "x", "--nobody")):
            self.assertIn("--nobody", self.by("ann", "finding", "assign", *words, code=USAGE)[1])
        for words in (("assign", FIRST, "alice", "--to", "ann"), ("ack", FIRST, "abc"), ("reopen", FIRST, "A" * 32)):
            self.assertIn("no id of a finding", self.by("ann", "finding", *words, code=USAGE)[1])
        self.assertEqual(self.shown()["history"], history)

    def test_only_who_has_the_role_may(self):
        for words in (("ack", FIRST), ("assign", FIRST, "--to", "x"), ("unmute", FIRST), ("reopen", FIRST),
                      ("mute", FIRST, "--until", "1d", "--reason", "r")):
            self.assertIn("role approver", self.by("vic", "finding", *words, code=REFUSED)[1])
        self.assertEqual(self.shown()["history"], [])

    def test_a_mute_has_an_end_and_a_reason_and_is_counted(self):
        self.by("ann", "finding", "mute", FIRST, "--until", "30d", code=USAGE)
        self.by("ann", "finding", "mute", FIRST, "--reason", "r", code=USAGE)
        self.assertIn("needs a reason", self.by("ann", "finding", "mute", FIRST, "--until", "30d", "--reason", " ", code=USAGE)[1])
        self.assertIn("triage.max_mute", self.by("ann", "finding", "mute", FIRST, "--until", "91d", "--reason", "r", code=USAGE)[1])
        self.by("ann", "finding", "mute", FIRST, "--until", "30d", "--reason", "known\x1b[31m")
        self.assertEqual(self.listed(), [SECOND])
        self.assertEqual(sorted(self.listed("--muted")), [FIRST, SECOND])
        self.assertEqual(self.listed("--triage", "muted"), [FIRST])
        self.assertNotIn("\x1b", self.by("vic", "finding", "show", FIRST)[0])
        text = self.here.metrics_text(self.here.collector_http)
        self.assertIn('assay_collector_findings{triage="muted"} 1', text)
        self.assertIn('assay_collector_findings{triage="new"} 1', text)
        self.here.stop_collector()
        self.here.start_collector()
        self.assertEqual(self.listed(), [SECOND])
        self.assertEqual(self.here.program("assay", "--config", self.here.folder / "cli.yaml", "findings", "--kind",
                                           "evidence-gap", "--exit-code", code=1)[0].count("evidence-gap"), 1)
        self.by("ann", "finding", "unmute", FIRST)
        self.assertEqual(len(self.listed()), 2)

    def test_a_mute_that_is_over_is_taken_back_by_the_collector(self):
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        self.by("ann", "finding", "mute", FIRST, "--until", until, "--reason", "for a moment")
        self.here.wait(lambda: FIRST in self.listed(), "the end of the mute")
        last = self.shown()["history"][0]
        self.assertEqual((last["actor"], last["action"], last["note"]), ("collector", "unmute", "the mute ended"))

    def test_who_comes_late_is_told(self):
        revision = self.shown()["revision"]
        self.by("ann", "finding", "assign", FIRST, "--to", "ann", "--revision", revision)
        self.assertIn("was changed since", self.by("bob", "finding", "assign", FIRST, "--to", "bob", "--revision", revision, code=USAGE)[1])
        self.assertIn("was assigned to ann by user:ann", self.by("bob", "finding", "assign", FIRST, "--to", "bob")[1])
        self.assertEqual([entry["assignee"] for entry in self.shown()["history"]], ["bob", "ann"])

    def test_ids_may_be_cut_but_must_be_one(self):
        self.assertEqual(self.shown("a" * 17)["finding_id"], FIRST)
        self.assertIn("several findings", self.by("vic", "finding", "show", "a" * 16, code=USAGE)[1])
        self.assertIn("no finding", self.by("vic", "finding", "show", "c" * 32, code=NOT_FOUND)[1])
        self.assertIn("32 hex digits", self.by("vic", "finding", "show", "x", code=USAGE)[1])


if __name__ == "__main__":
    deployment.main()
