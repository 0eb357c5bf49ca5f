#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Passphrases that are asked for: never shown, and the terminal is left as it was, whatever ends the question."""
import fcntl
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import termios
import time
import unittest

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
DEADLINE_S = 120
SECRET = "correct horse battery"
USAGE, UNAVAILABLE = 2, 5
ASKED = "Passphrase of "
INTERRUPT, SUSPEND, END_OF_INPUT = "\x03", "\x1a", "\x04"


class OnTerminal:
    """The command line in front of a terminal that is its own, as a shell would start it."""

    def __init__(self, *words):
        self.master, self.slave = os.openpty()
        self.shown = ""

        def take_terminal():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([ASSAY, *map(str, words)], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, preexec_fn=take_terminal,
                                        env={"PATH": "/usr/bin:/bin", "TERM": "xterm"})

    def has_echo(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def read_until(self, condition, what):
        """Reads what is shown until `condition()`."""
        end = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {DEADLINE_S} s; shown: {self.shown}")
            if select.select([self.master], [], [], 0.05)[0]:
                self.shown += os.read(self.master, 65536).decode()

    def wait_for_question(self, text=ASKED, count=1):
        """Until the question stands there and what is typed would not."""
        self.read_until(lambda: self.shown.count(text) == count and not self.has_echo(), f"question {count}")

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """(exit code, everything that was shown); a negative code is the signal that ended it."""
        self.read_until(lambda: self.process.poll() is not None, "the end")
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65536).decode()
        return self.process.returncode, self.shown

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Passphrase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "words").write_text(SECRET + "\n")
        (self.folder / "words").chmod(0o600)
        subprocess.run([ASSAY, "key", "new", "--out", self.folder / "locked", "--passphrase-file",
                        self.folder / "words"], check=True, capture_output=True)
        self.signed = self.folder / "root.json"
        self.sign = ["root", "init", self.signed, "--add", self.folder / "locked.pub", "--key",
                     self.folder / "locked.key"]

    def on_terminal(self, *words):
        terminal = OnTerminal(*words)
        self.addCleanup(terminal.close)
        return terminal

    def asked(self):
        terminal = self.on_terminal(*self.sign)
        terminal.wait_for_question()
        return terminal

    def test_what_is_typed_is_not_shown_and_signs(self):
        terminal = self.asked()
        terminal.type(SECRET + "\n")
        code, shown = terminal.end()
        self.assertEqual(code, 0, shown)
        self.assertNotIn(SECRET, shown)
        self.assertTrue(terminal.has_echo())
        self.assertTrue(self.signed.exists())

    def test_a_wrong_one_is_an_error_that_says_so(self):
        terminal = self.asked()
        terminal.type("not the one\n")
        code, shown = terminal.end()
        self.assertEqual(code, USAGE, shown)
        self.assertIn("passphrase is wrong", shown)
        self.assertNotIn("not the one", shown)
        self.assertTrue(terminal.has_echo())
        self.assertFalse(self.signed.exists())

    def test_whatever_ends_the_question_the_echo_is_back(self):
        for name, end in (("ctrl-c", lambda asked: asked.type(INTERRUPT)),
                          ("half a line, then ctrl-c", lambda asked: asked.type("correct" + INTERRUPT)),
                          ("kill", lambda asked: asked.process.terminate()),
                          ("hang-up", lambda asked: asked.process.send_signal(signal.SIGHUP)),
                          ("quit", lambda asked: asked.process.send_signal(signal.SIGQUIT))):
            with self.subTest(name):
                terminal = self.asked()
                end(terminal)
                code, shown = terminal.end()
                self.assertIn(code, (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGQUIT), shown)
                self.assertTrue(terminal.has_echo())
                self.assertNotIn("correct", shown)
                self.assertFalse(self.signed.exists())

    def test_no_answer_is_an_error(self):
        terminal = self.asked()
        terminal.type(END_OF_INPUT)
        code, shown = terminal.end()
        self.assertEqual(code, UNAVAILABLE, shown)
        self.assertIn("no passphrase", shown)
        self.assertTrue(terminal.has_echo())

    def test_it_asks_again_after_a_pause(self):
        """Its terminal has no shell that could continue it, so the kernel does not stop it: it asks again at once."""
        terminal = self.asked()
        terminal.type("half" + SUSPEND)
        terminal.wait_for_question(count=2)
        terminal.type(SECRET + "\n")
        self.assertEqual(terminal.end()[0], 0)
        self.assertTrue(terminal.has_echo())

    def test_a_new_keys_passphrase_is_asked_for_twice(self):
        for second, code in ((SECRET, 0), ("something else", USAGE)):
            with self.subTest(second):
                key = self.folder / f"key-{code}"
                terminal = self.on_terminal("key", "new", "--out", key, "--passphrase")
                for question, answer in (("Passphrase of the new key", SECRET), ("again", second)):
                    terminal.wait_for_question(question)
                    terminal.type(answer + "\n")
                ended, shown = terminal.end()
                self.assertEqual(ended, code, shown)
                self.assertNotIn(SECRET, shown)
                self.assertTrue(terminal.has_echo())
                self.assertEqual(key.with_suffix(".key").exists(), code == 0)

    def test_without_a_terminal_and_a_file_it_says_what_to_do(self):
        done = subprocess.run([ASSAY, *map(str, self.sign)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=DEADLINE_S)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("--passphrase-file", done.stderr)
        self.assertFalse(self.signed.exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
