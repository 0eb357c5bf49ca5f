#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a base through the command line and a real collector: signed, verified, never rolled back."""
import base64
import json
import os
import pathlib
import pty
import shutil
import sqlite3
import subprocess
import unittest
import unittest.mock

import deployment
import images

NEGATIVE, USAGE, REFUSED, NOT_FOUND = 1, 2, 4, 7


class CatalogTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        # The client's memory of heads lies in this deployment, not in the user's home.
        state = unittest.mock.patch.dict(os.environ, XDG_STATE_HOME=str(self.here.folder / "state"))
        state.start()
        self.addCleanup(state.stop)
        layer = images.busybox_layer(self.here.folder / "good.layer", "good")
        self.image = images.image_archive(self.here.folder / "good.tar", "localhost/good:1", [layer])
        self.here.start_collector()

    def approve(self, name, *words):
        return self.here.query("base", "approve", name, "--from", self.image, *words)

    def refusal(self, code, *words):
        """stderr of a call that ends with `code` in one line."""
        _, errors = self.here.program("assay", "--config", self.here.folder / "cli.yaml", *words, code=code)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        return errors

    def bases(self):
        return {base["base"]: base["status"] for base in self.here.query("base", "list")["bases"]}

    def test_an_authority_needs_no_key_that_signs_the_catalog(self):
        """init and issue come before the keys of people; run is the first that asks for them."""
        data = self.here.folder / "fresh"
        collector = ["assay-collector", "--config", self.here.folder / "fresh.yaml"]
        (self.here.folder / "fresh.yaml").write_text(f"data_dir: {data}\n")
        self.here.program(*collector, "issue", "--node", "a", "--out", data / "a", code=NOT_FOUND)
        self.here.program(*collector, "init")
        self.here.program(*collector, "issue", "--node", "a", "--out", data / "a")
        self.assertTrue((data / "a" / "cert.pem").exists())
        _, errors = self.here.program(*collector, "run", code=USAGE)
        self.assertIn("trust_file", errors)

    def on_terminal(self, answer, *words, **environment):
        """The command line on a terminal of its own: (exit code, what the terminal showed)."""
        master, slave = pty.openpty()
        child = subprocess.Popen(
            [deployment.BIN / "assay", "--config", self.here.folder / "cli.yaml", *words],
            stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            env={**os.environ, "TERM": "xterm", **environment})
        os.close(slave)
        os.write(master, answer.encode())
        shown = b""
        try:
            while block := os.read(master, 65536):
                shown += block
        except OSError:  # a terminal whose last user has gone
            pass
        os.close(master)
        return child.wait(deployment.DEADLINE_S), shown.decode()

    def test_a_base_lives_from_approval_to_revocation(self):
        first = self.approve("good:1", "--expires", "90d", "--reason", "golden")
        self.assertEqual(first["sequence"], 1)
        printed = self.here.query("fingerprint", self.image)["layers"]
        shown = self.here.query("base", "show", "good")
        for field in ("diff_id", "shape", "content", "deletions"):
            self.assertEqual([layer[field] for layer in shown["stacks"][0]["layers"]],
                             [layer[field] for layer in printed])
        second = self.approve("good")
        self.assertEqual(second["base"], "good:" + printed[-1]["chain_id"][7:19])
        self.here.assay("base", "deprecate", second["base"], "--until", "30d", "--successor", "good:1")
        self.assertEqual(self.bases(), {"good:1": "approved", second["base"]: "deprecated"})
        revoked = self.here.query("base", "revoke", "good:1", "--reason", "CVE", "--yes")
        self.assertEqual((revoked["impact"]["running"], revoked["is_dry_run"]), (0, False))
        self.assertEqual(self.bases()["good:1"], "revoked")
        history = self.here.query("base", "show", "good:1")["history"]
        self.assertEqual([change["action"] for change in history], ["approve", "revoke"])
        self.assertIn("was revoked", self.refusal(USAGE, "base", "revoke", "good:1", "--reason", "r", "-y"))

    def test_a_name_with_several_versions_must_say_which(self):
        self.approve("good:1")
        self.approve("good:2")
        errors = self.refusal(USAGE, "base", "revoke", "good", "--reason", "r", "--yes")
        self.assertIn("good:1, good:2", errors)
        self.assertIn("good:1, good:2", self.refusal(NOT_FOUND, "base", "show", "good:3"))

    def test_a_dry_run_changes_nothing(self):
        self.assertTrue(self.approve("good:1", "--dry-run")["is_dry_run"])
        self.assertEqual(self.bases(), {})
        self.approve("good:1")
        self.here.assay("base", "revoke", "good:1", "--reason", "r", "--dry-run")
        self.assertEqual(self.bases(), {"good:1": "approved"})

    def test_revoke_asks_on_a_terminal_and_needs_yes_without_one(self):
        self.approve("good:1")
        self.assertIn("--yes", self.here.program(
            "assay", "--config", self.here.folder / "cli.yaml", "base", "revoke", "good:1",
            "--reason", "r", code=USAGE)[1])
        code, shown = self.on_terminal("n\n", "base", "revoke", "good:1", "--reason", "r")
        self.assertEqual(code, NEGATIVE, shown)
        self.assertIn("Revoke good:1? [y/N]", shown)
        self.assertEqual(self.bases(), {"good:1": "approved"})
        code, shown = self.on_terminal("y\n", "base", "revoke", "good:1", "--reason", "r")
        self.assertEqual(code, 0, shown)
        self.assertEqual(self.bases(), {"good:1": "revoked"})

    def test_verdicts_are_coloured_on_a_terminal_only(self):
        self.approve("good:1")
        self.assertNotIn("\x1b", self.here.assay("base", "list"))
        self.assertIn("\x1b[32mapproved\x1b[0m", self.on_terminal("", "base", "list")[1])
        self.assertNotIn("\x1b", self.on_terminal("", "base", "list", NO_COLOR="1")[1])
        self.assertNotIn("\x1b", self.on_terminal("", "base", "list", TERM="dumb")[1])

    def test_approval_shows_progress_on_a_terminal_only(self):
        words = ("base", "approve", "good:1", "--from", str(self.image))
        code, shown = self.on_terminal("", *words, CI="", NO_COLOR="")
        self.assertEqual(code, 0, shown)
        self.assertRegex(shown, r"\rreading [^\r]*good\.tar: [0-9.]+ k?B of [0-9.]+ MB \([0-9]+ %\)")
        self.assertIn("\r\x1b[K", shown)
        self.assertNotIn("reading", self.on_terminal("y\n", *words, CI="true")[1])

    def test_openssl_agrees_with_the_signatures_of_the_log(self):
        self.approve("good:1")
        with sqlite3.connect(self.here.store) as store:
            (envelope,), = store.execute("SELECT statement FROM catalog_log").fetchall()
        envelope = json.loads(envelope)
        kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
        signed = self.here.folder / "signed"
        signed.write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
        signature = self.here.folder / "signature"
        signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.here.folder / "operator.pub",
                        "-signature", signature, signed], check=True, capture_output=True)
        self.assertEqual(json.loads(payload)["_type"], "https://in-toto.io/Statement/v1")

    def test_a_rolled_back_collector_is_refused(self):
        self.approve("good:1")
        self.here.stop_collector()
        older = self.here.folder / "older"
        shutil.copytree(self.here.folder / "collector", older)
        self.here.start_collector()
        self.approve("good:2")
        self.here.stop_collector()
        shutil.rmtree(self.here.folder / "collector")
        shutil.copytree(older, self.here.folder / "collector")
        self.here.start_collector()
        errors = self.refusal(REFUSED, "base", "approve", "good:3", "--from", self.image)
        self.assertIn("sequence 1 now, 2 seen", errors)
        self.assertIn("remove ", errors)

    def test_an_emptied_collector_is_refused_until_it_is_forgotten(self):
        self.approve("good:1")
        self.here.stop_collector()
        for file in pathlib.Path(self.here.store).parent.glob("collector.db*"):
            file.unlink()
        self.here.start_collector()
        errors = self.refusal(REFUSED, "base", "approve", "good:1", "--from", self.image)
        pathlib.Path(errors.strip().split("remove ")[1]).unlink()
        self.approve("good:1")
        self.assertEqual(self.bases(), {"good:1": "approved"})

    def test_a_catalog_that_others_signed_is_not_even_shown(self):
        self.approve("good:1")
        self.here.program("assay", "key", "new", "--out", self.here.folder / "other")
        errors = self.refusal(REFUSED, "base", "list", "--trust-file", self.here.folder / "other.pub")
        self.assertIn("catalog is refused", errors)

    def test_certificates_decide_who_may_ask(self):
        other = self.here.write("other.yaml", {"data_dir": str(self.here.folder / "other"),
                                               "trust_file": str(self.here.folder / "operator.pub")})
        self.here.program("assay-collector", "init", "--config", other, "--cluster", "test")
        self.here.program("assay-collector", "issue", "--config", other, "--user", "operator",
                          "--out", self.here.folder / "stranger")
        stranger = self.here.tls("stranger")
        ours = self.here.tls("user-tls")
        rows = [("of another authority", stranger["cert"], stranger["key"], ours["ca"]),
                ("the collector's is of another authority", ours["cert"], ours["key"], stranger["ca"]),
                ("of a node", self.here.tls("agent-tls")["cert"], self.here.tls("agent-tls")["key"],
                 ours["ca"])]
        for name, cert, key, ca in rows:
            with self.subTest(name):
                self.refusal(REFUSED, "ps", "--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)


if __name__ == "__main__":
    deployment.main()
