# SPDX-License-Identifier: Apache-2.0
"""The second implementation of docs/formats/fingerprint.md against the published vectors.

golden_test.cpp checks Assay's own against the same file.
"""
import contextlib
import io
import json
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VECTORS = os.path.join(ROOT, "tests", "golden", "fingerprint")
SUPPORT = os.path.join(ROOT, "tests", "support")
PROGRAM = os.path.join(SUPPORT, "fingerprint.py")
sys.path.insert(0, SUPPORT)
import fingerprint  # noqa: E402

with open(os.path.join(VECTORS, "vectors.json"), encoding="utf-8") as published:
    PUBLISHED = json.load(published)


class Vectors(unittest.TestCase):
    def test_every_published_digest_comes_out(self):
        files = [os.path.join(VECTORS, vector["file"]) for vector in PUBLISHED["vectors"]]
        result = subprocess.run([sys.executable, "-B", PROGRAM, *files], capture_output=True, text=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        for vector, got in zip(PUBLISHED["vectors"], json.loads(result.stdout), strict=True):
            with self.subTest(vector["file"]):
                self.assertEqual(got["version"], PUBLISHED["version"])
                for key in ("shape", "content", "deletions", "entries"):
                    self.assertEqual(got[key], vector[key], key)

    def test_a_refused_tar_has_no_digest(self):
        for vector in PUBLISHED["refused"]:
            with self.subTest(vector["file"]):
                out, errors = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                    code = fingerprint.main([os.path.join(VECTORS, vector["file"])])
                self.assertEqual((code, out.getvalue()), (1, ""))
                self.assertIn(vector["file"], errors.getvalue())


if __name__ == "__main__":
    unittest.main()
