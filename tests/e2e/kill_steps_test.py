# SPDX-License-Identifier: Apache-2.0
"""A kill right after each write, sync and open of the thread that commits, on either side.

The outbox's thread of an agent (behind a made-up timetable of containers, tests/support/load_agent.cpp)
and the commit thread of the collector are ended after their Nth file-changing system call
(tests/support/kill_at.cpp). In CI some of the steps, drawn by ASSAY_SEED; with ASSAY_ALL_STEPS=1 all.
"""
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import unittest

import deployment
import images
from by_hand import unpack
from ledger import TESTS, MadeUp, Store, differences
from runtimes import Daemon

ALL = os.environ.get("ASSAY_ALL_STEPS") == "1"
LAST_STEP = 120
DRAWN = 18


def drawn_steps():
    """The steps to try, and the seed that they were drawn by."""
    seed = int(os.environ.get("ASSAY_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    steps = range(1, LAST_STEP + 1)
    print(f"ASSAY_SEED={seed}", flush=True)
    return list(steps) if ALL else sorted(random.Random(seed).sample(steps, DRAWN))


class KillStepsTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")
        self.timetables = []
        self.here.start_collector()
        self.here.assay("base", "approve", "known:1", "--from", self.layer)
        self.here.stop_collector()

    def timetable(self, is_first=False):
        """`is_first`: no agent has watched before, and one may begin late on a busy machine."""
        watched = self.here.folder / f"watched-{MadeUp.next_pid}" if is_first else None
        made_up = MadeUp(self.layer, count=15, rate_hz=60, life_ms=60, begin_in_s=0.1, watched=watched)
        self.timetables.append(made_up)
        return made_up

    def killed(self, thread, step, command):
        """Runs `command` under kill_at until it was killed at that step; or ends it when it makes fewer."""
        log = self.here.folder / f"kill_at-{step}.log"
        daemon = Daemon([TESTS / "kill_at", thread, step, *command], log)
        self.addCleanup(lambda: daemon.is_alive() and daemon.stop(signal.SIGTERM))
        return daemon, log

    def wait_for_kill(self, daemon, log):
        """Whether it was killed; a program that makes fewer steps is ended."""
        try:
            daemon.process.wait(4)
        except deployment.subprocess.TimeoutExpired:
            daemon.stop(signal.SIGTERM)
        self.assertEqual(daemon.process.returncode, 0, daemon.tail())
        return re.search(r"killed in system call", log.read_text(errors="replace")) is not None

    def has_outbox(self):
        """Whether an outbox was made to the point of having its epoch: nobody watched before."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.here.folder}/agent/outbox.db?mode=ro",
                                                    uri=True)) as database:
                return database.execute("SELECT count(*) FROM meta WHERE key = 'epoch'").fetchone()[0] == 1
        except sqlite3.OperationalError:
            return False

    def check(self, killed, steps):
        self.here.stop_agent()
        self.here.stop_collector()
        store = Store(self.here.store)
        self.addCleanup(store.close)
        starts = [start for made_up in self.timetables for start in made_up.starts()]
        wrong = differences(starts, store, known_layers=True)
        print(f"{killed} kills in {len(steps)} tries: {len(starts)} started, {len(store.runs())} runs, "
              f"{len(store.gaps())} gaps", flush=True)
        self.assertEqual(wrong, [])
        self.assertGreater(killed, len(steps) / 2)

    def test_the_outbox(self):
        steps = drawn_steps()
        killed = 0
        self.here.start_collector()
        for step in steps:
            if step % 3 == 0:  # also the steps that make the files
                shutil.rmtree(self.here.folder / "agent", ignore_errors=True)
            made_up = self.timetable(is_first=not self.has_outbox())
            command = made_up.command(self.here.agent_config())
            daemon, log = self.killed("assay-outbox" if step % 2 else "load_agent", step, command)
            killed += self.wait_for_kill(daemon, log)
            if not self.has_outbox():
                self.timetables.remove(made_up)  # nobody watched yet
                made_up = self.timetable(is_first=True)
            self.here.start_agent(made_up=made_up)
            made_up.wait_until_over()  # nothing is outstanding before it began, either
            self.here.wait_until_delivered()
            self.here.stop_agent()
        self.check(killed, steps)

    def test_the_commits(self):
        steps = drawn_steps()
        killed = 0
        for step in steps:
            made_up = self.timetable(is_first=not self.has_outbox())
            self.here.start_agent(made_up=made_up)
            daemon, log = self.killed("commit", step, [
                deployment.BIN / "assay-collector", "run", "--config", self.here.folder / "collector.yaml"])
            killed += self.wait_for_kill(daemon, log)
            self.here.start_collector()
            made_up.wait_until_over()
            self.here.wait_until_delivered()
            self.here.stop_agent()
            self.here.stop_collector()
        self.check(killed, steps)


if __name__ == "__main__":
    deployment.main()
