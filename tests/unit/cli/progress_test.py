#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: on a terminal and nowhere else, and gone at the end."""
import fcntl
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
import images  # noqa: E402

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
TIMEOUT_S = 120
UPDATE = re.compile(r"\r([^\r\n\x1b]+)\x1b\[K")
CLEAR = "\r\x1b[K"


def drain(fd, chunks):
    """Everything that is written to a pty, until its last writer is gone."""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # EIO: Linux's way of saying so
            return
        if not chunk:
            return
        chunks.append(chunk)


def on_terminal(words, columns=200, **environment):
    """(exit code, stdout, what the terminal on stderr was sent)."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {"PATH": "/usr/bin:/bin", "TERM": "xterm", **environment}
    chunks = []
    reader = threading.Thread(target=drain, args=(master, chunks))
    with subprocess.Popen([ASSAY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=slave, env=variables) as process:
        os.close(slave)
        reader.start()
        out, _ = process.communicate(timeout=TIMEOUT_S)
    reader.join(TIMEOUT_S)
    os.close(master)
    return process.returncode, out.decode(), b"".join(chunks).decode()


class Progress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(cls.folder.name)
        cls.tree = root / "tree"
        cls.tree.mkdir()
        for name in ("a", "b"):
            with open(cls.tree / name, "wb") as file:
                file.truncate(20 << 20)
        layers = [images.layer(root / f"layer{n}.tar", {f"file{n}": bytes(12 << 20)})
                  for n in range(3)]
        top = images.layer(root / "top.tar", {"x": b"x"})
        cls.archive = images.image_archive(root / "image.tar", "test:1", layers)
        cls.other = images.image_archive(root / "other.tar", "test:2", [*layers[:2], top])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check_line(self, sent, columns=200):
        """One line that is only ever written over, and cleared at the end."""
        updates = UPDATE.findall(sent)
        self.assertTrue(updates, repr(sent))
        self.assertTrue(sent.endswith(CLEAR), repr(sent))
        self.assertEqual(UPDATE.sub("", sent).replace(CLEAR, ""), "", "something else was written")
        for update in updates:
            self.assertLess(len(update), columns)
        return updates

    def test_an_archive_shows_layers_bytes_and_per_cent(self):
        code, out, sent = on_terminal(["fingerprint", str(self.archive)])
        self.assertEqual(code, 0)
        self.assertIn("Layers, bottom first", out)
        updates = self.check_line(sent)
        self.assertTrue(any(re.search(r"image\.tar: layer [123] of 3, [0-9.]+ MB of [0-9.]+ MB "
                                      r"\([0-9]+ %\)$", update) for update in updates), updates)

    def test_a_directory_shows_files_and_bytes(self):
        code, _, sent = on_terminal(["fingerprint", str(self.tree)])
        self.assertEqual(code, 0)
        updates = self.check_line(sent)
        self.assertTrue(any(re.search(r"tree: ([0-9]+ files, )?[0-9.]+ MB$", update)
                            for update in updates), updates)

    def test_a_comparison_shows_which_source_is_read(self):
        code, _, sent = on_terminal(["fingerprint", str(self.archive), "--diff", str(self.other)])
        self.assertEqual(code, 1)
        # The line is cleared between two sources, never left.
        self.assertTrue(any("image.tar" in update for update in self.check_line(sent)))

    def test_a_narrow_terminal_gets_a_line_that_does_not_wrap(self):
        code, _, sent = on_terminal(["fingerprint", str(self.archive)], columns=24)
        self.assertEqual(code, 0)
        self.check_line(sent, columns=24)

    def test_an_error_follows_a_cleared_line(self):
        short = pathlib.Path(self.folder.name) / "short.tar"
        short.write_bytes(self.archive.read_bytes()[:-(6 << 20)])
        code, _, sent = on_terminal(["fingerprint", str(short)])
        self.assertEqual(code, 6)
        *_, last = sent.split(CLEAR)
        self.assertTrue(last.startswith("assay: "), repr(last))

    def test_where_nobody_looks_there_is_silence(self):
        for name, environment in (("NO_COLOR", {"NO_COLOR": "1"}), ("CI", {"CI": "true"}),
                                  ("dumb", {"TERM": "dumb"})):
            with self.subTest(name):
                code, _, sent = on_terminal(["fingerprint", str(self.archive)], **environment)
                self.assertEqual((code, sent), (0, ""))
        with self.subTest("pipe"):
            done = subprocess.run([ASSAY, "fingerprint", str(self.tree)], capture_output=True,
                                  timeout=TIMEOUT_S, check=True,
                                  env={"PATH": "/usr/bin:/bin", "TERM": "xterm"})
            self.assertEqual(done.stderr, b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
