# SPDX-License-Identifier: Apache-2.0
"""SIGTERM ends both programs within a few seconds, whatever they are doing; what they knew is kept."""
import os
import signal
import time
import unittest

import deployment
import images
from by_hand import unpack
from ledger import MadeUp, Store, differences
from small_disk import SmallDisk

FEW_SECONDS = 8  # what they need is 1 to 3; a busy machine takes longer


class ShutdownTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")

    def ends_cleanly(self, daemon):
        begin = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        code = daemon.process.wait(60)
        took = time.monotonic() - begin
        print(f"{daemon.log.stem}: {took:.1f} s", flush=True)
        self.assertEqual(code, 0, daemon.tail())
        self.assertLess(took, FEW_SECONDS, daemon.tail())

    def start_agent(self, count=10_000, rate_hz=500, wait_for=100, **options):
        made_up = MadeUp(self.layer, count=count, rate_hz=rate_hz, life_ms=50)
        self.here.start_agent(made_up=made_up, **options)
        self.here.agent.wait_for(
            lambda: self.here.metrics(self.here.agent_http)["assay_agent_starts_total"] >= wait_for, "starts")
        return made_up

    def test_under_load_everything_handled_is_kept(self):
        here = self.here
        here.start_collector()
        here.assay("base", "approve", "known:1", "--from", self.layer)
        made_up = self.start_agent(count=2_000, rate_hz=1000)
        self.ends_cleanly(here.agent)
        self.ends_cleanly(here.collector)
        here.start_collector()
        here.start_agent(made_up=made_up)
        here.wait(lambda: here.metrics(here.agent_http)["assay_agent_outbox_events"] == 0, "delivered")
        time_left = here.metrics(here.agent_http)
        self.assertEqual(time_left["assay_agent_outbox_dropped_total"], 0)
        here.agent.wait_for(lambda: here.metrics(here.agent_http)["assay_agent_runs"] == 0, "all ended")
        here.wait_until_delivered()
        here.stop_agent()
        here.stop_collector()
        store = Store(here.store)
        self.addCleanup(store.close)
        self.assertEqual(differences(made_up.starts(), store, known_layers=True)[:20], [])

    def test_without_a_collector(self):
        self.start_agent()
        self.ends_cleanly(self.here.agent)

    def test_with_a_collector_that_does_not_answer(self):
        self.here.start_collector()
        self.here.collector.process.send_signal(signal.SIGSTOP)
        try:
            self.start_agent()
            self.ends_cleanly(self.here.agent)
        finally:
            self.here.collector.process.send_signal(signal.SIGCONT)

    def test_with_a_full_disk(self):
        disk = SmallDisk(self.here.folder / "agent", 16)
        self.addCleanup(disk.close)
        self.start_agent()
        disk.fill()
        self.here.agent.wait_for(lambda: "outbox" in deployment.is_ready(self.here.agent_http), "not ready")
        self.ends_cleanly(self.here.agent)

    def test_while_a_big_layer_is_hashed(self):
        big = self.here.folder / "layers/big"
        big.mkdir()
        with open(big / "big", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 3 << 30)  # many seconds of hashing, in one file
        self.layer = big
        self.start_agent(count=10, rate_hz=100, wait_for=10)
        self.here.agent.wait_for(
            lambda: self.here.metrics(self.here.agent_http)["assay_agent_layers_pending"] > 0, "hashing")
        self.ends_cleanly(self.here.agent)


if __name__ == "__main__":
    deployment.main()
