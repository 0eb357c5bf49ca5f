#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports of scanners through the command line and a real collector: attached to bases, listed, compared, searched.

Real samples (tests/golden/scans) come with --base; reports about the test's own images are written here as the
scanners write them. Running containers are made up (tests/support/load_agent.cpp): nothing is started.
"""
import json
import pathlib
import unittest
import xml.dom.minidom

import deployment
import images
from by_hand import unpack
from ledger import MadeUp
from scan_reports import grype, trivy, vex

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "golden/scans"
USAGE, MISSING, BAD_INPUT, NOT_FOUND = 2, 3, 6, 7
BASE_COUNTS = {"total": 2, "unknown": 0, "low": 1, "medium": 0, "high": 1, "critical": 0}


class ScanTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        folder = self.here.folder
        self.bottom = images.busybox_layer(folder / "bottom.layer", "bottom")
        self.top = images.layer(folder / "top.layer", {"opt/app": b"app"})
        self.golden = images.image_archive(folder / "golden.tar", "localhost/golden:1", [self.bottom])
        self.java = images.image_archive(folder / "java.tar", "localhost/java:1", [self.bottom, self.top])
        self.diff_ids = ["sha256:" + images.sha256_of(layer) for layer in (self.bottom, self.top)]
        self.own_id = "sha256:" + "e" * 64
        self.here.start_collector()
        self.approve("golden:1", self.golden)

    def approve(self, name, source):
        self.here.query("base", "approve", name, "--from", source)

    def report(self, name, tree):
        path = self.here.folder / name
        path.write_text(json.dumps(tree))
        return path

    def load(self, path, *words):
        return self.here.query("scan", "import", path, *words)

    def refusal(self, code, *words):
        """stderr of an import that ends with `code` in one line."""
        _, errors = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "scan", "import", *words,
                                      code=code)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        return errors

    def counts(self, name):
        return next(base for base in self.here.query("base", "list")["bases"] if base["base"] == name)["scan"]

    def scan_golden(self):
        return self.load(self.report("golden.json", trivy(self.diff_ids[:1], [
            ("CVE-2024-1", "HIGH", "libc6", self.diff_ids[0]), ("CVE-2024-2", "LOW", "zlib1g", self.diff_ids[0])])))

    def test_every_sample_is_attached_to_the_base_that_is_named(self):
        layer = unpack(self.bottom, self.here.folder / "layers/folder")
        self.approve("folder:1", layer)  # without diff IDs: a report's cannot be held against it
        self.assertEqual({path.name for path in SAMPLES.iterdir()} - {"NOTICE"}, {
            path.name for path in SAMPLES.iterdir() if path.suffix in (".json", ".sarif")})
        for path in sorted(SAMPLES.iterdir()):
            if path.name == "NOTICE":
                continue
            with self.subTest(path.name):
                words = ("--accept-empty",) if path.name == "trivy-cyclonedx.json" else ()
                done = self.load(path, "--base", "folder:1", *words)["scans"]
                self.assertEqual([(one["base"], one["is_new"], one["matched_by"]) for one in done],
                                 [("folder:1", True, "name")])
                self.assertEqual([one["is_new"] for one in self.load(path, "--base", "folder", *words)["scans"]], [False])

    def test_a_report_finds_its_base_and_is_attached_once(self):
        done = self.scan_golden()
        self.assertEqual([(one["base"], one["scope"], one["matched_by"], one["is_new"]) for one in done["scans"]],
                         [("golden:1", "base", "diff-ids", True)])
        self.assertEqual(self.counts("golden:1")["counts"], BASE_COUNTS)
        again = self.scan_golden()["scans"][0]
        self.assertFalse(again["is_new"])
        self.assertEqual(len(self.here.query("base", "history", "golden")["scans"]), 1)
        shown = self.here.assay("base", "list").splitlines()
        for word in ("TOTAL", "UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL", "SCANNED"):
            self.assertIn(word, shown[0])
        self.assertEqual(shown[1].split()[:8], ["golden:1", "approved", "2", "0", "1", "0", "1", "0"])

    def test_the_image_id_finds_the_base_too(self):
        config = self.here.query("base", "show", "golden")["annotations"]["assay.config-digest"]
        sarif = json.loads((SAMPLES / "trivy-alpine-310.sarif").read_text())
        sarif["runs"][0]["properties"]["imageID"] = config
        done = self.load(self.report("own.sarif", sarif))["scans"]
        self.assertEqual([(one["base"], one["matched_by"]) for one in done], [("golden:1", "image-id")])
        self.assertEqual(self.counts("golden:1")["counts"]["medium"], 4)
        self.assertFalse(self.counts("golden:1")["is_time_said"])

    def test_an_image_on_a_base_is_split_by_layer(self):
        self.scan_golden()
        app = self.load(self.report("app.json", grype(self.diff_ids, [
            ("CVE-2024-1", "High", "libc6", [self.diff_ids[1], self.diff_ids[0]]),
            ("CVE-2024-7", "Critical", "log4j", [self.diff_ids[1]]),
            ("CVE-2024-8", "Negligible", "other", [])])))["scans"]
        self.assertEqual([(one["base"], one["scope"]) for one in app], [("golden:1", "application")])
        self.assertEqual((app[0]["counts"]["total"], app[0]["application"], app[0]["unattributed"]), (1, 1, 1))
        # What an image on the base shows of it may be less than there is.
        self.assertEqual(self.counts("golden:1")["counts"], BASE_COUNTS)
        where = self.here.query("where", "CVE-2024-7")
        self.assertEqual([(one["origin"], one["image"]) for one in where["applications"]],
                         [("application", "example.org/app:7")])
        self.assertEqual(where["bases"], [])
        self.assertEqual({one["tool"] for one in self.here.query("where", "cve-2024-1")["bases"]}, {"trivy", "grype"})

    def test_reports_of_other_images_and_broken_ones_are_refused(self):
        other = self.report("other.json", trivy(["sha256:" + "1" * 64], []))
        rows = [("no base", NOT_FOUND, [other], "no base of the catalog"),
                ("not the named one", USAGE, [other, "--base", "golden:1"], "about another image"),
                ("silent", USAGE, [SAMPLES / "snyk-container.json"], "--base"),
                ("unknown base", NOT_FOUND, [SAMPLES / "snyk-container.json", "--base", "none:1"], "no base none:1"),
                ("an SBOM", USAGE, [SAMPLES / "trivy-cyclonedx.json", "--base", "golden:1"], "--accept-empty"),
                ("no report", MISSING, [self.report("some.json", {"a": 1})], "read are Trivy JSON"),
                ("no file", NOT_FOUND, [self.here.folder / "nothing.json"], "nothing.json"),
                ("to come", USAGE, [self.report("late.json", trivy(self.diff_ids[:1], [], "2200-01-01T00:00:00Z"))],
                 "clock")]
        whole = (SAMPLES / "trivy-ubi-7.json").read_text()
        cut = self.here.folder / "cut.json"
        cut.write_text(whole[:len(whole) // 2])
        rows.append(("half", BAD_INPUT, [cut], "breaks off at byte"))
        for name, code, words, message in rows:
            with self.subTest(name):
                self.assertIn(message, self.refusal(code, *words))
        self.assertIsNone(self.counts("golden:1"))

    def test_a_dry_run_changes_nothing(self):
        path = self.report("golden.json", trivy(self.diff_ids[:1], [("CVE-1", "HIGH", "a", self.diff_ids[0])]))
        self.assertEqual(self.load(path, "--dry-run")["scans"][0]["counts"]["total"], 1)
        self.assertIsNone(self.counts("golden:1"))

    def test_vex_bears_on_scans_before_and_after_it(self):
        self.scan_golden()
        path = self.report("vex.json", vex("CVE-2024-1", "not_affected", "2025-02-01T00:00:00Z",
                                           justification="vulnerable_code_not_present",
                                           products=[{"@id": "pkg:deb/debian/libc6@1.0"}]))
        self.assertIn("--base", self.refusal(USAGE, path))
        self.assertEqual(self.load(path, "--base", "golden:1")["scans"][0]["changed_scans"], 1)
        self.assertEqual(self.counts("golden:1")["counts"]["high"], 0)
        self.assertEqual(self.counts("golden:1")["excluded"], 1)
        self.load(self.report("next.json", trivy(self.diff_ids[:1], [
            ("CVE-2024-1", "HIGH", "libc6", self.diff_ids[0])], "2025-04-01T00:00:00Z")))
        self.assertEqual(self.counts("golden:1")["counts"]["total"], 0)
        found = self.here.query("where", "CVE-2024-1")["bases"][0]
        self.assertEqual((found["applicability"], found["status_said"]),
                         ("not_affected", "not_affected: vulnerable_code_not_present"))

    def test_history_compares_a_base_with_its_successor(self):
        self.approve("java:1", self.java)
        self.here.assay("base", "deprecate", "golden:1", "--until", "90d", "--successor", "java:1")
        for month in range(1, 4):
            self.load(self.report(f"{month}.json", trivy(self.diff_ids[:1], [
                (f"CVE-{number}", "HIGH", "a", self.diff_ids[0]) for number in range(10 * month)],
                f"2025-0{month}-01T00:00:00Z")))
        self.load(self.report("java.json", trivy(self.diff_ids, [("CVE-1", "LOW", "a", self.diff_ids[1])],
                                                 "2025-02-15T00:00:00Z")))
        history = self.here.query("base", "history", "golden:1")
        self.assertEqual(history["successor"], "java:1")
        self.assertEqual([(one["base"], one["counts"]["total"], one["change"]) for one in history["scans"]],
                         [("golden:1", 10, None), ("golden:1", 20, 10), ("java:1", 1, None), ("golden:1", 30, 10)])
        table = self.here.assay("base", "history", "golden:1")
        self.assertIn("2025-03-01  golden:1  " + 50 * "▓" + " 30", table)
        self.assertIn("2025-02-15  java:1    ░░ 1", table)
        drawn = xml.dom.minidom.parseString(self.here.assay("base", "history", "golden:1", "-o", "svg"))
        self.assertEqual(len(drawn.getElementsByTagName("polyline")), 4)
        self.assertEqual(len(drawn.getElementsByTagName("circle")), 8)
        self.here.program("assay", "--config", self.here.folder / "cli.yaml", "base", "list", "-o", "svg", code=USAGE)

    def test_running_containers_are_found_by_the_base_they_stand_on(self):
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        layer = unpack(tar, self.here.folder / "layers/known")
        self.approve("known:1", layer)
        self.load(SAMPLES / "grype-all-fields.json", "--base", "known:1")
        self.here.start_agent(made_up=MadeUp(layer, 3, rate_hz=10, life_ms=3_600_000))
        self.here.wait(lambda: len(self.here.runs("--base", "known:1")) == 3, "three containers on known:1")
        where = self.here.query("where", "CVE-2021-33574")
        self.assertEqual({one["package"]: (one["running"], one["nodes"]) for one in where["bases"]},
                         {"libc-bin": (3, 1), "libc6": (3, 1)})
        self.assertEqual([(run["base"], run["origin"], run["node"]) for run in where["runs"]],
                         [("known:1", "base", deployment.NODE)] * 3)
        self.assertEqual(where["never_scanned"], ["golden:1"])
        compared = self.here.query("base", "compare", "known", "golden:1")["bases"]
        self.assertEqual([(one["base"], one["running"], one["nodes"]) for one in compared],
                         [("known:1", 3, 1), ("golden:1", 0, 0)])
        self.assertEqual(compared[0]["scan"]["counts"]["total"], 5)
        self.assertIsNone(compared[1]["scan"])
        self.assertGreater(compared[1]["content_bytes"], 100_000)
        self.assertGreater(compared[1]["files"], 0)
        self.assertIn("Running containers", self.here.assay("where", "CVE-2021-33574"))
        self.assertEqual(self.here.query("where", "CVE-1999-9")["bases"], [])


if __name__ == "__main__":
    deployment.main()
