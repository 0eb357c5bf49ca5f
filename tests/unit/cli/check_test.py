#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""assay check and assay fingerprint --base with bases straight from their images."""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
import images  # noqa: E402

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
TIMEOUT_S = 120
TIME = 1_700_000_000


def tree(word, count, version=0, changed=0):
    """{name: content}; version 1 has `changed` other files."""
    return {f"usr/lib/{word}{number}":
            f"{word} {number} {version if number < changed else 0}".encode()
            for number in range(count)}


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.made = 0
        self.base = tree("libc", 100)
        self.next = tree("libc", 100, version=1, changed=10)
        self.other = tree("musl", 80)
        self.bases = [word for name, files in (("debian:1", self.base), ("debian:2", self.next),
                                               ("alpine:3", self.other))
                      for word in ("--base", f"{name}={self.image([files])}")]

    def image(self, layers, mtime=TIME):
        """The path of an archive; each layer is {name: content}."""
        tars = []
        for files in layers:
            self.made += 1
            tars.append(self.root / f"layer{self.made}.tar")
            with tarfile.open(tars[-1], "w", format=tarfile.PAX_FORMAT) as tar:
                for name, content in files.items():
                    info = tarfile.TarInfo(name)
                    info.mode, info.mtime, info.size = 0o644, mtime, len(content)
                    tar.addfile(info, io.BytesIO(content))
        self.made += 1
        return images.image_archive(self.root / f"image{self.made}.tar", "test:1", tars)

    def run_assay(self, *words):
        return subprocess.run([ASSAY, *map(str, words)], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)

    def answer(self, code, *words):
        done = self.run_assay(*words, "-o", "json")
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def test_an_image_on_a_base_is_accepted(self):
        image = self.image([self.base, {"app/run": b"app"}], mtime=TIME)
        found = self.answer(0, "check", image, *self.bases)
        self.assertEqual((found["base"], found["evidence"], found["application_layers"]),
                         ("debian:1", "exact", 1))
        self.assertTrue(found["is_accepted"])

    def test_a_flattened_image_is_named_and_not_accepted(self):
        image = self.image([{**self.next, "usr/lib/libc50": b"patched", "app/run": b"app"}],
                           mtime=TIME + 1)
        found = self.answer(1, "check", image, *self.bases)
        self.assertEqual((found["base"], found["evidence"], found["verdict"]),
                         ("debian:2", "contained", "unknown"))
        named, runner_up = found["containment"]["bases"]
        self.assertEqual((named["base"], named["is_contained"], named["changed"],
                          named["missing"], named["rival"], named["own_present"]),
                         ("debian:2", True, 1, 0, "debian:1", 10))
        self.assertEqual((runner_up["base"], runner_up["is_contained"], runner_up["own_present"]),
                         ("debian:1", False, 0))
        self.assertIn("0 of 10 files that tell it from debian:2 are here, too few",
                      runner_up["why"])

    def test_the_layers_above_the_base_are_looked_at(self):
        image = self.image([self.base, self.other])
        found = self.answer(0, "check", image, *self.bases)
        self.assertEqual(found["base"], "debian:1")
        self.assertEqual(found["containment"]["first_layer"], 1)
        contained = {base["base"] for base in found["containment"]["bases"]
                     if base["is_contained"]}
        self.assertIn("alpine:3", contained)

    def test_equal_layers_and_deletions_are_put_together(self):
        gone = {f"usr/lib/.wh.libc{number}": b"" for number in range(100)}
        image = self.image([{"a": b"a"}, self.base, gone, {"a": b"a"}])
        found = self.answer(1, "check", image, *self.bases)
        self.assertEqual((found["base"], found["containment"]["bases"]), ("", []))

    def test_an_unrelated_image_is_not_accepted(self):
        found = self.answer(1, "check", self.image([tree("go", 30)]), *self.bases)
        self.assertEqual((found["base"], found["evidence"]), ("", "none"))
        self.assertEqual([finding["kind"] for finding in found["findings"]], ["unknown-base"])

    def test_fingerprint_says_the_base_beside_the_digests(self):
        image = self.image([{**self.base, "app/run": b"app"}])
        found = self.answer(0, "fingerprint", image, *self.bases)
        self.assertEqual((found["base"], found["evidence"], len(found["layers"])),
                         ("debian:1", "contained", 1))
        self.assertNotIn("verdict", found)
        text = self.run_assay("fingerprint", image, *self.bases).stdout
        self.assertIn("Base:       debian:1\nEvidence:   contained\n", text)
        self.assertIn("100.0 % of base debian:1 is here", text)
        self.assertNotIn("containment", self.answer(0, "fingerprint", image))

    def test_bad_bases_are_usage_errors(self):
        image = self.image([self.base])
        for words, text in ((("--base", "debian"), "NAME:VERSION=SOURCE"),
                            (("--base", f"debian={image}"), "NAME:VERSION=SOURCE"),
                            (("--base", f"a:1={image}", "--base", f"a:1={image}"), "a:1 twice"),
                            (("--base", f"a:1={image}", "--catalog", "x"), "--base"),
                            ((), "no trust file given")):
            with self.subTest(text):
                done = self.run_assay("check", image, *words)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(text, done.stderr)
        self.assertEqual(self.run_assay("check", image, "--base", "a:1=/missing").returncode, 2)


if __name__ == "__main__":
    unittest.main()
