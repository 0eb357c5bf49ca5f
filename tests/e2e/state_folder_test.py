# SPDX-License-Identifier: Apache-2.0
"""A state folder that cannot be used is one clear line that says what to do."""
import os
import sqlite3
import subprocess
import unittest

import deployment
import images
from by_hand import unpack
from ledger import MadeUp


class StateFolderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        tar = images.busybox_layer(cls.here.folder / "known.layer", "known")
        cls.made_up = MadeUp(unpack(tar, cls.here.folder / "layers/known"), count=1, rate_hz=1, life_ms=10)

    def refuses(self, code, *words, folder="agent"):
        self.here.settings = {"state_dir": str(self.here.folder / folder), "http": {"address": ""},
                              "collector": {"address": ""}}
        config = self.here.agent_config()
        done = subprocess.run(self.made_up.command(config), capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("assay-agent: ")]
        self.assertEqual(len(said), 1, done.stderr)
        for word in words:
            self.assertIn(word, said[0])

    def test_two_agents(self):
        self.here.settings = {}
        self.here.start_agent(made_up=self.made_up)
        try:
            self.refuses(5, "in use by another assay-agent", "another state_dir")
        finally:
            self.here.stop_agent()

    def test_a_folder_that_others_may_write(self):
        folder = self.here.folder / "open"
        folder.mkdir()
        folder.chmod(0o777)
        self.refuses(4, str(folder), "others may write", "chmod 700", folder="open")

    def test_a_folder_of_somebody_else(self):
        folder = self.here.folder / "foreign"
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        self.refuses(4, str(folder), "belongs to user 65534", "chown", folder="foreign")

    def test_a_read_only_folder(self):
        folder = self.here.folder / "read-only"
        folder.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", folder], check=True)
        try:
            self.refuses(5, str(folder), "Read-only file system", folder="read-only")
        finally:
            subprocess.run(["umount", folder], check=True)

    def test_files_of_a_newer_version(self):
        for name in ("state.db", "outbox.db"):
            folder = self.here.folder / f"newer-{name}"
            folder.mkdir(mode=0o700)
            with sqlite3.connect(folder / name) as database:
                database.execute("PRAGMA user_version=99")
            self.refuses(3, name, "version 99", "newer program", folder=folder.name)


if __name__ == "__main__":
    deployment.main()
