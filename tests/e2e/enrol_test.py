# SPDX-License-Identifier: Apache-2.0
"""Nodes that join with a token, renew their certificates, are revoked, and follow another authority: the
shipped collector and agent, under load, without a restart, with nothing lost and nothing twice.

The agent is shown made-up containers (tests/support/load_agent.cpp); all else is as people run it.
"""
import json
import os
import shutil
import signal
import ssl
import subprocess
import unittest

import grpc

import deployment
import images
import ledger
from by_hand import unpack
from runtimes import Daemon

REFUSED, NOT_FOUND = 4, 7
LIFETIME_S = 20  # of nodes' certificates here; 24 hours by default


class EnrolTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(self.tar, self.here.folder / "layers/known")
        self.change("collector.yaml", enrol={"certificate_lifetime": f"{LIFETIME_S}s"}, heartbeat_interval="1s")
        self.here.start_collector()
        self.token_file = self.here.folder / "join-token"
        # What Deployment issued beforehand is not used here.
        shutil.rmtree(self.here.folder / "agent-tls")
        self.here.settings["enrol"] = {"token_file": str(self.token_file)}

    def change(self, name, **changes):
        path = self.here.folder / name
        tree = json.loads(path.read_text())
        tree.update(changes)
        path.write_text(json.dumps(tree))

    def make_token(self, *words):
        self.token_file.unlink(missing_ok=True)
        return self.here.query("node", "token", "create", "--out", self.token_file, *words)

    def start_agent(self, count=100_000, rate_hz=20, life_ms=200):
        self.made_up = ledger.MadeUp(self.layer, count, rate_hz, life_ms, begin_in_s=5)
        self.here.start_agent(made_up=self.made_up, waits=False)

    def start_another_agent(self, name, count, rate_hz):
        """One more node, with a state folder of its own: (its timetable, its daemon)."""
        made_up = ledger.MadeUp(self.layer, count, rate_hz, life_ms=200, begin_in_s=5)
        config = json.loads((self.here.folder / "agent.yaml").read_text())
        config.update(node=name, state_dir=str(self.here.folder / name), http={"address": ""}, local={"socket": ""})
        path = self.here.write(f"{name}.yaml", config)
        daemon = Daemon(made_up.command(path), self.here.folder / f"{name}.log")
        self.addCleanup(daemon.stop)
        return made_up, daemon

    def wait_for_trust(self, what):
        """Every node believes what the collector does, and has a certificate of the authority that issues."""
        self.here.wait(lambda: all(node["trust"] == "current" for node in self.here.query("nodes")["nodes"]), what)

    def node(self):
        nodes = {node["node"]: node for node in self.here.query("nodes")["nodes"]}
        return nodes.get(deployment.NODE)

    def wait_for_node(self, what, condition):
        return self.here.wait(lambda: (node := self.node()) and condition(node) and node, what)

    def wait_until_connected(self):
        return self.wait_for_node("node connected", lambda node: node["state"] == "connected")

    def connects(self):
        return self.here.metrics(self.here.agent_http)["assay_agent_collector_connects_total"]

    def audit(self, action):
        return load_rows(self.here, "SELECT actor, subject, outcome, detail, peer FROM audit_log WHERE action = "
                                    f"'{action}' ORDER BY audit_key")

    def assert_nothing_lost(self, more=()):
        """After the timetables are over: every start once in the store, and no gap."""
        starts = []
        for made_up in [self.made_up, *(made_up for made_up, _ in more)]:
            made_up.wait_until_over()
            starts += made_up.starts()
        self.here.wait_until_delivered()
        self.here.wait(lambda: load_rows(self.here, "SELECT count(*) AS count FROM runs WHERE ended_ns > 0")[0]["count"]
                       >= len(starts), "all runs ended")
        for _, daemon in more:
            self.assertIsNone(daemon.process.poll())
            daemon.stop()
        self.here.stop_agent()
        self.here.stop_collector()
        store = ledger.Store(self.here.store)
        self.addCleanup(store.close)
        self.assertEqual(ledger.differences(starts, store), [])
        self.assertEqual(store.gaps(), [])

    def test_a_token_is_used_once_and_is_nowhere_else(self):
        here = self.here
        created = self.make_token("--node", f"{deployment.NODE[:-1]}*", "--expires", "1h")
        self.assertNotIn("token", created)
        self.assertEqual(self.token_file.stat().st_mode & 0o777, 0o600)
        secret = self.token_file.read_text().split(".")[2]
        self.start_agent()
        node = self.wait_until_connected()
        self.assertEqual(node["trust"], "current")
        self.assertIsNotNone(node["certificate_expires_at"])
        listed = here.query("node", "token", "list")["tokens"]
        self.assertEqual([(one["token_id"], one["state"], one["last_node"]) for one in listed],
                         [(created["token_id"], "used-up", f"test/{deployment.NODE}")])
        revoked = self.here.query("node", "token", "revoke", created["token_id"])
        self.assertEqual(revoked["state"], "revoked")
        here.program("assay", "--config", here.folder / "cli.yaml", "node", "token", "revoke", "ffff",
                     code=NOT_FOUND)
        here.stop_agent()
        here.stop_collector()
        for path in here.folder.rglob("*"):
            if path.is_file() and path != self.token_file:
                self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_what_strangers_send_writes_no_lines_into_the_log(self):
        ca = (self.here.folder / "collector/ca.pem").read_bytes()
        with grpc.secure_channel(f"127.0.0.1:{self.here.port}", grpc.ssl_channel_credentials(ca)) as channel:
            enrol = channel.unary_unary("/assay.v1.Enrolment/Enrol")
            for _ in range(20):
                with self.assertRaises(grpc.RpcError):
                    enrol(b"\x0a\x02\xff\xfe\x12\x02\x1b[", timeout=deployment.DEADLINE_S)
        log = self.here.collector.log.read_text(errors="replace")
        self.assertNotIn("UTF-8", log)
        self.assertLess(len(log.splitlines()), 10)

    def test_a_certificate_that_ended_while_the_agent_was_off_is_no_end(self):
        self.make_token()
        self.start_agent()
        ends = self.wait_until_connected()["certificate_expires_at"]
        self.here.stop_agent()
        self.token_file.unlink()
        certificate = self.here.folder / "agent/identity/cert.pem"
        self.here.wait(lambda: subprocess.run(["openssl", "x509", "-checkend", "0", "-noout", "-in", certificate],
                                              capture_output=True, check=False).returncode, "certificate expired")
        self.start_agent()
        self.wait_for_node("a new certificate", lambda node: node["state"] == "connected"
                           and node["certificate_expires_at"] > ends)
        self.assertIn("by known key", self.audit("node.enrol")[-1]["detail"])

    def test_a_revoked_node_is_out_until_it_is_restored_and_loses_nothing(self):
        here = self.here
        self.make_token()
        self.start_agent(count=600, rate_hz=20)
        self.wait_until_connected()
        said = here.query("node", "revoke", deployment.NODE, "--reason", "taken home")
        self.assertTrue(said["had_stream"])
        node = self.wait_for_node("node revoked", lambda node: node["state"] != "connected")
        self.assertEqual((node["revoked_reason"], node["revoked_by"]), ("taken home", "user:operator"))
        self.assertIn("REVOKED", here.assay("nodes"))
        here.agent.wait_for(lambda: "is revoked since" in here.agent.log.read_text(errors="replace"),
                            "the agent says that it is revoked")
        here.stop_collector()
        here.start_collector()
        refused = lambda: len([one for one in self.audit("agent.connect") if "is revoked" in one["detail"]])
        before = refused()
        here.wait(lambda: refused() > before, "refused again after the restart")
        here.assay("node", "restore", deployment.NODE)
        self.wait_until_connected()
        self.assertEqual([one["actor"] for one in self.audit("node.revoke") + self.audit("node.restore")],
                         ["user:operator"] * 2)
        self.assert_nothing_lost()

    def test_leaves_and_authority_change_under_load_without_a_restart(self):
        here = self.here
        self.make_token("--uses", "3")
        self.start_agent(count=9000, rate_hz=100)
        more = [self.start_another_agent(name, count=4500, rate_hz=50) for name in ("node-2", "node-3")]
        self.wait_until_connected()
        here.agent.wait_for(lambda: self.connects() >= 2, "a renewed certificate in use")

        rotate = lambda step: here.program("assay-collector", "ca", "rotate", step, "--config",
                                           here.folder / "collector.yaml")
        first_server = served_certificate(here)
        rotate("prepare")  # taken over by itself
        here.wait(lambda: len(here.query("ca", "show")["authorities"]) == 2, "two authorities")
        self.wait_for_trust("both trusted")
        (here.folder / "user-tls/ca.pem").write_text(here.assay("ca", "show"))

        rotate("activate")
        here.collector.process.send_signal(signal.SIGHUP)  # taken over at once
        here.wait(lambda: served_certificate(here) != first_server, "another server certificate")
        issuer = [one["sha256"] for one in here.query("ca", "show")["authorities"] if one["is_issuing"]]
        self.wait_for_trust("certificates of the second authority")
        here.program("assay-collector", "issue", "--config", here.folder / "collector.yaml", "--user", "operator",
                     "--role", "admin", "--out", here.folder / "user-tls-2")
        self.change("cli.yaml", tls=here.tls("user-tls-2"))

        rotate("retire")
        here.wait(lambda: [one["sha256"] for one in here.query("ca", "show")["authorities"]] == issuer,
                  "the second authority alone")
        self.wait_for_trust("it is all that is trusted")
        # A leaf of the server's alone.
        second_server = served_certificate(here)
        here.program("assay-collector", "ca", "renew-server", "--config", here.folder / "collector.yaml")
        here.wait(lambda: served_certificate(here) != second_server, "a third server certificate")
        connects = self.connects()
        here.agent.wait_for(lambda: self.connects() > connects, "one more renewal")
        # Who has only the first authority's certificate is let in no more.
        self.change("cli.yaml", tls=here.tls("user-tls"))
        here.program("assay", "--config", here.folder / "cli.yaml", "ps", code=REFUSED)
        self.change("cli.yaml", tls=here.tls("user-tls-2"))
        self.assertIsNone(here.agent.process.poll())
        self.assertIsNone(here.collector.process.poll())
        self.assertTrue(all(one["outcome"] == "done" for one in self.audit("node.renew")))
        self.assertGreaterEqual(len(self.audit("node.renew")), 3)
        self.assert_nothing_lost(more)


def load_rows(here, sql):
    store = ledger.Store(here.store)
    try:
        return store.rows(sql)
    finally:
        store.close()


def served_certificate(here):
    return ssl.get_server_certificate(("127.0.0.1", here.port))


if __name__ == "__main__":
    os.environ.setdefault("ASSAY_BIN", "build/dev/bin")
    deployment.main()
