# SPDX-License-Identifier: Apache-2.0
"""Bad input ends in one clear line on stderr that says what to do, and in its documented exit code."""
import contextlib
import json
import pathlib
import shutil
import socket
import sqlite3
import tempfile
import unittest

import deployment
import images

USAGE, MISSING_NEED, REFUSED, UNAVAILABLE, BAD_INPUT, NOT_FOUND = 2, 3, 4, 5, 6, 7


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.folder = cls.here.folder / "bad"
        cls.folder.mkdir()
        cls.layer = images.busybox_layer(cls.folder / "good.layer", "good")
        cls.good = images.image_archive(cls.folder / "good.tar", "localhost/good:1", [cls.layer])
        cls.here.start_collector()
        cls.here.assay("base", "approve", "good:1", "--from", cls.good)

    def assert_refuses(self, code, words, program, *arguments, **options):
        """The program ends with `code`; stderr is one line that holds each of `words`."""
        if program == "assay":
            arguments = ("--config", self.here.folder / "cli.yaml", *arguments)
        _, errors = self.here.program(program, *arguments, code=code, **options)
        lines = errors.strip().splitlines()
        self.assertEqual(len(lines), 1, errors)
        for word in words:
            self.assertIn(word, lines[0])

    def test_command_lines(self):
        rows = [
            ("unknown option", USAGE, ["--bose"], ["ps", "--bose"]),
            ("unknown command", USAGE, ["pss"], ["pss"]),
            ("unknown verdict", USAGE, ["fine"], ["ps", "--verdict", "fine"]),
            ("no such source", NOT_FOUND, ["/none/such"], ["fingerprint", "/none/such"]),
            ("no such base", NOT_FOUND, ["nobody", "assay base list"],
             ["base", "revoke", "nobody:1", "--reason", "r", "--yes"]),
            ("no such run", NOT_FOUND, ["no run"], ["trace", "nobody"]),
            ("a key is never overwritten", USAGE, ["operator.key"],
             ["key", "new", "--out", self.here.folder / "operator"]),
        ]
        for name, code, words, arguments in rows:
            with self.subTest(name):
                self.assert_refuses(code, words, "assay", *arguments)

    def test_truncated_archive(self):
        half = self.folder / "half.tar"
        half.write_bytes(self.good.read_bytes()[:self.good.stat().st_size // 2])
        self.assert_refuses(BAD_INPUT, ["half.tar"], "assay", "fingerprint", half)
        self.assert_refuses(BAD_INPUT, ["half.tar"], "assay", "base", "approve", "half:1", "--from", half)

    def test_a_key_that_nobody_trusts_signs_nothing(self):
        self.here.program("assay", "key", "new", "--out", self.folder / "stranger")
        self.assert_refuses(REFUSED, ["key"], "assay", "base", "approve", "evil:1",
                            "--from", self.good, "--key", self.folder / "stranger.key")

    def test_unknown_key_in_the_configuration_file(self):
        rows = [("assay", "cli.yaml", ["ps"]), ("assay-agent", "agent.yaml", ["config", "check"]),
                ("assay-collector", "collector.yaml", ["config", "check"])]
        self.here.agent_config()
        for program, file, arguments in rows:
            with self.subTest(program):
                tree = json.loads((self.here.folder / file).read_text())
                bad = self.here.write(f"bad-{file}", {**tree, "colour": "blue"})
                _, errors = self.here.program(program, *arguments, "--config", bad, code=USAGE)
                self.assertEqual(len(errors.strip().splitlines()), 1, errors)
                self.assertIn("colour", errors)
                self.assertIn(bad.name, errors)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            config = self.here.collector_config(self.folder / "second", port=port)
            self.assert_refuses(UNAVAILABLE, [str(port)], "assay-collector", "run", "--config", config)

    def test_collector_away(self):
        config = self.folder / "away.yaml"
        config.write_text((self.here.folder / "cli.yaml").read_text()
                          .replace(f":{self.here.port}", f":{deployment.free_port()}"))
        _, errors = self.here.program("assay", "--config", config, "ps", code=UNAVAILABLE)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)

    def test_a_tampered_catalog_is_refused_by_the_collector(self):
        self.here.stop_collector()
        kept = self.folder / "collector.db"
        shutil.copy(self.here.store, kept)
        self.tamper()
        self.assert_refuses(REFUSED, ["catalog"], "assay-collector", "run", "--config",
                            self.here.folder / "collector.yaml")
        shutil.copy(kept, self.here.store)
        self.here.start_collector()

    def test_a_catalog_that_went_back_is_refused_by_client_and_agent(self):
        self.here.start_agent()
        self.addCleanup(self.here.stop_agent)
        self.here.stop_collector()
        kept = self.folder / "before.db"
        shutil.copy(self.here.store, kept)
        self.here.start_collector()
        self.here.assay("base", "approve", "later:1", "--from", self.good)
        sequence = len(self.here.query("base", "list")["bases"])
        self.wait_until_agent_holds(sequence)
        self.put_store(kept)
        self.addCleanup(self.put_store, self.folder / "newer.db")
        self.assert_refuses(REFUSED, ["catalog"], "assay", "base", "list")
        # The copy knows of no such sequence: the agent, connected again, has kept its own.
        self.wait_until_agent_holds(sequence)

    def put_store(self, copy):
        """The collector goes on with `copy` as its store."""
        self.here.stop_collector()
        other = copy.with_suffix(".put")
        shutil.copy(copy, other)
        shutil.copy(self.here.store, self.folder / "newer.db")
        shutil.move(other, self.here.store)
        self.here.start_collector()

    def wait_until_agent_holds(self, sequence):
        def look():
            nodes = self.here.query("nodes")["nodes"]  # none right after the collector's start
            return nodes and nodes[0]["is_connected"] and nodes[0]["catalog_sequence"] >= sequence
        self.here.wait(look, f"agent connected and at catalog sequence {sequence}")

    def tamper(self):
        """One byte of the first signed statement is another, in the collector's store."""
        with contextlib.closing(sqlite3.connect(self.here.store)) as store, store:
            (statement,) = store.execute(
                "SELECT statement FROM catalog_log WHERE sequence = 1").fetchone()
            payload = json.loads(statement)
            first = payload["payload"][40]
            payload["payload"] = payload["payload"][:40] + ("A" if first != "A" else "B") \
                + payload["payload"][41:]
            store.execute("UPDATE catalog_log SET statement = ? WHERE sequence = 1",
                          (json.dumps(payload).encode(),))

    def test_an_agent_refuses_a_catalog_signed_by_strangers(self):
        self.here.program("assay", "key", "new", "--out", self.folder / "other")
        self.here.start_agent(trust=self.folder / "other.pub")
        self.addCleanup(self.here.stop_agent)

        def look():
            return self.here.findings("--kind", "catalog-refused")
        # What its disk holds and what it is offered; of one sequence they are one finding.
        findings = self.here.wait(look, "finding catalog-refused")
        self.assertEqual({finding["node"] for finding in findings}, {deployment.NODE})

    def test_without_root(self):
        # A folder and a program that nobody may reach: the build may lie where only root can go.
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            program = shutil.copy(deployment.BIN / "assay-agent", folder)
            pathlib.Path(folder).chmod(0o755)
            _, errors = self.here.program(program, "run", "--http-address", "", "--state-dir",
                                          f"{folder}/state", code=MISSING_NEED, user=65534,
                                          group=65534, extra_groups=[])
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        self.assertIn("root", errors)

    def test_without_btf(self):
        empty = self.folder / "empty"
        empty.touch()
        hide = f"mount --bind {empty} /sys/kernel/btf/vmlinux && exec \"$@\""
        _, errors = self.here.program(
            "/usr/bin/unshare", "--mount", "sh", "-c", hide, "sh", deployment.BIN / "assay-agent",
            "run", "--http-address", "", "--state-dir", self.folder / "state", code=MISSING_NEED)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        self.assertIn("BTF", errors)


if __name__ == "__main__":
    deployment.main()
