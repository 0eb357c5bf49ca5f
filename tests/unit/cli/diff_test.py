#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""assay fingerprint A --diff B: which paths make two images differ, and in what."""
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


def entry(name, content=b"", **fields):
    """One tar member: a file of ours unless `fields` say otherwise."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.size = 0o644, TIME, len(content)
    info.uid, info.gid = os.getuid(), os.getgid()
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


class Diff(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.made = 0

    def image(self, *layers):
        """The path of an archive; each layer is a list of entries."""
        tars = []
        for members in layers:
            self.made += 1
            tars.append(self.root / f"layer{self.made}.tar")
            with tarfile.open(tars[-1], "w", format=tarfile.PAX_FORMAT) as tar:
                for info, content in members:
                    tar.addfile(info, io.BytesIO(content))
        self.made += 1
        return images.image_archive(self.root / f"image{self.made}.tar", "test:1", tars)

    def run_diff(self, before, after, *more):
        return subprocess.run([ASSAY, "fingerprint", str(before), "--diff", str(after), *more],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    def diff(self, before, after, *more):
        """(exit code, the JSON)"""
        done = self.run_diff(before, after, "-o", "json", *more)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode, json.loads(done.stdout)

    def one_path(self, before, after):
        """The only path in which two images of one layer differ."""
        code, found = self.diff(self.image(before), self.image(after))
        self.assertEqual((code, found["is_equal"]), (1, False))
        (layer,) = found["layers"]
        self.assertEqual(layer["state"], "changed")
        self.assertEqual(layer["added"] + layer["removed"] + layer["changed"], 1, layer)
        return layer["paths"][0]

    def test_equal_images_end_with_0(self):
        members = [entry("a", b"x"), entry("b", b"y")]
        code, found = self.diff(self.image(members), self.image(list(reversed(members))))
        self.assertEqual((code, found["is_equal"]), (0, True))
        self.assertEqual([layer["state"] for layer in found["layers"]], ["equal"])
        self.assertEqual(found["layers"][0]["paths"], [])

    def test_every_kind_of_change_is_named(self):
        xattr = {"SCHILY.xattr.user.note": "1"}
        rows = (
            ("mode", entry("p", b"x"), entry("p", b"x", mode=0o755), ["mode"],
             {"mode": "0644"}, {"mode": "0755"}),
            ("owner", entry("p", b"x"), entry("p", b"x", uid=7, gid=8), ["owner"],
             {"owner": f"{os.getuid()}:{os.getgid()}"}, {"owner": "7:8"}),
            ("mtime", entry("p", b"x"), entry("p", b"x", mtime=TIME + 1), ["mtime"],
             {"mtime": "2023-11-14T22:13:20.000Z"}, {"mtime": "2023-11-14T22:13:21.000Z"}),
            ("size and content", entry("p", b"x"), entry("p", b"xy"), ["size", "content"],
             None, None),
            ("content alone", entry("p", b"x"), entry("p", b"y"), ["content"], None, None),
            ("link target", entry("p", type=tarfile.SYMTYPE, linkname="a"),
             entry("p", type=tarfile.SYMTYPE, linkname="b"), ["link_target"],
             {"link_target": "a"}, {"link_target": "b"}),
            ("type", entry("p", b"x"), entry("p", type=tarfile.SYMTYPE, linkname="b"), ["type"],
             {"type": "file"}, {"type": "symlink"}),
            ("device", entry("p", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
             entry("p", type=tarfile.CHRTYPE, devmajor=1, devminor=5), ["device"],
             {"device": "1:3"}, {"device": "1:5"}),
            ("xattrs", entry("p", b"x"), entry("p", b"x", pax_headers=xattr), ["xattrs"],
             {}, {"xattrs": {"user.note": "0x31"}}),
        )
        for name, before, after, what, old, new in rows:
            with self.subTest(name):
                path = self.one_path([before], [after])
                self.assertEqual((path["path"], path["change"], path["what"]),
                                 ("p", "changed", what))
                if old is not None:
                    self.assertEqual((path["before"], path["after"]), (old, new))

    def test_added_and_removed_paths(self):
        path = self.one_path([entry("a")], [entry("a"), entry("b", b"xyz")])
        self.assertEqual((path["path"], path["change"], path["type"], path["before"]),
                         ("b", "added", "file", None))
        self.assertEqual(path["after"]["size"], 3)
        path = self.one_path([entry("a"), entry("b")], [entry("b")])
        self.assertEqual((path["path"], path["change"], path["after"]), ("a", "removed", None))

    def test_deletions_are_compared(self):
        upper = [entry("keep")]
        for name, mark, path, what in (("whiteout", "gone/.wh.file", "gone/file", "whiteout"),
                                       ("opaque", "gone/.wh..wh..opq", "gone", "opaque")):
            with self.subTest(name):
                folder = entry("gone", type=tarfile.DIRTYPE)
                found = self.one_path([*upper, folder], [*upper, folder, entry(mark)])
                self.assertEqual((found["path"], found["change"], found["type"], found["what"]),
                                 (path, "added", "deletion", [what]))

    def test_layers_are_paired_from_the_bottom(self):
        base, app = [entry("base")], [entry("app1"), entry("app2")]
        code, found = self.diff(self.image(base), self.image(base, app))
        self.assertEqual(code, 1)
        self.assertEqual([layer["state"] for layer in found["layers"]], ["equal", "only-after"])
        self.assertIsNone(found["layers"][1]["before"])
        self.assertEqual(found["layers"][1]["added"], 2)
        _, back = self.diff(self.image(base, app), self.image(base))
        self.assertEqual([layer["state"] for layer in back["layers"]], ["equal", "only-before"])

    def test_an_archive_and_a_directory(self):
        tree = self.root / "tree"
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/motd").write_bytes(b"hello\n")
        os.chmod(tree / "etc/motd", 0o644)
        os.utime(tree / "etc/motd", (TIME, TIME))
        same = self.image([entry("etc/motd", b"hello\n")])
        self.assertEqual(self.diff(same, tree)[0], 0)
        self.assertEqual(self.diff(tree, same)[0], 0)
        os.chmod(tree / "etc/motd", 0o600)
        code, found = self.diff(same, tree)
        self.assertEqual(code, 1)
        self.assertEqual(found["layers"][0]["paths"][0]["after"], {"mode": "0600"})

    def test_what_is_shown_is_bounded_and_what_is_left_out_counted(self):
        before = self.image([entry(f"f{n:03}", b"x") for n in range(250)])
        after = self.image([entry("g")])
        _, found = self.diff(before, after)
        (layer,) = found["layers"]
        self.assertEqual((layer["removed"], layer["added"]), (250, 1))
        self.assertEqual((len(layer["paths"]), layer["left_out"]), (100, 151))
        _, few = self.diff(before, after, "--max-paths", "2")
        self.assertEqual((len(few["layers"][0]["paths"]), few["layers"][0]["left_out"]), (2, 249))
        _, everything = self.diff(before, after, "--max-paths", "0")
        self.assertEqual(len(everything["layers"][0]["paths"]), 251)
        done = self.run_diff(before, after)
        self.assertEqual(done.stderr, "151 more paths differ; --max-paths 0 shows all of them.\n")

    def test_the_table_names_paths_and_escapes_them(self):
        evil = "a\x1b[2Jb"
        done = self.run_diff(self.image([entry(evil, b"x")]),
                             self.image([entry(evil, b"x", mode=0o4755)]))
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("\x1b", done.stdout)
        self.assertRegex(done.stdout, r"changed +file +a\\x1b\[2Jb +mode +mode=0644 +mode=4755")
        self.assertIn("Paths of layer 1", done.stdout)

    def test_bad_calls_and_bad_sources(self):
        image = self.image([entry("a")])
        done = subprocess.run([ASSAY, "fingerprint", image, "--max-paths", "5"],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(self.run_diff(image, self.root / "no-such.tar").returncode, 7)
        done = self.run_diff(image, "docker://debian:12")
        self.assertEqual(done.returncode, 2)
        self.assertIn("skopeo copy docker://debian:12 oci-archive:debian-12.tar:12", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
