# SPDX-License-Identifier: Apache-2.0
"""A collector that is away for long, by volume: everything arrives when it is back, in bounded memory.

A made-up timetable (tests/support/load_agent.cpp) is hurried through the real auditor, outbox and uplink: in CI
two hours of a node that starts five containers a second, with ASSAY_AWAY_HOURS=24 a whole day.
"""
import os
import time
import unittest

import deployment
import images
from by_hand import unpack
from ledger import MadeUp, Store, differences

HOURS = float(os.environ.get("ASSAY_AWAY_HOURS", "2"))
RATE_HZ = 5
MIB = 1024
AGENT_MIB, COLLECTOR_MIB = 192, 512
DEADLINE_S = 600 + 60 * HOURS


def peak_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


class AwayTest(unittest.TestCase):
    def test_a_day_without_a_collector_arrives_whole(self):
        here = deployment.Deployment()
        self.addCleanup(here.close)
        tar = images.busybox_layer(here.folder / "known.layer", "known")
        layer = unpack(tar, here.folder / "layers/known")
        here.start_collector()
        here.assay("base", "approve", "known:1", "--from", layer)
        here.stop_collector()

        count = int(HOURS * 3600 * RATE_HZ)
        made_up = MadeUp(layer, count, RATE_HZ, life_ms=60_000, begin_in_s=-HOURS * 3600, is_hurried=True)
        begin = time.monotonic()
        here.start_agent(made_up=made_up)
        here.agent.wait_for(lambda: here.metrics(here.agent_http)["assay_agent_ends_total"] == count,
                            "all of the timetable has passed", DEADLINE_S)
        passed_s = time.monotonic() - begin
        figures = here.metrics(here.agent_http)
        self.assertEqual(figures["assay_agent_outbox_dropped_total"], 0)
        self.assertGreaterEqual(figures["assay_agent_outbox_events"], 2 * count)

        begin = time.monotonic()
        here.start_collector()
        here.wait_until_delivered(DEADLINE_S)
        peaks = peak_kib(here.agent), peak_kib(here.collector)
        print(f"{count} containers of {HOURS:g} h in {passed_s:.0f} s, {figures['assay_agent_outbox_bytes'] / 2**20:.0f}"
              f" MiB in the outbox; delivered in {time.monotonic() - begin:.0f} s; most memory: agent "
              f"{peaks[0] // MIB} MiB, collector {peaks[1] // MIB} MiB", flush=True)
        here.stop_agent()
        here.stop_collector()
        store = Store(here.store)
        self.addCleanup(store.close)
        self.assertEqual(differences(made_up.starts(), store)[:20], [])
        self.assertEqual(len(store.runs()), count)
        self.assertLess(peaks[0], AGENT_MIB * MIB)
        self.assertLess(peaks[1], COLLECTOR_MIB * MIB)


if __name__ == "__main__":
    deployment.main()
