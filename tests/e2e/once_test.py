# SPDX-License-Identifier: Apache-2.0
"""`assay-agent once`: what runs now, judged without a collector."""
import json
import os
import subprocess
import unittest

import deployment
import images
from by_hand import Started, unpack
from deployment import BIN


class OnceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        folder = cls.here.folder / "layers"
        folder.mkdir()
        golden = images.busybox_layer(folder / "golden.tar", "golden")
        foreign = images.busybox_layer(folder / "foreign.tar", "foreign")
        cls.golden, cls.foreign = unpack(golden, folder / "golden"), unpack(foreign, folder / "foreign")
        cls.catalog = cls.here.folder / "catalog.json"
        cls.here.start_collector()
        cls.here.assay("base", "approve", "golden:1", "--from",
                       images.image_archive(folder / "golden.image", "golden:1", [golden]))
        # The containers here are made by hand: no runtime knows them (identity_test.py is about that).
        policy = cls.here.folder / "policy.yaml"
        policy.write_text("rogue: ignore\n")
        cls.here.assay("policy", "set", policy, "--yes", "--reason", "by hand")
        cls.here.assay("base", "export", cls.catalog)
        cls.here.stop_collector()
        cls.config = cls.here.agent_config()

    def start(self, tree):
        started = Started([tree], "/bin/sleep", "600")
        self.addCleanup(started.stop)
        ((pid, _),) = started.reports()
        return pid

    def once(self, *words, code):
        """(stdout, stderr)"""
        return self.here.program("assay-agent", "once", "--config", self.config, *words, code=code)

    def rows(self, *words, code):
        """{pid: run}, and all that was printed."""
        answer = json.loads(self.once(*words, "-o", "json", code=code)[0])
        return {run["pid"]: run for run in answer["runs"]}, answer

    def test_containers_of_an_approved_base_alone_are_no_finding(self):
        pid = self.start(self.golden)
        runs, answer = self.rows("--catalog", self.catalog, code=0)  # the policy leaves rogue ones alone
        self.assertEqual((runs[pid]["base"], runs[pid]["verdict"], runs[pid]["rung"]),
                         ("golden:1", "approved", "content"))
        self.assertEqual((answer["findings"], answer["is_complete"], answer["catalog_sequence"]), ([], True, 2))
        self.assertTrue(runs[pid]["layers"][0]["content"].startswith("sha256:"))

    def test_a_foreign_container_is_a_finding(self):
        good, bad = self.start(self.golden), self.start(self.foreign)
        runs, answer = self.rows("--catalog", self.catalog, code=1)
        self.assertEqual((runs[good]["verdict"], runs[bad]["verdict"]), ("approved", "unknown"))
        self.assertEqual([(finding["kind"], finding["container"]) for finding in answer["findings"]],
                         [("unknown-base", runs[bad]["container"])])
        self.assertEqual((runs[good]["findings"], runs[bad]["findings"]), (0, 1))

    def test_the_table_is_for_people(self):
        self.start(self.foreign)
        out, said = self.once("--catalog", self.catalog, code=1)
        self.assertRegex(out, r"CONTAINER +IMAGE +BASE +VERDICT +RUNG +AGE +FINDINGS\n")
        self.assertRegex(out, r"KIND +CONTAINER +REASON\nunknown-base ")
        self.assertIn("1 finding\n", said)

    def test_nobody_is_told_and_nothing_is_kept(self):
        self.start(self.golden)
        before = sorted(os.listdir(self.here.folder))
        self.once("--catalog", self.catalog, code=0)
        self.assertEqual(sorted(os.listdir(self.here.folder)), before)

    def test_without_a_catalog_every_base_is_unknown_and_it_says_so(self):
        pid = self.start(self.golden)
        out, said = self.once("--state-dir", self.here.folder / "none", "-o", "json", code=1)
        self.assertEqual({run["pid"]: run["verdict"] for run in json.loads(out)["runs"]}[pid], "unknown")
        self.assertIn("without a catalog every base is unknown", said)
        self.assertIn("--catalog", said)

    def test_beside_a_running_agent(self):
        pid = self.start(self.golden)
        self.here.start_collector()
        self.here.start_agent()
        try:
            self.here.wait(lambda: any(run["process"]["pid"] == pid and run["verdict"]["status"] == "approved"
                                       for run in self.here.runs()), "the agent's own verdict")
            runs, _ = self.rows(code=0)  # with the catalog that the agent holds
            self.assertEqual(runs[pid]["verdict"], "approved")
        finally:
            self.here.stop_agent()
            self.here.stop_collector()

    def test_what_is_wrong_is_said(self):
        broken = self.here.folder / "broken.json"
        broken.write_text("{}")
        self.addCleanup(broken.unlink)
        for words, code, text in [(["--catalog", "/nowhere"], 7, "/nowhere"),
                                  (["--catalog", broken], 6, ""),
                                  (["--timeout", "soon"], 2, "soon"),
                                  (["-o", "xml"], 2, "xml")]:
            with self.subTest(words=words):
                self.assertIn(text, self.once(*words, code=code)[1])

    def test_without_root_it_says_what_it_needs(self):
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                               BIN / "assay-agent", "once"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("root", done.stderr)


if __name__ == "__main__":
    deployment.main()
