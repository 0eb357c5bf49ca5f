# SPDX-License-Identifier: Apache-2.0
"""A real Debian base in two implementations: fingerprint.py's digests are those of `assay fingerprint`.

The base comes as golden bases do: a root file system that podman imports, saves as an OCI archive
and gzips; and it comes as the directory that tar unpacks. ASSAY_BIN names the folder of the programs.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASSAY = os.path.join(os.environ.get("ASSAY_BIN", os.path.join(ROOT, "build", "dev", "bin")), "assay")
SUPPORT = os.path.join(ROOT, "tests", "support")
PARTS = ("shape", "content", "deletions", "entries", "content_bytes")
# What reading an image may take, whatever its layers hold.
MOST_MEMORY_KIB = 64 << 10


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(argv), done.stderr))
    return done.stdout.strip()


def by_assay(source):
    return json.loads(run(ASSAY, "fingerprint", "-o", "json", source))["layers"]


def most_memory_of_assay(source):
    """KiB that `assay fingerprint` held at the most, its libraries included."""
    pid = os.posix_spawn(ASSAY, [ASSAY, "fingerprint", source], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise AssertionError("assay fingerprint %s: status %d" % (source, status))
    return usage.ru_maxrss


def by_python(*arguments):
    return json.loads(run(sys.executable, "-B", os.path.join(SUPPORT, "fingerprint.py"), *arguments))


def parts(layer):
    return {key: str(layer[key]).removeprefix("sha256:") for key in PARTS}


class DebianBase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tar = run(os.path.join(SUPPORT, "base.sh"))
        # Not below /tmp: that may be a file system that keeps no capabilities.
        cls.folder = tempfile.mkdtemp(prefix="debian-base-", dir=os.path.dirname(cls.tar))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.expected = parts(by_python(cls.tar)[0])

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_as_a_gzipped_archive_of_what_podman_imported(self):
        podman = ["podman", "--root", self.path("root"), "--runroot", self.path("run"),
                  "--storage-driver", "vfs"]
        run(*podman, "import", self.tar, "base")
        run(*podman, "save", "--format", "oci-archive", "--output", self.path("base.tar"), "base")
        run("gzip", "-1", self.path("base.tar"))
        layers = by_assay(self.path("base.tar.gz"))
        self.assertEqual([parts(layer) for layer in layers], [self.expected])
        self.assertGreater(int(self.expected["entries"]), 5000)
        self.assertLess(most_memory_of_assay(self.path("base.tar.gz")), MOST_MEMORY_KIB)
        run(*podman, "rmi", "--all", "--force")

    def test_as_the_directory_that_tar_unpacks(self):
        tree = self.path("tree")
        os.mkdir(tree)
        run("tar", "-C", tree, "--numeric-owner", "-xpf", self.tar)
        self.assertEqual(parts(by_python(tree)[0]), self.expected)
        self.assertEqual([parts(layer) for layer in by_assay(tree)], [self.expected])

    def test_a_file_of_more_than_4_gib_takes_no_memory(self):
        tree, tar, layout = self.path("big"), self.path("big.tar"), self.path("layout")
        os.mkdir(tree)
        with open(os.path.join(tree, "big"), "wb") as big:
            big.truncate((4 << 30) + 5)
            big.seek(1 << 32)
            big.write(b"end")
        run("tar", "-C", tree, "--format=posix", "--sparse", "-cf", tar, "big")
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", layout + ":1")
        run("umoci", "raw", "add-layer", "--image", layout + ":1", tar)
        layers = by_assay(layout)
        self.assertEqual(layers[0]["content_bytes"], (4 << 30) + 5)
        self.assertEqual(parts(layers[0]), parts(by_python(tar)[0]))
        self.assertEqual(layers[0]["content"], by_assay(tree)[0]["content"])
        self.assertLess(most_memory_of_assay(layout), MOST_MEMORY_KIB)


def missing():
    if os.geteuid() != 0:
        return "needs root"
    for program in ("debootstrap", "podman", "umoci"):
        if not shutil.which(program):
            return "needs " + program
    return ""


if __name__ == "__main__":
    if missing():
        print("SKIPPED: " + missing())
        sys.exit(77)
    unittest.main()
