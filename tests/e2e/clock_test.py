# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump an hour, back or ahead, on either side: times of runs, deadlines and dates stay sane.

The wall clock is another for the tested process only: libfaketime, told by a file that the test rewrites. The clock
since boot is left alone. This machine's clock is never touched.
"""
import os
import pathlib
import sqlite3
import time
import unittest

import deployment
import images
from by_hand import unpack
from ledger import SECOND, MadeUp, Store

LIBRARY = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
HOUR = 3600


class ClockTest(unittest.TestCase):
    def setUp(self):
        if not LIBRARY.exists():
            self.skipTest("needs libfaketime")
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")
        for who in ("agent", "collector"):
            self.set_clock(who, 0)

    def set_clock(self, who, seconds):
        """From now on the wall clock of `who` is this far ahead of the machine's."""
        path = self.here.folder / f"{who}.clock"
        draft = path.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}\n")
        os.replace(draft, path)

    def environment(self, who):
        return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.here.folder / f"{who}.clock"),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1"}

    def start(self, made_up):
        self.here.start_collector(environment=self.environment("collector"))
        self.here.assay("base", "approve", "known:1", "--from", self.layer)
        self.here.start_agent(made_up=made_up, environment=self.environment("agent"))

    def wait_for_starts(self, count):
        self.here.agent.wait_for(
            lambda: self.here.metrics(self.here.agent_http)["assay_agent_starts_total"] >= count, f"{count} starts")

    def finished(self):
        self.here.wait_until_delivered()
        self.here.stop_agent()
        self.here.stop_collector()
        store = Store(self.here.store)
        self.addCleanup(store.close)
        return store

    def test_the_agents_clock_jumps_ahead(self):
        self.check_agents_clock(HOUR)

    def test_the_agents_clock_jumps_back(self):
        self.check_agents_clock(-HOUR)

    def check_agents_clock(self, jump):
        made_up = MadeUp(self.layer, count=60, rate_hz=10, life_ms=2000)
        self.start(made_up)
        self.wait_for_starts(20)
        self.set_clock("agent", jump)
        self.wait_for_starts(60)
        store = self.finished()
        runs = {run["pid"]: run for run in store.runs()}
        jumped = 0
        for start in made_up.starts():
            run = runs.pop(start.pid)
            self.assertLess(run["ended_ns"] - run["started_ns"], 30 * SECOND, run)
            self.assertGreaterEqual(run["ended_ns"], run["started_ns"], run)
            off = (run["started_ns"] - start.started_ns) / SECOND
            self.assertTrue(abs(off) < 5 or abs(off - jump) < 5, f"{off} s off: {run}")
            jumped += abs(off - jump) < 5
        self.assertEqual(runs, {})
        self.assertGreater(jumped, 0, "the clock did not jump")
        gaps = store.gaps()
        self.assertTrue(all(begin <= end for begin, end in gaps), gaps)

    def test_the_collectors_clock_jumps_ahead(self):
        self.check_collectors_clock(HOUR)

    def test_the_collectors_clock_jumps_back(self):
        self.check_collectors_clock(-HOUR)

    def check_collectors_clock(self, jump):
        # Nothing approves this base: each run is a finding, resolved by its end.
        made_up = MadeUp(self.layer, count=60, rate_hz=10, life_ms=1000)
        self.here.start_collector(environment=self.environment("collector"))
        self.here.start_agent(made_up=made_up, environment=self.environment("agent"))
        self.wait_for_starts(20)
        self.set_clock("collector", jump)
        self.wait_for_starts(60)
        store = self.finished()
        self.assertEqual(len(store.runs()), 60)
        rows = store.rows("SELECT kind, opened_ns, resolved_ns FROM findings WHERE kind <> 'evidence-gap'")
        self.assertEqual({row["kind"] for row in rows}, {"unknown-base"})  # none became `unverified` by the jump
        self.assertTrue(all(row["resolved_ns"] > 0 for row in rows))
        opened = sorted(row["opened_ns"] for row in rows)
        self.assertGreater(opened[-1] - opened[0], HOUR / 2 * SECOND, "the clock did not jump")

    def test_an_agent_set_back_approves_no_base_that_has_expired(self):
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800))
        self.here.start_collector(environment=self.environment("collector"))
        self.here.assay("base", "approve", "known:1", "--from", self.layer, "--expires", expires)
        # What a node remembers after an hour of use is written into its state by hand.
        self.here.start_agent(made_up=MadeUp(self.layer, count=1, rate_hz=1, life_ms=10))
        self.here.wait_until_delivered()
        self.here.stop_agent()
        with sqlite3.connect(self.here.folder / "agent/state.db") as database:
            database.execute("INSERT OR REPLACE INTO time_floor (id, time_ns) VALUES (1, ?)",
                             [time.time_ns() + HOUR * SECOND])
        self.here.start_agent(made_up=MadeUp(self.layer, count=5, rate_hz=10, life_ms=10),
                              environment=self.environment("agent"))
        self.wait_for_starts(5)
        self.here.wait_until_delivered()
        self.here.stop_agent()
        self.here.stop_collector()
        store = Store(self.here.store)
        self.addCleanup(store.close)
        verdicts = [row["agent_verdict"] for row in store.rows("SELECT agent_verdict FROM runs ORDER BY started_ns")]
        self.assertEqual(verdicts[-1], "expired", verdicts)


if __name__ == "__main__":
    deployment.main()
