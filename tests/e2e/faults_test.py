# SPDX-License-Identifier: Apache-2.0
"""Programs that are away, stopped or killed lose nothing and hold nothing up."""
import signal
import time
import unittest

import deployment
import images
from by_hand import Started, run_of, unpack


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        tar = images.busybox_layer(cls.here.folder / "known.layer", "known")
        cls.layer = unpack(tar, cls.here.folder / "layers/known")
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "known:1", "--from", cls.layer)

    def start(self, *words, **options):
        started = Started([self.layer], *words, **options)
        self.addCleanup(started.stop)
        return started

    def test_what_starts_while_the_collector_is_away_appears_when_it_is_back(self):
        self.here.stop_collector()
        short = self.start("true", count=5)
        reports = short.reports()
        self.assertEqual(short.wait(), 0)
        running = self.start("sleep", "600")
        (late,) = running.reports()
        self.here.start_collector()
        for report in reports:
            self.assertEqual(run_of(self.here, report, ended=True, verdict="approved")["base"], "known:1")
        run_of(self.here, late, verdict="approved")

    def test_a_collector_that_is_killed_keeps_what_it_acknowledged(self):
        started = self.start("true", count=5)
        reports = started.reports()
        before = [run_of(self.here, report, ended=True)["run_id"] for report in reports]
        self.here.stop_collector(signal.SIGKILL)
        self.here.start_collector()
        after = [run_of(self.here, report, ended=True)["run_id"] for report in reports]
        self.assertEqual(after, before)

    def test_a_stopped_agent_holds_no_container_up(self):
        self.here.agent.process.send_signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            started = self.start("true", count=20)
            reports = started.reports()
            self.assertEqual(started.wait(), 0)
            self.assertLess(time.monotonic() - begin, 10)
        finally:
            self.here.agent.process.send_signal(signal.SIGCONT)
        for report in reports:
            run = run_of(self.here, report, ended=True)
            self.assertEqual(run["layers"], 1)

    def test_a_killed_agent_finds_what_runs_and_its_old_runs_end(self):
        before = self.start("sleep", "600")
        (old,) = before.reports()
        run_of(self.here, old, verdict="approved")
        self.here.stop_agent(signal.SIGKILL)
        before.stop()
        meanwhile = self.start("sleep", "600")
        (new,) = meanwhile.reports()
        self.here.start_agent()
        self.assertTrue(run_of(self.here, new, verdict="approved")["is_late"])
        run_of(self.here, old, ended=True)


if __name__ == "__main__":
    deployment.main()
