# SPDX-License-Identifier: Apache-2.0
"""kill -9 of agent and collector at random moments under load: nothing lost, nothing twice.

assay-starter writes down every container that it really started; at the end the collector's runs and
findings are compared with that. ASSAY_KILLS (30) says how often, ASSAY_SEED repeats a run.
"""
import os
import random
import signal
import threading
import unittest

import deployment
import images
from by_hand import unpack
from ledger import Load, Store, differences

KILLS = int(os.environ.get("ASSAY_KILLS", "30"))
LONGEST_PAUSE_S = 4.0


class KillTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        layers = {}
        for name in ("known", "unknown"):
            tar = images.busybox_layer(self.here.folder / f"{name}.layer", name)
            layers[name] = unpack(tar, self.here.folder / "layers" / name)
        self.here.start_collector()
        self.here.assay("base", "approve", "known:1", "--from", layers["known"])
        self.here.start_agent()
        self.loads = [Load(layers["known"], "true", rate_hz=8), Load(layers["unknown"], "true", rate_hz=2),
                      Load(layers["known"], "sleep", "3", rate_hz=2),
                      Load(layers["unknown"], "sleep", "1", rate_hz=1)]
        for load in self.loads:
            self.addCleanup(load.stop)

    def kill(self, what):
        if what == "agent":
            self.here.stop_agent(signal.SIGKILL)
            self.here.start_agent(waits=False)
        else:
            self.here.stop_collector(signal.SIGKILL)
            self.here.start_collector(waits=False)

    def test_no_start_is_lost_and_none_counts_twice(self):
        seed = int(os.environ.get("ASSAY_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
        print(f"ASSAY_SEED={seed} ASSAY_KILLS={KILLS}", flush=True)
        chance, never = random.Random(seed), threading.Event()
        for _ in range(KILLS):
            never.wait(chance.uniform(0, LONGEST_PAUSE_S))  # the moment of the kill is what is random
            for what in chance.choice((["agent"], ["collector"], ["agent", "collector"])):
                self.kill(what)
        for load in self.loads:
            load.stop()
        self.here.wait(lambda: not deployment.is_ready(self.here.agent_http), "agent ready again")
        self.here.wait_until_delivered()
        self.here.stop_agent()
        self.here.stop_collector()
        store = Store(self.here.store)
        self.addCleanup(store.close)
        starts = [start for load in self.loads for start in load.starts]
        wrong = differences(starts, store, known_layers=True)
        runs, gaps = store.runs(), store.gaps()
        print(f"{len(starts)} started, {len(runs)} runs, {len(gaps)} gaps of together "
              f"{sum(end - begin for begin, end in gaps) / 10**9:.1f} s", flush=True)
        self.assertEqual(wrong, [], f"ASSAY_SEED={seed}")
        self.assertGreater(len(runs), len(starts) / 10)


if __name__ == "__main__":
    deployment.main()
