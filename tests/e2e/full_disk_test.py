# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, on either side: nothing committed is lost, it is said, and it ends by itself."""
import signal
import unittest

import deployment
import images
from by_hand import unpack
from ledger import MadeUp, Store, differences
from small_disk import SmallDisk


class FullDiskTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")

    def small_disk(self, name, size_mib):
        disk = SmallDisk(self.here.folder / name, size_mib)
        self.addCleanup(disk.close)
        return disk

    def figures(self):
        return self.here.metrics(self.here.agent_http)

    def wait_for_starts(self, count):
        self.here.agent.wait_for(lambda: self.figures()["assay_agent_starts_total"]
                                 + self.figures()["assay_agent_starts_total"] >= count, f"{count} starts")

    def check(self, made_up):
        self.here.wait_until_delivered()
        self.here.stop_agent()
        self.here.stop_collector()
        store = Store(self.here.store)
        self.addCleanup(store.close)
        starts = list(made_up.starts())
        self.assertEqual(differences(starts, store, known_layers=True)[:20], [])
        return len(starts) - len(store.runs()), store

    def test_the_agents_disk(self):
        here = self.here
        here.start_collector()
        here.assay("base", "approve", "known:1", "--from", self.layer)
        disk = self.small_disk("agent", 24)
        made_up = MadeUp(self.layer, count=30_000, rate_hz=1500, life_ms=50)
        here.start_agent(made_up=made_up)
        self.wait_for_starts(200)
        disk.fill()
        here.agent.wait_for(lambda: "outbox" in deployment.is_ready(here.agent_http), "not ready: outbox")
        here.agent.wait_for(lambda: "the outbox takes no writes" in here.agent.log.read_text(), "log line")
        self.wait_for_starts(30_000)  # what no disk takes waits in memory, or is dropped there
        disk.free()
        here.agent.wait_for(lambda: not deployment.is_ready(here.agent_http), "ready again by itself")
        self.assertIn("the outbox takes writes again", here.agent.log.read_text())
        # Ends that were lost, too, are found out by telling what runs.
        here.wait(lambda: not here.runs(), "no run is open")
        missing, store = self.check(made_up)
        print(f"{missing} of 30000 runs were dropped, {store.lost_in_gaps()} events told as lost", flush=True)
        self.assertGreater(missing, 0)
        self.assertGreaterEqual(store.lost_in_gaps(), missing)

    def test_the_agents_disk_while_it_is_killed(self):
        here = self.here
        here.start_collector()
        here.assay("base", "approve", "known:1", "--from", self.layer)
        disk = self.small_disk("agent", 16)
        made_up = MadeUp(self.layer, count=2_000, rate_hz=400, life_ms=50)
        here.start_agent(made_up=made_up)
        self.wait_for_starts(100)
        disk.fill()
        here.agent.wait_for(lambda: "outbox" in deployment.is_ready(here.agent_http), "not ready: outbox")
        self.wait_for_starts(1_000)
        here.stop_agent(signal.SIGKILL)
        disk.free()
        here.start_agent(made_up=made_up)
        self.wait_for_starts(1)
        self.check(made_up)

    def test_the_collectors_disk(self):
        here = self.here
        disk = self.small_disk("store", 64)  # room for all of it once it is free again
        config = here.folder / "collector.yaml"
        tree = deployment.json.loads(config.read_text())
        tree["store"] = {"path": str(disk.folder / "collector.db")}
        config.write_text(deployment.json.dumps(tree))
        here.start_collector()
        here.assay("base", "approve", "known:1", "--from", self.layer)
        made_up = MadeUp(self.layer, count=3_000, rate_hz=300, life_ms=50)
        here.start_agent(made_up=made_up)
        here.wait(lambda: len(here.runs("--all")) > 0, "runs arrive")
        disk.fill()
        here.collector.wait_for(lambda: "the store does not take writes" in
                                deployment.is_ready(here.collector_http), "not ready: store")
        self.wait_for_starts(3_000)
        self.assertIn("nothing could be committed", here.collector.log.read_text())
        here.runs()  # questions are answered meanwhile
        disk.free()
        here.collector.wait_for(lambda: not deployment.is_ready(here.collector_http), "ready again by itself")
        here.wait_until_delivered(deadline_s=600)  # an agent waits up to a minute before each try
        here.stop_agent()
        here.stop_collector()
        store = Store(disk.folder / "collector.db")
        self.addCleanup(store.close)
        self.assertEqual(differences(made_up.starts(), store, known_layers=True)[:20], [])
        self.assertEqual(len(store.runs()), 3_000)

    def test_a_catalog_that_comes_while_the_disk_is_full_is_used_when_there_is_room(self):
        here = self.here
        disk = self.small_disk("agent", 16)
        here.start_collector()
        here.start_agent(made_up=MadeUp(self.layer, count=1, rate_hz=1, life_ms=50))
        disk.fill()
        here.assay("base", "approve", "known:1", "--from", self.layer)
        here.agent.wait_for(lambda: "could not be stored" in here.agent.log.read_text(), "refused for now")
        self.assertEqual(self.figures()["assay_agent_catalog_sequence"], 0)
        disk.free()
        here.agent.wait_for(lambda: self.figures()["assay_agent_catalog_sequence"] == 1, "used by itself")


if __name__ == "__main__":
    deployment.main()
