#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small part of the accuracy corpus (tests/bench/bench_accuracy.py): one real Debian base, two versions."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/bench"))
import corpus_tree as trees  # noqa: E402
import images  # noqa: E402  from tests/e2e, which corpus_tree put on the path

ASSAY = pathlib.Path(os.environ.get("ASSAY_BIN", TOP / "build/dev/bin")) / "assay"
NOT_ACCEPTED = 1
TIMEOUT_S = 300


class Flattened(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        first = trees.Tree.load(images.debian_base())
        # An update of the size of a library and its manuals.
        cls.trees = {"debian:1": first, "debian:2": first.overwritten(0.02, 7)}
        cls.bases = []
        for name, tree in cls.trees.items():
            path = cls.folder / f"{name.replace(':', '-')}.tar"
            tree.write_image(path)
            cls.bases += ["--base", f"{name}={path}"]

    def check(self, tree):
        """The answer of `assay check`, which accepts none of these."""
        image = self.folder / "image.tar"
        tree.write_image(image)
        done = subprocess.run([ASSAY, "check", image, "-o", "json", *self.bases],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, NOT_ACCEPTED, done.stderr)
        return json.loads(done.stdout)

    def test_flattened_images_name_base_and_version(self):
        first, second = self.trees.values()
        ways = (("debian:1", "exported", trees.exported(first, 1)),
                ("debian:2", "copied", trees.copied(second, 2)),
                ("debian:1", "rebuilt", trees.rebuilt(first, 3)),
                ("debian:2", "/usr only", trees.usr_only(second, 4)),
                ("debian:1", "slimmed", trees.slimmed(first, 5)),
                ("debian:2", "a fifth overwritten",
                 trees.with_application(second.overwritten(0.2, 6), 6)))
        for base, way, tree in ways:
            with self.subTest(way):
                found = self.check(tree)
                contained = [one["base"] for one in found["containment"]["bases"]
                             if one["is_contained"]]
                self.assertEqual((found["base"], found["evidence"], contained),
                                 (base, "contained", [base]), found["reason"])

    def test_one_changed_binary_is_counted(self):
        tree = self.trees["debian:1"].copy().overwrite(["usr/bin/dpkg"], 8)
        found = self.check(tree)
        self.assertEqual((found["base"], found["containment"]["bases"][0]["changed"]),
                         ("debian:1", 1))

    def test_the_same_paths_with_other_bytes_are_no_base(self):
        found = self.check(trees.same_paths(self.trees["debian:1"], 9))
        self.assertEqual(found["base"], "")

    def test_an_unrelated_image_is_no_base(self):
        found = self.check(trees.random_files(10, 2000))
        self.assertEqual((found["base"], found["containment"]["bases"]), ("", []))


if __name__ == "__main__":
    unittest.main()
