# SPDX-License-Identifier: Apache-2.0
"""In whatever order the programs start and with whatever certificate the collector comes back, they
find each other; what the agent says of itself is in `assay nodes`; a lost outbox is repaired."""
import json
import pathlib
import shutil
import signal
import unittest

import deployment
import images
from by_hand import Started, run_of, unpack
from runtimes import Daemon, command


class Case(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")

    def start(self, *words, **options):
        started = Started([self.layer], *words, **options)
        self.addCleanup(started.stop)
        return started

    def node(self):
        nodes = self.here.query("nodes")["nodes"]
        return nodes[0] if nodes else None

    def wait_for_node(self, is_right, what):
        def look():
            node = self.node()
            return node if node and is_right(node) else None
        return self.here.wait(look, what)

    def gaps(self):
        return self.here.findings("--all", "--kind", "evidence-gap")


class OrderTest(Case):
    def test_the_command_line_works_before_any_agent_came(self):
        self.here.start_collector()
        for words in (("ps",), ("findings",), ("nodes",), ("base", "list")):
            self.assertIsInstance(self.here.query(*words), dict)
        stdout, stderr = self.here.program("assay", "--config", self.here.folder / "cli.yaml", "nodes")
        self.assertEqual(stdout, "")
        self.assertIn("No node has connected yet", stderr)

    def test_an_agent_that_comes_first_delivers_when_the_collector_comes(self):
        self.here.start_agent()
        running = self.start("sleep", "600")
        (report,) = running.reports()
        self.here.start_collector()
        run_of(self.here, report, verdict="unknown")
        node = self.wait_for_node(lambda node: node["state"] == "connected", "node connected")
        self.assertEqual(self.gaps(), [])
        self.assertEqual(node["address"].split(":")[0], "ipv4")

    def test_a_collector_with_another_certificate_is_found_without_a_restart(self):
        here = self.here
        here.start_collector()
        here.start_agent()
        self.wait_for_node(lambda node: node["state"] == "connected", "node connected")
        here.stop_collector()
        self.issue_server_certificate("DNS:elsewhere.example")
        here.start_collector()
        here.wait(lambda: "no stream to the collector" in here.agent.tail(), "the agent says why")
        (report,) = self.start("sleep", "600").reports()
        here.stop_collector()
        self.issue_server_certificate("IP:127.0.0.1,DNS:localhost")
        here.start_collector()
        run_of(here, report, verdict="unknown")
        self.assertTrue(here.agent.is_alive())
        self.assertEqual(self.gaps(), [])

    def issue_server_certificate(self, names):
        """A new key and certificate for the collector, from the same authority."""
        data = self.here.folder / "collector"
        extensions = self.here.write("names.ext", {})
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        command("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", data / "server-key.pem", "-out", data / "server.csr", "-subj", "/CN=collector")
        command("openssl", "x509", "-req", "-in", data / "server.csr", "-CA", data / "ca.pem", "-CAkey",
                data / "ca-key.pem", "-CAcreateserial", "-days", "1", "-extfile", extensions, "-out",
                data / "server.pem")


class LostStateTest(Case):
    def test_a_lost_outbox_is_a_gap_and_the_full_state_repairs_it(self):
        here = self.here
        here.start_collector()
        here.start_agent()
        stays, ends = self.start("sleep", "600"), self.start("sleep", "600")
        (stays_report,), (ends_report,) = stays.reports(), ends.reports()
        first = run_of(here, stays_report, verdict="unknown")
        run_of(here, ends_report, verdict="unknown")
        here.stop_agent(signal.SIGKILL)
        for file in pathlib.Path(here.folder, "agent").glob("*.db*"):
            file.unlink()
        ends.stop()
        meanwhile = self.start("sleep", "600")
        (new_report,) = meanwhile.reports()
        here.start_agent()
        new = run_of(here, new_report, verdict="unknown")
        self.assertTrue(new["is_late"])
        run_of(here, ends_report, ended=True)
        here.wait(lambda: not self.node()["is_state_wanted"], "full state told")
        again = run_of(here, stays_report, verdict="unknown")
        self.assertEqual(again["run_id"], first["run_id"])
        self.assertEqual(len([run for run in here.runs("--all") if run["process"]["pid"] == stays_report[0]]), 1)
        (gap,) = self.gaps()
        self.assertIn("another outbox", gap["reason"])
        self.assertIn("and ended 1", gap["reason"])
        self.assertEqual(gap["node"], deployment.NODE)

    def test_an_outbox_of_yesterday_loses_nothing_of_today(self):
        here = self.here
        here.start_collector()
        here.start_agent()
        run_of(here, self.start("true").reports()[0], ended=True)
        here.stop_agent()
        yesterday = here.folder / "yesterday"
        shutil.copytree(here.folder / "agent", yesterday)
        here.start_agent()
        for report in self.start("true", count=20).reports():
            run_of(here, report, ended=True)
        here.stop_agent()
        shutil.rmtree(here.folder / "agent")
        shutil.copytree(yesterday, here.folder / "agent")
        here.stop_collector()  # so that all of today is in the outbox before they meet
        here.start_agent()
        reports = self.start("true", count=5).reports()
        here.start_collector()
        for report in reports:
            run_of(here, report, ended=True)
        self.assertEqual(len(here.runs("--all")), 26)


class HealthTest(Case):
    def start_collector_with_quick_heartbeats(self):
        path = self.here.folder / "collector.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "heartbeat_interval": "1s"}))
        self.here.start_collector()

    def test_nodes_show_what_the_agent_says_of_itself(self):
        here = self.here
        here.start_collector()
        here.start_agent()
        run_of(here, self.start("true", count=3).reports()[2], ended=True)
        def is_whole(node):
            return node["starts"] >= 3 and node["outbox_events"] == 0 and node["probe_has_seen"]
        node = self.wait_for_node(is_whole, "a heartbeat after three starts")
        self.assertTrue(node["probe_is_attached"])
        self.assertGreater(node["probe_sent"], 0)
        self.assertEqual(node["lost_starts"], 0)
        self.assertEqual(node["late_starts"], 0)
        self.assertIsNone(node["outbox_oldest_at"])
        self.assertEqual(node["degraded_modes"], ["catalog-none"])
        self.assertLess(abs(node["clock_offset_ns"]), 1_000_000_000)
        here.assay("base", "approve", "known:1", "--from", self.layer)
        node = self.wait_for_node(lambda node: node["catalog_sequence"] == 1, "the catalog")
        self.assertEqual(node["degraded_modes"], [])
        self.assertIsNotNone(node["catalog_expires_at"])
        for output in ("table", "wide"):
            self.assertIn(deployment.NODE, here.assay("nodes", "-o", output))

    def test_a_node_that_says_nothing_is_silent(self):
        here = self.here
        self.start_collector_with_quick_heartbeats()
        here.start_agent()
        self.wait_for_node(lambda node: node["state"] == "connected", "node connected")
        here.agent.process.send_signal(signal.SIGSTOP)
        try:
            node = self.wait_for_node(lambda node: node["state"] == "silent", "node silent")
            self.assertTrue(node["is_connected"])
        finally:
            here.agent.process.send_signal(signal.SIGCONT)
        self.wait_for_node(lambda node: node["state"] == "connected", "node connected again")
        here.stop_agent()
        self.wait_for_node(lambda node: node["state"] == "away", "node away")
        self.wait_for_node(lambda node: node["state"] == "silent", "node silent for good")

    def test_two_agents_of_one_identity_are_a_finding(self):
        here = self.here
        self.start_collector_with_quick_heartbeats()
        here.start_agent()
        (report,) = self.start("sleep", "600").reports()
        run_of(here, report, verdict="unknown")
        # A copy of the node's certificate on another machine: its own state, the same name.
        copy = here.write("copy.yaml", {
            "cluster": "test", "node": deployment.NODE,
            "collector": {"address": f"127.0.0.1:{here.port}"}, "tls": here.tls("agent-tls"),
            "state_dir": str(here.folder / "copy"), "http": {"address": ""}, "local": {"socket": ""}})
        second = Daemon([deployment.BIN / "assay-agent", "run", "--config", copy], here.folder / "copy.log")
        self.addCleanup(second.stop)
        finding = here.wait(lambda: next(iter(here.findings("--kind", "identity-conflict")), None),
                            "finding identity-conflict")
        self.assertEqual(finding["node"], deployment.NODE)
        self.assertIn("speaks for node", second.tail())
        (later,) = self.start("sleep", "600").reports()
        run_of(here, later, verdict="unknown")  # by the first one, which goes on
        self.assertEqual(len(here.runs()), 2)


if __name__ == "__main__":
    deployment.main()
