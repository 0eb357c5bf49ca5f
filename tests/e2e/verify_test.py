# SPDX-License-Identifier: Apache-2.0
"""Verify on demand: `assay node verify` by the collector, `assay-agent verify` by the unix socket of the node.

Real containers; whatever is answered is compared with what was done to the layer's directory, with the exit code, and
with the collector's log of who commanded what.
"""
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import unittest

import deployment
import layer_cases
from tamper_test import change, write_in_place

NOBODY = 65534


class Cases(layer_cases.Cases):
    settings = {"identify": {"rewalk_interval": "1h"}}  # on demand only

    def verify(self, *words, code=0):
        """(document, what stderr says) of `assay node verify`."""
        out, said = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "node", "verify", *words,
                                      "-o", "json", code=code)
        return json.loads(out) if out else None, said

    def verify_here(self, *words, code=0, **options):
        """The same of `assay-agent verify`."""
        out, said = self.here.program("assay-agent", "verify", "--config", self.here.folder / "agent.yaml", *words,
                                      "-o", "json", code=code, **options)
        return json.loads(out) if out else None, said

    def layer_in(self, document, run):
        """The row of the run's base layer."""
        (row,) = [row for row in document["layers"] if row["content"] == self.base_layer(run)["content"]]
        return row

    def log(self):
        """What the collector logged of commands: (who, about what, outcome, detail)."""
        with contextlib.closing(sqlite3.connect(f"file:{self.here.store}?mode=ro", uri=True)) as database:
            return database.execute("SELECT actor, subject, outcome, detail FROM audit_log "
                                    "WHERE action = 'node.verify' ORDER BY audit_key").fetchall()

    def test_what_was_not_touched_is_as_recorded(self):
        run = self.start("clean")
        document, said = self.verify(deployment.NODE, "clean")
        row = self.layer_in(document, run)
        self.assertEqual((row["outcome"], row["node"], row["container"]), ("as-recorded", deployment.NODE, "clean"))
        self.assertTrue({"record", "content"} <= set(row["checked"]), row)
        files = [path for path in self.folder_of(run).rglob("*") if path.is_file() and not path.is_symlink()]
        self.assertEqual(row["files_read"], len(files))  # every one, though none looks changed
        self.assertEqual((row["changes"], row["tampered"], row["reason"]), ([], "", ""))
        self.assertIn("as recorded", said)
        local, _ = self.verify_here("clean")
        self.assertEqual({**self.layer_in(local, run), "took_ns": 0, "bytes_read": 0},
                         {**row, "took_ns": 0, "bytes_read": 0})
        table = self.here.assay("node", "verify", f"test/{deployment.NODE}", "clean")
        self.assertRegex(table, r"NODE +CONTAINER +LAYER +CHECKED +OUTCOME")
        self.assertIn('outcome: "as-recorded"', self.here.assay("node", "verify", deployment.NODE, "clean", "-o", "yaml"))
        self.assertIn(("user:operator", f"test/{deployment.NODE} clean", "begun", ""), self.log())
        self.assertEqual(self.here.findings_of(run), [])

    def test_each_way_to_name_it(self):
        run = self.start("named")
        other = self.start("another-one")  # of another length, so of another shape
        layer = self.base_layer(run)
        container = run["names"]["container_id"] or "named"
        for name in [run["run_id"], run["run_id"][:20], container, container[:40], layer["shape"], layer["shape"][:30],
                     layer["shape"].removeprefix("sha256:")[:20], layer["content"]]:
            with self.subTest(name):
                document, _ = self.verify(deployment.NODE, name)
                self.assertEqual(self.layer_in(document, run)["outcome"], "as-recorded")
                self.assertNotIn(self.base_layer(other)["shape"], [row["shape"] for row in document["layers"]])
        document, said = self.verify(deployment.NODE)
        for one in (run, other):
            self.assertEqual(self.layer_in(document, one)["outcome"], "as-recorded")
        document, said = self.verify()
        self.assertIn("Verifying 1 connected node", said)
        self.assertEqual(self.layer_in(document, other)["outcome"], "as-recorded")
        _, said = self.verify(deployment.NODE, "", code=0)

    def test_an_edit_that_hides_behind_the_old_time_is_found(self):
        run = self.start("edited")
        write_in_place(self.folder_of(run))
        document, said = self.verify(deployment.NODE, "edited", code=1)
        row = self.layer_in(document, run)
        self.assertEqual((row["outcome"], row["changes"][0]), ("changed", "/etc/marker (content)"))
        self.assertIn("/etc/marker (content)", row["tampered"])
        self.assertIn("1 changed", said)
        self.assertIn("/etc/marker (content)", self.here.wait_for_finding("tampered", run)["reason"])
        # It is never taken back: neither by who looks again, nor by the edit being undone.
        local, _ = self.verify_here("edited", code=1)
        row = self.layer_in(local, run)
        self.assertEqual(row["outcome"], "changed")
        self.assertIn("/etc/marker (content)", row["tampered"])

    def test_the_socket_finds_it_as_well(self):
        run = self.start("here")
        change(self.folder_of(run))
        document, _ = self.verify_here("here", code=1)
        self.assertEqual(self.layer_in(document, run)["changes"][0], "/etc/marker (content, size, time)")
        self.here.wait_for_finding("tampered", run)

    def test_what_is_not_there_is_said(self):
        self.start("present")
        _, said = self.verify(deployment.NODE, "absent", code=7)
        self.assertIn('no running container and no layer of one is called "absent"', said)
        _, said = self.verify_here("absent", code=7)
        self.assertIn("absent", said)
        _, said = self.verify("elsewhere", code=7)
        self.assertIn('no node "elsewhere" has ever connected', said)
        self.start("present-too")
        _, said = self.verify(deployment.NODE, "sha256:" + "0" * 64, code=7)
        _, said = self.verify(deployment.NODE, "x" * 600, code=2)
        self.assertIn("too long", said)

    def test_only_an_admin_may_command(self):
        here = self.here
        here.program("assay-collector", "issue", "--config", here.folder / "collector.yaml", "--user", "ann",
                     "--out", here.folder / "ann-tls")
        config = here.write("ann.yaml", {"collector": {"address": f"127.0.0.1:{here.port}"}, "tls": here.tls("ann-tls")})
        out, said = here.program("assay", "--config", config, "node", "verify", deployment.NODE, code=4)
        self.assertEqual(out, "")
        self.assertIn("user:ann may not use NodeCommands.Verify", said)
        self.assertIn("role admin", said)
        here.wait(lambda: [row for row in self.log() if row[0] == "user:ann" and row[2] == "refused"], "the refusal in the log")
        here.program("assay", "--config", config, "ps")  # the rest is allowed

    def test_the_socket_is_for_root(self):
        self.start("rooted")
        path = self.here.folder / "local/agent.sock"
        self.assertEqual((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777), (0o600, 0o700))
        with contextlib.ExitStack() as stack:
            # The program and its configuration are readable; only the socket says no.
            program = self.here.folder / "assay-agent"
            program.write_bytes((deployment.BIN / "assay-agent").read_bytes())
            program.chmod(0o755)

            def as_nobody():
                done = subprocess.run([program, "verify", "--config", "/dev/null", "--local-socket", path, "rooted"],
                                      capture_output=True, text=True, timeout=60, check=False, user=NOBODY, group=NOBODY,
                                      cwd="/", extra_groups=[])
                return done.returncode, done.stderr
            mode = self.here.folder.stat().st_mode & 0o777
            stack.callback(self.here.folder.chmod, mode)
            self.here.folder.chmod(0o755)
            code, said = as_nobody()
            self.assertEqual(code, 3, said)
            self.assertIn("run this as root", said)
            # Were the modes wrong, the kernel's word of who connects still counts.
            stack.callback(path.parent.chmod, 0o700)
            stack.callback(path.chmod, 0o600)
            path.parent.chmod(0o755)
            path.chmod(0o666)
            code, said = as_nobody()
            self.assertEqual(code, 3, said)
            self.assertIn("takes commands of root", said)
            self.assertIn("a connection to the local socket was refused", self.here.agent.tail())
        self.verify_here("rooted")

    def test_an_agent_that_is_gone_is_not_told_as_clean(self):
        self.start("left")
        self.addCleanup(self.here.start_agent, self.runtime)
        self.here.stop_agent()
        self.here.wait(lambda: self.here.query("nodes")["nodes"][0]["state"] != "connected", "the stream's end")
        _, said = self.verify(deployment.NODE, "left", code=5)
        self.assertIn("is not connected", said)
        self.assertIn("not looked at", said)
        _, said = self.verify(code=5)
        self.assertIn("no node is connected", said)
        _, said = self.verify_here("left", code=5)
        self.assertIn("no agent listens", said)

    def test_an_agent_that_dies_in_the_middle_is_not_told_as_clean(self):
        self.start("dying")
        self.addCleanup(self.here.start_agent, self.runtime)
        self.addCleanup(self.here.stop_agent)
        before = len(self.log())
        self.here.agent.process.send_signal(signal.SIGSTOP)
        asked = subprocess.Popen([deployment.BIN / "assay", "--config", self.here.folder / "cli.yaml", "node", "verify",
                                  deployment.NODE, "dying"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, "XDG_STATE_HOME": str(self.here.folder / "state")})
        self.addCleanup(asked.kill)
        self.here.wait(lambda: len(self.log()) > before, "the command")
        self.here.agent.process.kill()
        out, said = asked.communicate(timeout=deployment.DEADLINE_S)
        self.assertEqual((asked.returncode, out), (5, ""), said)
        self.assertIn("ended before it had answered", said)
        self.here.wait(lambda: self.log()[-1][2] == "failed", "the failure in the log")

    def test_an_agent_that_does_not_answer_is_given_up(self):
        self.start("stuck")
        self.here.agent.process.send_signal(signal.SIGSTOP)
        try:
            _, said = self.verify(deployment.NODE, "stuck", "--timeout", "1s", code=5)
        finally:
            self.here.agent.process.send_signal(signal.SIGCONT)
        self.assertIn("did not answer in time", said)
        self.here.wait(lambda: self.here.query("nodes")["nodes"][0]["state"] == "connected", "the node is back")
        self.verify(deployment.NODE, "stuck")

    def test_what_lies_at_the_sockets_place(self):
        """A dead agent's socket is replaced; a live one, and what is none, is refused."""
        here = self.here

        def refuses(code, *words):
            config = here.write("second.yaml", {
                "state_dir": str(here.folder / "second"), "http": {"address": ""}, "probe": {"pin_dir": ""},
                "local": {"socket": str(place)}})
            done = subprocess.run([deployment.BIN / "assay-agent", "run", "--config", config], capture_output=True,
                                  text=True, timeout=deployment.DEADLINE_S, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
        place = here.folder / "local/agent.sock"
        refuses(5, "another assay-agent listens at", "another local.socket")
        place = here.folder / "local/file"
        place.write_text("mine")
        refuses(2, "is no socket")
        self.assertEqual(place.read_text(), "mine")
        place = here.folder / "open/agent.sock"
        place.parent.mkdir()
        place.parent.chmod(0o755)
        refuses(4, "may be entered by others", "chmod 700")
        self.addCleanup(here.start_agent, self.runtime)
        here.stop_agent(signal.SIGKILL)
        left = here.folder / "local/agent.sock"
        self.assertTrue(left.is_socket())
        with socket.socket(socket.AF_UNIX) as probe, self.assertRaises(ConnectionRefusedError):
            probe.connect(str(left))
        here.start_agent(self.runtime)
        self.verify_here()
        here.stop_agent()
        self.assertFalse(left.exists())


class DockerTest(Cases, unittest.TestCase):
    runtime_class = layer_cases.Docker


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = layer_cases.Containerd


if __name__ == "__main__":
    deployment.main()
