#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pipeline without a collector: the catalog is exported, then images are checked against the file."""
import json
import os
import pathlib
import unittest
import unittest.mock

import deployment
import images

NEGATIVE, USAGE, REFUSED = 1, 2, 4


class ExportTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        state = unittest.mock.patch.dict(os.environ, XDG_STATE_HOME=str(self.here.folder / "state"))
        state.start()
        self.addCleanup(state.stop)
        names = {f"bin/{name}": "busybox" for name in ("sh", "true", "sleep", "cat", "ls")}
        files = {"bin/busybox": pathlib.Path(images.BUSYBOX).read_bytes(),
                 **{f"etc/setting-{number}": b"set" for number in range(30)}}
        self.layer = images.layer(self.here.folder / "base.layer", files, names)
        self.base = images.image_archive(self.here.folder / "base.tar", "localhost/base:1",
                                         [self.layer])
        own = images.layer(self.here.folder / "own.layer", {"app/run": b"own"})
        self.child = images.image_archive(self.here.folder / "child.tar", "localhost/child:1",
                                          [self.layer, own])
        flat = images.layer(self.here.folder / "flat.layer", {**files, "app/run": b"own"}, names)
        self.flat = images.image_archive(self.here.folder / "flat.tar", "localhost/flat:1", [flat])
        self.file = self.here.folder / "catalog.json"
        self.here.start_collector()
        self.here.query("base", "approve", "busybox:1", "--from", self.base)

    def export(self):
        return self.here.query("base", "export", self.file)

    def check(self, image, code, *words):
        out, _ = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "check",
                                   image, "-o", "json", *words, code=code)
        return json.loads(out)

    def check_offline(self, image, code):
        """Only the file and the trust file: no address, no certificate."""
        out, errors = self.here.program("assay", "--trust-file", self.here.folder / "operator.pub",
                                        "check", image, "--catalog", self.file, "-o", "json",
                                        code=code)
        return json.loads(out) if code != REFUSED else errors

    def test_file_and_collector_give_the_same_answers(self):
        exported = self.export()
        self.assertEqual((exported["bases"], exported["file_sets"]), (1, 1))
        for image, code, evidence in ((self.child, 0, "exact"), (self.flat, NEGATIVE, "contained")):
            by_file, by_collector = self.check_offline(image, code), self.check(image, code)
            self.assertEqual((by_file["base"], by_file["evidence"]), ("busybox:1", evidence))
            self.assertEqual(by_file, by_collector)

    def test_a_revocation_reaches_the_next_export(self):
        self.export()
        self.here.query("base", "revoke", "busybox:1", "--reason", "test", "--yes", "--wait", "0")
        self.assertEqual(self.check_offline(self.child, 0)["verdict"], "approved")
        self.export()
        for image in (self.child, self.flat):
            self.assertEqual(self.check_offline(image, NEGATIVE)["verdict"], "revoked")

    def test_a_signed_policy_decides_what_counts_as_contained(self):
        words = ("policy", "set", self.here.folder / "policy.yaml", "--yes")
        (self.here.folder / "policy.yaml").write_text("contained: {min_files: 100, share_percent: 90}\n")
        self.assertEqual(self.here.query(*words, "--dry-run")["is_dry_run"], True)
        self.assertEqual(self.here.query("policy", "show")["history"], [])
        self.assertEqual(self.check(self.flat, NEGATIVE)["base"], "busybox:1")
        changed = self.here.query(*words, "--reason", "large bases only")
        self.assertEqual((changed["before"]["contained"]["min_files"], changed["sequence"]), (20, 2))
        shown = self.here.query("policy", "show")
        self.assertEqual(shown["policy"], changed["policy"])
        self.assertEqual([row["reason"] for row in shown["history"]], ["large bases only"])
        self.export()
        for answer in (self.check(self.flat, NEGATIVE), self.check_offline(self.flat, NEGATIVE)):
            self.assertEqual(answer["base"], "")
            self.assertIn("fewer than 100 files tell nothing", answer["reason"])
        self.assertIn("so already", self.here.program(
            "assay", "--config", self.here.folder / "cli.yaml", *words)[1])

    def test_a_wrong_policy_changes_nothing(self):
        (self.here.folder / "policy.yaml").write_text("contained: {min_files: 0}\n")
        _, errors = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "policy", "set",
                                      self.here.folder / "policy.yaml", "--yes", code=USAGE)
        self.assertIn("policy.yaml:1:24: contained.min_files", errors)

    def test_a_changed_file_is_refused(self):
        self.export()
        exported = json.loads(self.file.read_text())
        exported["head"] = exported["head"].replace("A", "B")
        self.file.write_text(json.dumps(exported))
        self.assertIn("refused", self.check_offline(self.child, REFUSED))


if __name__ == "__main__":
    deployment.main()
