#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The signed log by command: who and why, several signatures, other keys, bundles, marks, the gate."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import unittest.mock
import xml.etree.ElementTree

import deployment
import images
import ledger

try:
    import jsonschema
except ImportError:
    print("SKIPPED: needs python3-jsonschema")
    sys.exit(77)

NEGATIVE, NOT_JUDGED, USAGE, REFUSED, NOT_FOUND = 1, 2, 2, 4, 7
SVR = "https://in-toto.io/attestation/svr/v0.2"
SARIF_SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "golden/sarif/sarif-2.1.0-rtm.5.json"


class SigningTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.folder = self.here.folder
        state = unittest.mock.patch.dict(os.environ, XDG_STATE_HOME=str(self.folder / "state"))
        state.start()
        self.addCleanup(state.stop)
        layer = images.busybox_layer(self.folder / "good.layer", "good")
        self.image = images.image_archive(self.folder / "good.tar", "localhost/good:1", [layer])
        self.other = images.image_archive(self.folder / "other.tar", "localhost/other:1", [
            images.busybox_layer(self.folder / "other.layer", "other")])
        self.here.start_collector()

    def key(self, name, *words):
        self.here.program("assay", "key", "new", "--out", self.folder / name, *words)
        return self.folder / f"{name}.key", self.folder / f"{name}.pub"

    def approve(self, name, *words):
        return self.here.query("base", "approve", name, "--from", self.image, *words)

    def refusal(self, code, *words):
        return self.here.program("assay", "--config", self.folder / "cli.yaml", *words, code=code)[1]

    def test_the_log_says_who_when_what_and_why(self):
        self.approve("good:1", "--reason", "golden")
        self.approve("other:1")
        self.here.query("base", "revoke", "good:1", "--reason", "CVE-1", "--yes")
        entries = self.here.query("log")["entries"]
        self.assertEqual([(entry["sequence"], entry["action"], entry["subject"], entry["reason"])
                          for entry in entries],
                         [(3, "revoke", "good:1", "CVE-1"), (2, "approve", "other:1", ""),
                          (1, "approve", "good:1", "golden")])
        key_id = json.loads(self.here.program("assay", "key", "show", self.folder / "operator.pub",
                                              "-o", "json")[0])["key_id"]
        self.assertEqual({signature["key_id"] for entry in entries
                          for signature in entry["signatures"]}, {key_id})
        self.assertEqual(len(self.here.query("log", "--limit", "1")["entries"]), 1)
        self.assertEqual([entry["sequence"] for entry in
                          self.here.query("log", "--base", "good")["entries"]], [3, 1])
        self.assertIn("CVE-1", self.here.assay("log"))

    def test_verify_says_what_it_checked_and_refuses_what_was_changed(self):
        self.approve("good:1")
        verified = self.here.query("log", "verify")
        self.assertTrue(verified["is_good"])
        self.assertIn("chain", [check["check"] for check in verified["checks"]])
        export = self.folder / "catalog.json"
        self.here.assay("base", "export", export)
        self.assertTrue(self.here.query("log", "verify", "--file", export)["is_good"])
        self.approve("good:2")
        self.assertIn("lower sequence", self.refusal(REFUSED, "log", "verify", "--file", export))
        tree = json.loads(export.read_text())
        tree["statements"][0] = tree["statements"][0].replace("A", "B")
        export.write_text(json.dumps(tree))
        self.assertIn("entry 1", self.refusal(REFUSED, "log", "verify", "--file", export))

    def test_a_renewed_head_holds_longer(self):
        self.approve("good:1")
        before = self.here.query("log")["head_expires_at"]
        self.here.assay("log", "renew")
        self.assertGreater(self.here.query("log")["head_expires_at"], before)
        self.here.stop_collector()
        self.here.start_collector()
        self.assertGreater(self.here.query("log")["head_expires_at"], before)

    def test_openssl_verifies_a_bundle_of_an_approval(self):
        self.approve("good:1")
        bundle = self.folder / "bundle.json"
        self.here.assay("bundle", "write", "1", "--out", bundle)
        tree = json.loads(bundle.read_text())
        envelope = tree["dsseEnvelope"]
        kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
        (self.folder / "signed").write_bytes(
            b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
        (signature,) = envelope["signatures"]
        (self.folder / "signature").write_bytes(base64.b64decode(signature["sig"]))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.folder / "operator.pub",
                        "-signature", self.folder / "signature", self.folder / "signed"],
                       check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", self.folder / "operator.pub",
                              "-outform", "DER"], check=True, capture_output=True).stdout
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=der, check=True,
                                capture_output=True).stdout
        self.assertEqual(base64.b64decode(tree["verificationMaterial"]["publicKey"]["hint"]), digest)
        statement = json.loads(payload)
        self.assertEqual(statement["predicateType"], SVR)
        self.assertEqual(statement["predicate"]["verifier"]["policies"], [])
        said = json.loads(self.here.program("assay", "bundle", "verify", bundle, "--key",
                                            self.folder / "operator.pub", "-o", "json")[0])
        self.assertEqual(said["predicate_type"], SVR)
        _, other = self.key("other")
        self.here.program("assay", "bundle", "verify", bundle, "--key", other, code=REFUSED)
        self.here.program("assay", "bundle", "verify", bundle, code=USAGE)
        self.refusal(NOT_FOUND, "bundle", "write", "9", "--out", self.folder / "none.json")

    def test_a_key_with_a_passphrase_signs(self):
        words = self.folder / "passphrase"
        words.write_text("correct horse battery\n")
        words.chmod(0o600)
        private, public = self.key("locked", "--passphrase-file", words)
        self.assertIn("ENCRYPTED PRIVATE KEY", private.read_text())
        shown = subprocess.run(["openssl", "pkey", "-in", private, "-passin", f"file:{words}", "-pubout"],
                               check=True, capture_output=True, text=True).stdout
        self.assertEqual(shown, public.read_text())
        both = self.folder / "both.pem"
        both.write_text(public.read_text() + (self.folder / "operator.pub").read_text())
        trust = ["--trust-file", both, "--key", private]
        errors = self.refusal(USAGE, "base", "approve", "good:1", "--from", self.image, *trust)
        self.assertIn("--passphrase-file", errors)
        wrong = self.folder / "wrong"
        wrong.write_text("not the one\n")
        wrong.chmod(0o600)
        self.assertIn("passphrase is wrong", self.refusal(
            USAGE, "base", "approve", "good:1", "--from", self.image, *trust,
            "--passphrase-file", wrong))
        dry = self.approve("good:1", *trust, "--passphrase-file", words, "--dry-run")
        self.assertTrue(dry["is_dry_run"])

    def rotate(self, threshold):
        """A root of two people after the operator's list of one key."""
        ann, ann_pub = self.key("ann")
        bob, bob_pub = self.key("bob")
        root = self.folder / "root.json"
        self.here.program("assay", "root", "init", root, "--add", f"{ann_pub}=Ann",
                          "--add", f"{bob_pub}=Bob", "--threshold", threshold, "--key",
                          self.folder / "operator.key")
        self.here.program("assay", "root", "sign", root, "--key", ann)
        if threshold > 1:
            self.here.program("assay", "root", "sign", root, "--key", bob)
        return root, ann, bob

    def test_a_new_root_reaches_collector_and_agent_without_restart(self):
        self.approve("good:1")
        self.here.start_agent(made_up=self.made_up())
        self.wait_for_agent(1)
        root, ann, _ = self.rotate(1)
        self.here.assay("root", "submit", root, "--key", ann)
        self.assertIn("not in the trust file", self.refusal(
            REFUSED, "base", "approve", "good:2", "--from", self.image))
        self.approve("good:2", "--key", ann)
        self.wait_for_agent(2)
        self.assertEqual(self.here.query("log")["entries"][0]["signed_by"][:3], "Ann")
        self.here.stop_agent()
        self.here.start_agent(made_up=self.made_up())
        self.wait_for_agent(2)
        self.here.stop_collector()
        self.here.start_collector()
        self.assertEqual(self.here.query("log")["root_version"], 1)

    def made_up(self):
        """An agent that is shown one container, long ago."""
        layer = self.folder / "lower"
        layer.mkdir(exist_ok=True)
        (layer / "file").write_text("x")
        return ledger.MadeUp(layer, 1, 1, 10, begin_in_s=0.1)

    def wait_for_agent(self, sequence):
        def look():
            (node,) = self.here.query("nodes")["nodes"]
            return node["catalog_sequence"] == sequence
        self.here.wait(lambda: len(self.here.query("nodes")["nodes"]) == 1 and look(),
                       f"agent on {sequence}")

    def test_a_change_needs_as_many_people_as_the_root_asks_for(self):
        root, ann, bob = self.rotate(2)
        self.here.assay("root", "submit", root, "--key", ann)
        change = self.folder / "change.json"
        self.assertIn("2 signatures", self.refusal(
            REFUSED, "base", "approve", "good:1", "--from", self.image, "--key", ann))
        begun = self.approve("good:1", "--key", ann, "--sign-only", change)
        self.assertEqual((begun["signatures"], begun["signatures_needed"]), (1, 2))
        self.assertIn("1 of 2", self.refusal(REFUSED, "log", "submit", change))
        self.refusal(USAGE, "log", "sign", change, "--key", ann, "--yes")
        self.refusal(REFUSED, "log", "sign", change, "--key", self.folder / "operator.key", "--yes")
        self.assertEqual(self.here.query("log", "sign", change, "--key", bob, "--yes")["signatures"], 2)
        self.here.assay("log", "submit", change)
        (entry,) = self.here.query("log")["entries"]
        self.assertEqual(len(entry["signatures"]), 2)
        self.assertEqual(self.here.query("base", "list")["bases"][0]["status"], "approved")

    def test_a_rolled_back_collector_is_refused_by_the_agent_until_it_is_back(self):
        self.approve("good:1")
        self.here.stop_collector()
        shutil.copytree(self.folder / "collector", self.folder / "older")
        self.here.start_collector()
        self.approve("good:2")
        self.here.start_agent(made_up=self.made_up())
        self.wait_for_agent(2)
        self.here.stop_collector()
        os.rename(self.folder / "collector", self.folder / "newer")
        os.rename(self.folder / "older", self.folder / "collector")
        self.here.start_collector()
        finding = self.here.wait(lambda: self.here.findings("--kind", "catalog-refused"), "a finding")[0]
        self.assertIn("lower sequence", finding["reason"])
        self.wait_for_agent(2)

    def test_a_mark_keeps_the_catalog_fresh(self):
        self.approve("good:1")
        root = self.folder / "root.json"
        self.here.program("assay", "root", "init", root, "--add", self.folder / "operator.pub",
                          "--add-mark-key", self.folder / "collector/mark-key.pem.pub", "--key",
                          self.folder / "operator.key")
        self.here.assay("root", "submit", root)
        self.here.start_agent(made_up=self.made_up())
        self.wait_for_agent(1)
        def is_fresh():
            (node,) = self.here.query("nodes")["nodes"]
            return not node["catalog_is_stale"]
        self.here.wait(is_fresh, "a fresh catalog")
        self.assertTrue(self.here.query("log", "verify")["is_good"])

    # The gate

    def check(self, code, *words):
        return self.here.program("assay", "--config", self.folder / "cli.yaml", "check", *words,
                                 code=code)

    def test_the_gate_says_yes_no_or_cannot_say(self):
        self.approve("good:1")
        address = f"127.0.0.1:{self.here.port}"
        self.check(0, self.image, "--collector", address)
        self.check(NEGATIVE, self.other)
        for words in ((self.image, "--collector", "127.0.0.1:1", "--timeout", "1s"),
                      ("/none/such",), (self.image, "--trust-file", self.key("x")[1]),
                      (self.image, "--catalog", "/none"), (self.image, "--bose")):
            self.check(NOT_JUDGED, *words)
        policy = self.folder / "policy.yaml"
        policy.write_text("required_rung: exact\n")
        self.check(0, self.image, "--policy", policy)
        policy.write_text("colour: blue\n")
        self.check(NOT_JUDGED, self.image, "--policy", policy)

    def test_sarif_has_what_code_scanning_asks_for(self):
        self.approve("good:1")
        accepted = json.loads(self.check(0, self.image, "-o", "sarif")[0])
        self.assertEqual(accepted["runs"][0]["results"], [])
        tree = json.loads(self.check(NEGATIVE, self.other, "-o", "sarif")[0])
        self.assertEqual(tree["version"], "2.1.0")
        (run,) = tree["runs"]
        rules = run["tool"]["driver"]["rules"]
        (result,) = run["results"]
        self.assertEqual(rules[result["ruleIndex"]]["id"], result["ruleId"])
        self.assertEqual(result["ruleId"], "unknown-base")
        self.assertTrue(result["message"]["text"])
        place = result["locations"][0]["physicalLocation"]
        self.assertFalse(place["artifactLocation"]["uri"].startswith("/"))
        self.assertEqual(place["region"]["startLine"], 1)
        self.assertEqual(len(result["partialFingerprints"]), 1)
        again = json.loads(self.check(NEGATIVE, self.other, "-o", "sarif")[0])
        self.assertEqual(again["runs"][0]["results"][0]["partialFingerprints"],
                         result["partialFingerprints"])
        failed = json.loads(self.check(NOT_JUDGED, "/none/such", "-o", "sarif")[0])["runs"][0]
        self.assertFalse(failed["invocations"][0]["executionSuccessful"])

    def test_sarif_is_valid_by_its_schema(self):
        schema = json.loads(SARIF_SCHEMA.read_text())
        jsonschema.Draft4Validator.check_schema(schema)
        validator = jsonschema.Draft4Validator(schema)
        self.approve("good:1")
        self.here.query("base", "approve", "other:1", "--from", self.other)
        self.here.query("base", "deprecate", "other:1", "--until", "30d", "--successor", "good:1")
        foreign = images.image_archive(self.folder / "foreign.tar", "localhost/foreign:1", [
            images.busybox_layer(self.folder / "foreign.layer", "foreign")])
        strict = self.folder / "strict.yaml"
        strict.write_text("scan: {required: true}\n")
        rows = [("approved", 0, (self.image,), 0), ("unknown", NEGATIVE, (foreign,), 1),
                ("deprecated", 0, (self.other,), 1),
                ("expired by a rule", NEGATIVE, (self.image, "--policy", strict), 1),
                ("not judged", NOT_JUDGED, ("/none/such <image>",), 0)]
        for name, code, words, results in rows:
            with self.subTest(name):
                tree = json.loads(self.check(code, *words, "-o", "sarif")[0])
                self.assertEqual([f"{list(error.path)}: {error.message}" for error in validator.iter_errors(tree)], [])
                self.assertEqual(len(tree["runs"][0]["results"]), results)
        self.here.query("base", "revoke", "good:1", "--reason", "CVE-1", "--yes")
        tree = json.loads(self.check(NEGATIVE, self.image, "-o", "sarif")[0])
        self.assertTrue(validator.is_valid(tree))
        tree["runs"][0]["results"][0]["level"] = "catastrophe"
        self.assertFalse(validator.is_valid(tree))

    def test_junit_counts_failures_and_errors(self):
        self.approve("good:1")
        for code, words, failures, errors in ((0, (self.image,), "0", "0"),
                                              (NEGATIVE, (self.other,), "1", "0"),
                                              (NOT_JUDGED, ("/none/<such>",), "0", "1")):
            suite = xml.etree.ElementTree.fromstring(self.check(code, *words, "-o", "junit")[0])[0]
            self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")),
                             ("1", failures, errors))


if __name__ == "__main__":
    deployment.main()
