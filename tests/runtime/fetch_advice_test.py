#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command that Assay answers with for an image elsewhere is run as it stands, by a real skopeo."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import images  # noqa: E402

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
TIMEOUT_S = 120
USAGE = 2


class FetchAdvice(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not shutil.which("skopeo"):
            print("SKIPPED: needs root and skopeo")
            sys.exit(77)
        folder = tempfile.TemporaryDirectory(prefix="assay-fetch-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        policy = self.root / "policy.json"
        policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}', encoding="ascii")
        self.policy = policy

    def run_here(self, *words, code=0):
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              cwd=self.root)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_an_image_in_a_store_of_containers(self):
        layer = images.layer(self.root / "layer.tar", {"etc/os-release": b"ID=test\n"})
        archive = images.image_archive(self.root / "image.tar", "localhost/app:1", [layer])
        source = f"containers-storage:[vfs@{self.root}/store+{self.root}/run]localhost/app:1"
        self.run_here("skopeo", "--policy", str(self.policy), "copy", f"oci-archive:{archive}", source)
        answer = self.run_here(ASSAY, "fingerprint", source, code=USAGE).stderr
        command, file = re.search(r"skopeo does: (skopeo copy .*) \(then use (.*)\)$",
                                  answer.strip()).groups()
        self.run_here("sh", "-c", command.replace("skopeo", f"skopeo --policy {self.policy}", 1))
        found = json.loads(self.run_here(ASSAY, "fingerprint", file, "-o", "json").stdout)
        self.assertEqual(found["source_kind"], "oci-archive")
        self.assertEqual(found["reference"], "1")
        self.assertEqual(found["claimed_distribution"]["id"], "test")
        self.assertEqual(found["layers"][0]["diff_id"], f"sha256:{images.sha256_of(layer)}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
