# SPDX-License-Identifier: Apache-2.0
"""Bad input ends in one clear line on stderr that says what to do, and in its documented exit code."""
import json
import socket
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


if __name__ == "__main__":
    deployment.main()
