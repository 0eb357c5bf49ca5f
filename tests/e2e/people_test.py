#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens, login, limits and the audit log: the real programs over real TLS. No node, no containers."""
import datetime
import json
import os
import pty
import re
import resource
import sqlite3
import stat
import subprocess
import unittest
import unittest.mock

import deployment

USAGE, REFUSED, UNAVAILABLE, BAD_INPUT, NOT_FOUND = 2, 4, 5, 6, 7
TOKEN = re.compile(r"assay_[0-9a-f]{16}_[0-9a-f]{64}")


class People(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        home = unittest.mock.patch.dict(os.environ, HOME=str(self.here.folder / "home"),
                                        XDG_CONFIG_HOME=str(self.here.folder / "config"))
        home.start()
        self.addCleanup(home.stop)
        (self.here.folder / "bare.yaml").write_text(json.dumps(
            {"collector": {"address": self.address}, "tls": {"ca": self.here.tls("user-tls")["ca"]},
             "trust_file": str(self.here.folder / "operator.pub")}))
        self.here.start_collector()

    @property
    def address(self):
        return f"127.0.0.1:{self.here.port}"

    @property
    def login_file(self):
        return self.here.folder / "config/assay/logins" / self.address

    def bare(self, *words, code=0, **options):
        """The command line without a client certificate: (stdout, stderr)."""
        return self.here.program("assay", "--config", self.here.folder / "bare.yaml", *words, code=code, **options)

    def create(self, name, role, *words):
        return self.here.query("token", "create", name, "--role", role, *words)

    def login(self, token, code=0):
        return self.bare("login", "--with-token", code=code, input=token + "\n")

    def with_token(self, token, *words, code=0):
        """A call with this token by way of ASSAY_TOKEN_FILE: (stdout, stderr)."""
        path = self.here.folder / "a-token"
        path.touch(mode=0o600)
        path.write_text(token + "\n")
        with unittest.mock.patch.dict(os.environ, ASSAY_TOKEN_FILE=str(path)):
            return self.bare(*words, code=code)

    def audit(self, *words):
        return self.here.query("audit", *words)["entries"]

    # Tokens

    def test_init_makes_a_first_admin_token_for_its_owner_alone(self):
        path = self.here.folder / "collector/admin/token"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        token = path.read_text().strip()
        self.assertRegex(token, f"^{TOKEN.pattern}$")
        self.assertFalse((self.here.folder / "collector/first-token").exists())  # taken in, and gone
        self.login(token)
        who = json.loads(self.bare("whoami", "-o", "json")[0])
        self.assertEqual((who["name"], who["role"], who["means"], who["scopes"]), ("init", "admin", "token", []))
        self.here.stop_collector()
        self.here.start_collector()
        self.bare("token", "list")
        made = [entry for entry in self.audit("--action", "token.create") if entry["actor"] == "collector"]
        self.assertEqual(len(made), 1)

    def test_the_first_token_lives_no_longer_than_tokens_may(self):
        other = deployment.Deployment()
        self.addCleanup(other.close)
        path = other.folder / "collector.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "tokens": {"max_lifetime": "2h"}}))
        other.start_collector()
        first, = other.query("token", "list")["tokens"]
        created, expires = (datetime.datetime.fromisoformat(first[key][:19]) for key in ("created_at", "expires_at"))
        self.assertLessEqual(abs((expires - created).total_seconds() - 7200), 1)

    def test_a_hash_that_others_could_have_written_is_refused(self):
        self.here.stop_collector()
        path = self.here.folder / "collector/first-token"
        path.write_text("1 " + "a" * 16 + " " + "b" * 64 + " 1 9000000000000000000\n")
        path.chmod(0o666)
        _, errors = self.here.program("assay-collector", "run", "--config", self.here.folder / "collector.yaml",
                                      code=REFUSED)
        self.assertIn(f"chmod go-w {path}", errors)
        path.chmod(0o600)
        path.write_text("something else\n")
        _, errors = self.here.program("assay-collector", "run", "--config", self.here.folder / "collector.yaml",
                                      code=BAD_INPUT)
        self.assertIn("remove it", errors)
        path.unlink()
        self.here.start_collector()

    def test_a_token_is_printed_once_and_does_what_its_role_may(self):
        out, said = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "token", "create", "ci",
                                      "--role", "viewer")
        self.assertRegex(out, f"^{TOKEN.pattern}\n$")
        self.assertNotRegex(said, TOKEN.pattern)
        token = out.strip()
        self.with_token(token, "ps")
        self.assertIn("role admin", self.with_token(token, "token", "list", code=REFUSED)[1])
        self.assertIn("role admin", self.with_token(token, "audit", code=REFUSED)[1])
        listed, = [one for one in self.here.query("token", "list")["tokens"] if one["name"] == "ci"]
        self.assertEqual((listed["role"], listed["state"], listed["created_by"]), ("viewer", "active", "user:operator"))
        self.assertIsNotNone(listed["last_used_at"])
        self.assertNotRegex(json.dumps(self.here.query("token", "list", "--all")), TOKEN.pattern)

    def test_a_narrowed_token_does_that_and_nothing_else(self):
        token = self.create("dashboard", "viewer", "--scope", "findings:read", "--scope", "nodes:read")["token"]
        self.with_token(token, "findings")
        self.with_token(token, "nodes")
        self.with_token(token, "whoami")
        self.assertIn("runs:read", self.with_token(token, "ps", code=REFUSED)[1])
        maker = self.create("maker", "admin", "--scope", "tokens:manage", "--scope", "runs:read")["token"]
        self.assertIn("scopes of its own", self.with_token(maker, "token", "create", "x", "--role", "admin", code=REFUSED)[1])
        self.assertIn("scopes of its own", self.with_token(maker, "token", "create", "x", "--role", "admin", "--scope",
                                                           "audit:read", code=REFUSED)[1])
        refused = self.audit("--action", "token.create", "--outcome", "refused")
        self.assertEqual([entry["actor"].split("/")[0] for entry in refused], ["token:maker"] * 2)
        self.with_token(maker, "token", "create", "x", "--role", "viewer", "--scope", "runs:read")
        self.assertIn("there are runs:read", self.bare_admin("token", "create", "y", "--role", "viewer", "--scope", "all", code=USAGE))

    def bare_admin(self, *words, code=0):
        """stderr of the operator's call."""
        return self.here.program("assay", "--config", self.here.folder / "cli.yaml", *words, code=code)[1]

    def test_a_token_cannot_make_its_own_successor(self):
        maker = self.create("maker", "admin", "--expires", "2h")
        for expires in ("3h", "300d"):
            self.assertIn("no token outlives", self.with_token(maker["token"], "token", "create", "next", "--role", "admin",
                                                               "--expires", expires, code=REFUSED)[1])
        refused = self.audit("--action", "token.create", "--outcome", "refused")
        self.assertEqual([entry["actor"].split("/")[0] for entry in refused], ["token:maker"] * 2)
        out, said = self.with_token(maker["token"], "token", "create", "next", "--role", "admin", "-o", "json")
        self.assertEqual(json.loads(out)["expires_at"], maker["expires_at"])
        self.assertIn("it ends with the token that made it", said)

    def test_what_cannot_be_made_is_said(self):
        self.create("ci", "viewer")
        self.assertIn("revoke it, or choose another name", self.bare_admin("token", "create", "ci", "--role", "viewer", code=USAGE))
        self.assertIn("tokens.max_lifetime", self.bare_admin("token", "create", "x", "--role", "viewer", "--expires", "400d", code=USAGE))
        self.assertIn("viewer, approver and admin", self.bare_admin("token", "create", "x", "--role", "root", code=USAGE))
        self.assertIn("letters", self.bare_admin("token", "create", "a b", "--role", "viewer", code=USAGE))
        self.assertIn("no token", self.bare_admin("token", "revoke", "nobody", code=NOT_FOUND))

    def test_a_revoked_token_is_refused_at_once_and_after_a_restart(self):
        token = self.create("ci", "approver")["token"]
        self.with_token(token, "ps")
        revoked = self.here.query("token", "revoke", "ci")
        self.assertEqual(revoked["state"], "revoked")
        self.assertEqual(self.here.query("token", "revoke", revoked["token_id"])["revoked_at"], revoked["revoked_at"])
        self.assertIn("was revoked at", self.with_token(token, "ps", code=REFUSED)[1])
        self.here.stop_collector()
        self.here.start_collector()
        self.assertIn("was revoked at", self.with_token(token, "ps", code=REFUSED)[1])
        self.create("ci", "viewer")  # the name is free again

    def test_tokens_that_ended_long_ago_are_forgotten_at_a_start(self):
        self.here.stop_collector()
        with sqlite3.connect(self.here.store) as store:
            store.executemany("INSERT INTO tokens VALUES(?, 'old', 'viewer', '[]', ?, 1, 'user:ann', 2, 0, 0, '')",
                              [(f"{n:016x}", n.to_bytes(32, "big")) for n in range(10_000)])
        self.here.start_collector()
        self.here.stop_collector()
        with sqlite3.connect(self.here.store) as store:
            self.assertEqual(store.execute("SELECT name FROM tokens").fetchall(), [("init",)])

    def test_a_join_token_that_has_no_place_is_not_made(self):
        there = self.here.folder / "there"
        there.write_text("something\n")
        self.assertIn(str(there), self.bare_admin("node", "token", "create", "--out", there, code=USAGE))
        self.assertIn("no-folder", self.bare_admin("node", "token", "create", "--out", self.here.folder / "no-folder/x", code=NOT_FOUND))
        self.assertEqual(self.here.query("node", "token", "list")["tokens"], [])
        self.assertEqual(there.read_text(), "something\n")
        new, viewer = self.here.folder / "new", self.create("vic", "viewer")["token"]
        self.with_token(viewer, "node", "token", "create", "--out", new, code=REFUSED)
        self.assertFalse(new.exists())
        self.bare_admin("node", "token", "create", "--out", new)
        self.assertEqual(stat.S_IMODE(new.stat().st_mode), 0o600)
        self.assertEqual(len(new.read_text().splitlines()), 1)
        _, said = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "node", "token", "create", "--out",
                                    self.here.folder / "full", code=UNAVAILABLE, restore_signals=False,  # SIGXFSZ stays ignored
                                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        self.assertIn("is revoked again", said)
        self.assertFalse((self.here.folder / "full").exists())
        self.assertEqual(sorted(one["state"] for one in self.here.query("node", "token", "list")["tokens"]), ["revoked", "usable"])

    # Login

    def test_login_keeps_the_token_for_its_owner_and_this_collector_alone(self):
        token = self.create("ann", "approver")["token"]
        out, said = self.login(token)
        self.assertNotRegex(out + said, TOKEN.pattern)
        self.assertEqual(stat.S_IMODE(self.login_file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.login_file.parent.stat().st_mode), 0o700)
        who = json.loads(self.bare("whoami", "-o", "json")[0])
        self.assertEqual((who["name"], who["role"], who["collector"]), ("ann", "approver", self.address))
        # No configuration at all: the only login says where, and whom to believe.
        empty = self.here.folder / "empty.yaml"
        empty.write_text("{}\n")
        self.assertIn("approver", self.here.program("assay", "--config", empty, "whoami")[0])
        _, said = self.here.program("assay", "--config", empty, "--collector-address", "127.0.0.1:1", "whoami", code=USAGE)
        self.assertIn("no CA certificate", said)  # another collector gets nothing of it
        self.bare("logout")
        self.assertFalse(self.login_file.exists())
        self.assertIn("no client certificate", self.bare("whoami", code=USAGE)[1])
        self.with_token(token, "ps")  # it still holds

    def test_a_login_comes_before_the_certificate_and_token_file_before_both(self):
        ann, bob = (self.create(name, "viewer")["token"] for name in ("ann", "bob"))
        self.assertEqual(self.here.query("whoami")["means"], "certificate")
        self.here.program("assay", "--config", self.here.folder / "cli.yaml", "login", "--with-token", input=ann + "\n")
        self.assertEqual(self.here.query("whoami")["name"], "ann")
        self.assertIn("bob", self.with_token(bob, "whoami")[0])

    def test_what_others_may_read_is_refused_with_the_command_that_mends_it(self):
        token = self.create("ann", "viewer")["token"]
        self.login(token)
        self.login_file.chmod(0o644)
        self.assertIn(f"chmod 600 {self.login_file}", self.bare("ps", code=REFUSED)[1])
        self.login_file.chmod(0o600)
        self.bare("ps")
        path = self.here.folder / "open"
        path.write_text(token)
        path.chmod(0o644)
        self.assertIn(f"chmod 600 {path}", self.bare("--token-file", path, "ps", code=REFUSED)[1])

    def test_what_is_no_token_or_not_this_collectors_is_not_kept(self):
        secret = "assay_" + "0" * 16 + "_" + "f" * 64
        for given, code, why in (("hello-secret", USAGE, "no token"), ("", USAGE, "no token"),
                                 (secret, REFUSED, "does not know the token")):
            _, said = self.login(given, code=code)
            self.assertIn(why, said)
            self.assertNotIn(given or "never", said)
            self.assertFalse(self.login_file.exists())

    def test_login_asks_on_a_terminal_and_shows_nothing(self):
        token = self.create("ann", "viewer")["token"]
        master, slave = pty.openpty()
        child = subprocess.Popen([deployment.BIN / "assay", "--config", self.here.folder / "bare.yaml", "login"],
                                 stdin=slave, stdout=slave, stderr=slave, close_fds=True, env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        shown = b""
        while b"Token for" not in shown:
            shown += os.read(master, 65536)
        with open(f"/proc/{child.pid}/cmdline", "rb") as line:
            self.assertNotIn(b"assay_", line.read())
        os.write(master, token.encode() + b"\n")
        try:
            while block := os.read(master, 65536):
                shown += block
        except OSError:
            pass
        os.close(master)
        self.assertEqual(child.wait(deployment.DEADLINE_S), 0, shown)
        self.assertNotIn(b"assay_", shown)
        self.assertIn("ann", self.bare("whoami")[0])
        _, said = self.bare("login", code=USAGE, stdin=subprocess.DEVNULL)
        self.assertIn("--with-token", said)

    # Limits

    def configure(self, **limits):
        path = self.here.folder / "collector.yaml"
        tree = json.loads(path.read_text())
        tree["limits"] = limits
        path.write_text(json.dumps(tree))
        self.here.stop_collector()
        self.here.start_collector()

    def test_one_principal_has_so_many_calls_and_is_told_when_to_come_back(self):
        self.configure(calls_per_second=1, calls_burst=3)
        token = self.create("ci", "viewer")["token"]
        said = ""
        for _ in range(20):
            path = self.here.folder / "ci-token"
            path.touch(mode=0o600)
            path.write_text(token)
            done = subprocess.run([deployment.BIN / "assay", "--config", self.here.folder / "bare.yaml", "--token-file",
                                   path, "ps"], capture_output=True, text=True, check=False, timeout=deployment.DEADLINE_S)
            if done.returncode:
                self.assertEqual(done.returncode, BAD_INPUT)
                said = done.stderr
                break
        self.assertRegex(said, r"makes too many calls .*\(try again in \d+ s\)")
        self.here.query("token", "list")  # others do not feel it

    def test_a_flood_of_refused_tries_is_answered_bounded_and_leaves_few_entries(self):
        self.configure(failures_per_minute=5)
        wrong = "assay_" + "0" * 16 + "_" + "f" * 64
        answers = []
        for _ in range(40):
            path = self.here.folder / "wrong"
            path.touch(mode=0o600)
            path.write_text(wrong)
            done = subprocess.run([deployment.BIN / "assay", "--config", self.here.folder / "bare.yaml", "--token-file",
                                   path, "ps"], capture_output=True, text=True, check=False, timeout=deployment.DEADLINE_S)
            answers.append((done.returncode, done.stderr))
        self.assertEqual(answers[0][0], REFUSED)
        self.assertEqual(answers[-1][0], BAD_INPUT)
        self.assertIn("try again in", answers[-1][1])
        self.here.query("whoami")  # a valid certificate from the same address is let in
        self.here.stop_collector()  # what was counted is written
        self.here.start_collector()
        entries = self.audit("--action", "Query.ListRuns", "--outcome", "refused")
        self.assertLessEqual(len(entries), 25, entries)
        self.assertTrue(any("more like it" in entry["detail"] for entry in entries), entries)
        self.assertTrue(all(entry["peer"].startswith("ipv4:127.0.0.1:") for entry in entries), entries)

    # Audit

    def test_who_did_what_from_where_is_listed_and_filtered(self):
        token = self.create("ci", "viewer")["token"]
        self.with_token(token, "audit", code=REFUSED)
        self.here.query("token", "revoke", "ci")
        made, = self.audit("--action", "token.create", "--actor", "operator")
        self.assertEqual((made["actor"], made["outcome"]), ("user:operator", "done"))
        self.assertIn("role viewer", made["detail"])
        self.assertTrue(made["peer"].startswith("ipv4:127.0.0.1:"))
        ended, = self.audit("--action", "token.revoke")
        self.assertEqual(ended["subject"], made["subject"])
        refused, = self.audit("--outcome", "refused", "--actor", "ci")
        self.assertEqual((refused["action"], refused["actor"].split("/")[0]), ("Access.ListAudit", "token:ci"))
        self.assertEqual(self.audit("--since", "2000-01-01", "--limit", "1")[0], self.audit()[0])
        self.assertEqual(len(self.audit("--limit", "2")), 2)
        self.assertEqual(self.audit("--action", "toke"), [])

    def test_hostile_text_in_the_log_is_escaped(self):
        with sqlite3.connect(self.here.store) as store:
            store.execute("INSERT INTO audit_log(time_ns, actor, action, subject, outcome, detail) "
                          "VALUES(1, 'user:x', 'evil', ?, 'done', ?)", ("\x1b[31mred", "a\nb\u202e"))
        out = self.here.assay("audit", "--action", "evil")
        self.assertNotIn("\x1b", out)
        self.assertIn("\\x1b[31mred", out)
        self.assertEqual(len(out.strip().splitlines()), 2, out)

    def test_nothing_of_a_token_is_anywhere_it_should_not_be(self):
        path = self.here.folder / "collector.yaml"
        tree = json.loads(path.read_text())
        tree["log"] = {"level": "debug"}
        path.write_text(json.dumps(tree))
        self.here.stop_collector()
        self.here.start_collector()
        first = (self.here.folder / "collector/admin/token").read_text().strip()
        token = self.create("ci", "viewer")["token"]
        broken = token[:-1]
        said = "".join(self.with_token(token, "ps")) + "".join(self.with_token(token, "audit", code=REFUSED))
        said += "".join(self.with_token(broken, "ps", code=USAGE)) + "".join(self.login(token))
        said += "".join(self.bare("--debug", "ps"))
        with_certificate = dict(HOME=str(self.here.folder / "other"), XDG_CONFIG_HOME=str(self.here.folder / "other"))
        with unittest.mock.patch.dict(os.environ, with_certificate):
            for words in (("login", token), ("login", "--with-token=" + token), ("token", "revoke", token), (token,),
                          ("token", "create", token, "--role", "viewer"), ("whoami", "--token", token)):
                said += "".join(self.here.program("assay", "--config", self.here.folder / "cli.yaml", *words, code=USAGE))
            self.assertIn("never the token itself", said)
            self.here.query("token", "revoke", "ci")
            said += json.dumps(self.audit()) + json.dumps(self.here.query("token", "list", "-a"))
        said += "".join(self.bare("ps", code=REFUSED))
        self.here.stop_collector()
        secrets = [one.split("_")[2] for one in (first, token)]
        log = (self.here.folder / "collector.log").read_text()
        stored = b"".join(one.read_bytes() for one in (self.here.folder / "collector").glob("collector.db*"))
        for secret in secrets:
            for part in (secret, secret[:16], secret[-16:]):
                self.assertNotIn(part, said)
                self.assertNotIn(part, log)
                self.assertNotIn(part.encode(), stored)


if __name__ == "__main__":
    deployment.main()
