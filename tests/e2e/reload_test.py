# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: certificates, authorities and configuration change under running programs, streams go on."""
import json
import shutil
import signal
import unittest

import deployment
import images
from by_hand import unpack
from ledger import MadeUp


class ReloadTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")
        self.here.start_collector()
        self.here.assay("base", "approve", "known:1", "--from", self.layer)
        self.here.start_agent(made_up=MadeUp(self.layer, count=100_000, rate_hz=5, life_ms=500))
        self.wait_for_connects(1)

    def wait_for_connects(self, count):
        def is_connected():
            figures = self.here.metrics(self.here.agent_http)
            return figures["assay_agent_collector_connects_total"] == count \
                and figures["assay_agent_collector_connected"] == 1
        self.here.agent.wait_for(is_connected, f"connected {count} times")

    def change(self, name, **changes):
        path = self.here.folder / name
        tree = json.loads(path.read_text())
        tree.update(changes)
        path.write_text(json.dumps(tree))

    def hang_up(self, daemon, *words):
        """Sends SIGHUP and waits for log lines with these words."""
        before = len(daemon.log.read_text(errors="replace"))
        daemon.process.send_signal(signal.SIGHUP)
        for word in words:
            daemon.wait_for(lambda w=word: w in daemon.log.read_text(errors="replace")[before:], f"log: {word}")
        return daemon.log.read_text(errors="replace")[before:]

    def new_authority(self, folder):
        """Another authority, with a server's and the agent's certificates."""
        config = self.here.write(f"{folder}.yaml", {"data_dir": str(self.here.folder / folder),
                                                    "trust_file": str(self.here.folder / "operator.pub")})
        self.here.program("assay-collector", "init", "--config", config, "--cluster", "test")
        self.here.program("assay-collector", "issue", "--config", config, "--node", f"test/{deployment.NODE}",
                          "--out", self.here.folder / folder / "agent")
        return self.here.folder / folder

    def test_an_authority_is_exchanged_without_a_restart(self):
        here, old = self.here, self.here.folder / "collector"
        new = self.new_authority("second")
        both = (old / "ca.pem").read_text() + (new / "ca.pem").read_text()
        agent_tls = here.folder / "agent-tls"
        # Both roots everywhere: the agent connects anew, since what it believes is another.
        (old / "ca.pem").write_text(both)
        self.hang_up(here.collector, "reloaded")
        (agent_tls / "ca.pem").write_text(both)
        self.hang_up(here.agent, "reloaded")
        self.wait_for_connects(2)
        # New leaves. The collector's stream to the agent goes on.
        for name in ("server.pem", "server-key.pem"):
            shutil.copy(new / name, old / name)
        self.hang_up(here.collector, "reloaded")
        self.wait_for_connects(2)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(new / "agent" / name, agent_tls / name)
        self.hang_up(here.agent, "reloaded")
        self.wait_for_connects(3)
        # The new root alone.
        shutil.copy(new / "ca.pem", old / "ca.pem")
        self.hang_up(here.collector, "reloaded")
        shutil.copy(new / "ca.pem", agent_tls / "ca.pem")
        self.hang_up(here.agent, "reloaded")
        self.wait_for_connects(4)
        # Who has the old root's certificate is not let in any more.
        here.program("assay", "--config", here.folder / "cli.yaml", "ps", code=4)

    def test_files_that_do_not_fit_are_refused_and_nothing_changes(self):
        here = self.here
        other = self.new_authority("second")
        key = (here.folder / "agent-tls/key.pem").read_text()
        shutil.copy(other / "agent/key.pem", here.folder / "agent-tls/key.pem")
        self.hang_up(here.agent, "refused", "key.pem")
        (here.folder / "agent-tls/key.pem").write_text(key)
        shutil.copy(other / "server-key.pem", here.folder / "collector/server-key.pem")
        self.hang_up(here.collector, "refused", "server-key.pem")
        self.wait_for_connects(1)
        self.assertEqual(here.metrics(here.agent_http)["assay_agent_config_reload_ok"], 0)
        self.assertEqual(here.metrics(here.collector_http)["assay_collector_config_reload_ok"], 0)
        here.runs()  # the old certificate serves

    def test_a_bad_configuration_is_refused_as_a_whole(self):
        here = self.here
        self.change("agent.yaml", log={"level": "debug"}, exec={"level": "loud"}, bogus=1)
        said = self.hang_up(here.agent, "refused", "exec.level", "bogus")
        self.assertNotIn("reloaded", said)
        self.change("collector.yaml", heartbeat_interval="1s", limits={"streams": 0})
        said = self.hang_up(here.collector, "refused", "limits.streams")
        self.assertNotIn("reloaded", said)
        self.wait_for_connects(1)

    def test_live_keys_are_taken_over_and_others_are_named(self):
        here = self.here
        self.change("agent.yaml", log={"level": "info", "format": "json"}, cluster="elsewhere",
                    outbox={"max_bytes": "2MiB"}, probe={"sweep_interval": "5s"})
        said = self.hang_up(here.agent, "restart to apply", "log.format", "outbox.max_bytes")
        self.assertIn('"key":"cluster"', said)
        self.change("collector.yaml", log={"level": "warn"}, limits={"streams": 7})
        said = self.hang_up(here.collector, "restart to apply")
        self.assertIn("limits.streams", said)
        self.assertNotIn("reloaded", said)  # below the new level
        self.wait_for_connects(1)
        self.assertEqual(here.metrics(here.agent_http)["assay_agent_config_reload_ok"], 1)

    def test_another_trust_file_is_used_at_once(self):
        here = self.here
        here.program("assay", "key", "new", "--out", here.folder / "stranger")
        def holds(sequence):
            here.agent.wait_for(lambda: here.metrics(here.agent_http)["assay_agent_catalog_sequence"] == sequence,
                                f"catalog {sequence}")
        holds(1)
        self.change("agent.yaml", trust_file=str(here.folder / "stranger.pub"))
        self.hang_up(here.agent, "reloaded", "trust_file")
        holds(0)
        self.change("agent.yaml", trust_file=str(here.folder / "operator.pub"))
        self.hang_up(here.agent, "reloaded")
        holds(1)
        self.change("collector.yaml", trust_file=str(here.folder / "stranger.pub"))
        self.hang_up(here.collector, "refused", "does not verify against the new trust file")


if __name__ == "__main__":
    deployment.main()
