#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The schema of policy files accepts and refuses what the parser does."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    print("SKIPPED: needs python3-jsonschema")
    sys.exit(77)

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
COPY = pathlib.Path(__file__).resolve().parents[3] / "docs/formats/policy.schema.json"
LONG, TOO_LONG = "x" * 255, "x" * 256


def exempt(**changes):
    """A policy with one exemption; None takes a member out."""
    entry = {"base": "debian:12", "namespace": "payments", "owner": "pay@example.org", "reason": "moves",
             "until": "2099-12-31", **changes}
    return {"exemptions": [{name: value for name, value in entry.items() if value is not None}]}


GOOD = [
    ("nothing", {}),
    ("a rung", {"required_rung": "exact"}),
    ("all rungs", {"rungs": {"deprecated": "contained", "expired": "claimed", "revoked": "shape"}}),
    ("a deadline", {"pending_deadline": "1h30m"}),
    ("no deadline", {"pending_deadline": "0s"}),
    ("no deadline, as a number", {"pending_deadline": 0}),
    ("ages", {"freshness": {"since_build": "180d", "since_scan": "3650d"}}),
    ("scans", {"scan": {"required": True, "max_critical": 0, "max_high": -1, "max_medium": 1000000}}),
    ("thresholds", {"contained": {"share_percent": 100, "own_percent": 1, "min_files": 200000}}),
    ("no exemptions", {"exemptions": []}),
    ("by namespace", exempt()),
    ("all versions", exempt(base="team/debian")),
    ("a moment", exempt(until="2099-12-31T18:00:00Z")),
    ("by workload", exempt(namespace=None, workload="shop/ledger")),
    ("by container", exempt(namespace=None, container="report-*")),
    ("by image", exempt(namespace=None, image="registry.example/legacy/report")),
    ("by label", exempt(namespace=None, labels={"tier": "batch"})),
    ("a label's number", exempt(namespace=None, labels={"tier": 5})),
    ("anything in a namespace", exempt(container="*")),
    ("long texts", exempt(namespace=LONG, owner=LONG, reason="x" * 4096)),
    ("many labels", exempt(labels={f"key{number}": "x" for number in range(16)})),
]
BAD = [
    ("no map", []),
    ("unknown key", {"colour": "blue"}),
    ("unknown key of a section", {"scan": {"max_criticals": 0}}),
    ("a section that is none", {"scan": 5}),
    ("unknown rung", {"required_rung": "gold"}),
    ("a rung that never approves", {"required_rung": "claimed"}),
    ("no duration", {"pending_deadline": "soon"}),
    ("a number without a unit", {"pending_deadline": "5"}),
    ("a negative duration", {"freshness": {"since_build": "-1d"}}),
    ("neither true nor false", {"scan": {"required": "maybe"}}),
    ("below the least", {"scan": {"max_critical": -2}}),
    ("above the most", {"scan": {"max_critical": 1000001}}),
    ("no number", {"contained": {"min_files": "few"}}),
    ("a fraction", {"contained": {"share_percent": 50.5}}),
    ("no percentage", {"contained": {"share_percent": 101}}),
    ("nothing to find", {"contained": {"own_percent": 0}}),
    ("exemptions as a map", {"exemptions": {}}),
    ("an exemption as text", {"exemptions": ["debian"]}),
    ("no base", exempt(base=None)),
    ("no owner", exempt(owner=None)),
    ("an empty owner", exempt(owner="")),
    ("no reason", exempt(reason=None)),
    ("no end", exempt(until=None)),
    ("an end in words", exempt(until="next year")),
    ("an end in another zone", exempt(until="2099-12-31T18:00:00+02:00")),
    ("everywhere", exempt(namespace=None)),
    ("everywhere, in other words", exempt(namespace="*")),
    ("no labels at all", exempt(namespace=None, labels={})),
    ("labels as text", exempt(labels="tier")),
    ("a label that is a map", exempt(labels={"tier": {}})),
    ("too many labels", exempt(labels={f"key{number}": "x" for number in range(17)})),
    ("a long label", exempt(labels={"tier": TOO_LONG})),
    ("a long name of a label", exempt(labels={TOO_LONG: "x"})),
    ("a member that nobody knows", exempt(pod="web")),
    ("no base name", exempt(base="Debian:12")),
    ("two versions", exempt(base="debian:12:1")),
    ("a version with a slash", exempt(base="debian:12/1")),
    ("an empty part", exempt(base="team//debian")),
    ("a long namespace", exempt(namespace=TOO_LONG)),
    ("a long reason", exempt(reason="x" * 4097)),
    ("too many exemptions", {"exemptions": exempt()["exemptions"] * 1001}),
]
# What a schema cannot say; docs/cli.md names it.
PARSER_ALONE = [
    ("a date that has passed", exempt(until="2020-01-01")),
    ("a day that no month has", exempt(until="2099-02-30")),
    ("beyond the longest", {"pending_deadline": "8d"}),
]


class PolicySchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([ASSAY, "policy", "schema"], check=True, capture_output=True, text=True)
        cls.printed = done.stdout
        schema = json.loads(done.stdout)
        jsonschema.Draft7Validator.check_schema(schema)
        cls.validator = jsonschema.Draft7Validator(schema)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.file = pathlib.Path(cls.folder.name, "policy.yaml")

    def parser_refuses(self, policy):
        """What it says of the file, "" when it is content: then something else is what is missing."""
        self.file.write_text(json.dumps(policy))  # JSON is YAML
        done = subprocess.run([ASSAY, "policy", "test", self.file], capture_output=True, text=True, check=False,
                              env={"PATH": "/usr/bin:/bin", "HOME": self.folder.name})
        if f"{self.file.name}:" in done.stderr or str(self.file) in done.stderr:
            return done.stderr
        self.assertIn("no trust file given", done.stderr)
        return ""

    def schema_refuses(self, policy):
        return "; ".join(error.message for error in self.validator.iter_errors(policy))

    def test_what_is_good_is_good_for_both(self):
        for name, policy in GOOD:
            with self.subTest(name):
                self.assertEqual(self.parser_refuses(policy), "")
                self.assertEqual(self.schema_refuses(policy), "")

    def test_what_is_bad_is_bad_for_both(self):
        for name, policy in BAD:
            with self.subTest(name):
                self.assertNotEqual(self.parser_refuses(policy), "")
                self.assertNotEqual(self.schema_refuses(policy), "")

    def test_what_only_the_parser_can_tell(self):
        for name, policy in PARSER_ALONE:
            with self.subTest(name):
                self.assertNotEqual(self.parser_refuses(policy), "")
                self.assertEqual(self.schema_refuses(policy), "")

    def test_the_copy_in_docs_is_what_is_printed(self):
        self.assertEqual(COPY.read_text(), self.printed, "run: assay policy schema > docs/formats/policy.schema.json")


if __name__ == "__main__":
    unittest.main(verbosity=2)
