# SPDX-License-Identifier: Apache-2.0
"""What starts while the agent is stopped, killed or away: found, or a gap with its times and number.

bpffs is mounted in a mount namespace of this test's own, so that no pin outlives it.
"""
import ctypes
import datetime
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import deployment
import images
from by_hand import Started, run_of, unpack

CLONE_NEWNS = 0x00020000
MS_PRIVATE, MS_REC = 1 << 18, 1 << 14
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def mount_own_bpffs(folder):
    """A bpffs that is gone with this process and its children."""
    folder.mkdir()
    check(libc.unshare(CLONE_NEWNS), "unshare")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "make mounts private")
    check(libc.mount(b"bpf", os.fsencode(folder), b"bpf", 0, b"mode=0700"), "mount bpffs")


def time_of(text):
    return datetime.datetime.fromisoformat(text)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class AbsenceTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        tar = images.busybox_layer(self.here.folder / "known.layer", "known")
        self.layer = unpack(tar, self.here.folder / "layers/known")
        self.pins = bpffs / self.id().rpartition(".")[2]
        self.here.start_collector()
        self.here.assay("base", "approve", "known:1", "--from", self.layer)

    def start_agent(self, **probe):
        self.here.agent_settings = {"probe": {"pin_dir": str(self.pins), **probe}}
        self.here.start_agent()

    def start(self, *words, **options):
        started = Started([self.layer], *words, **options)
        self.addCleanup(started.stop)
        return started

    def run_short(self, count):
        """Containers that ended: their reports."""
        started = self.start("true", count=count, rate_hz=200)
        reports = started.reports()
        self.assertEqual(started.wait(), 0)
        return reports

    def kill_agent(self):
        self.here.stop_agent(signal.SIGKILL)

    def gaps(self):
        return self.here.findings("--all", "--kind", "evidence-gap")

    def runs_by_pid(self):
        return {run["process"]["pid"]: run for run in self.here.runs("--all")}

    def gap_after(self, reports):
        """The one gap, once what was told and what it says is missing add up to all containers."""
        def look():
            told = sum(pid in self.runs_by_pid() for pid, _ in reports)
            gaps = self.gaps()
            lost = sum(int(number) for gap in gaps
                       for number in re.findall(r"\((\d+) records lost\)", gap["reason"]))
            return gaps and told + lost == len(reports) and gaps
        gaps = self.here.wait(look, "runs and lost records that add up")
        self.assertEqual(len(gaps), 1, gaps)
        return gaps[0]

    def check_times(self, gap, begun, back):
        """From a time at which all was well, shortly before, until after the first sweep."""
        times = re.search(r"from (\S+) to (\S+): ", gap["reason"])
        first, last = time_of(times[1]), time_of(times[2])
        self.assertLessEqual(first, begun)
        self.assertGreater(first, begun - datetime.timedelta(seconds=30))
        self.assertGreaterEqual(last, back)
        self.assertLess(last, now())

    def test_a_killed_agent_that_comes_back_has_missed_nothing(self):
        self.start_agent()
        before = self.start("sleep", "600")
        (old,) = before.reports()
        old_run = run_of(self.here, old, verdict="approved")
        self.kill_agent()
        short = self.run_short(20)
        running = self.start("sleep", "600")
        (new,) = running.reports()
        before.stop()
        begin = time.monotonic()
        self.start_agent()
        found = run_of(self.here, new, verdict="approved")
        self.assertLess(time.monotonic() - begin, 50)  # ten times the 5 s that are promised
        self.assertFalse(found["is_late"])
        for report in short:
            run = run_of(self.here, report, ended=True)
            self.assertFalse(run["is_late"])
            self.assertEqual(run["layers"], 1)
        self.assertEqual(run_of(self.here, old, ended=True)["run_id"], old_run["run_id"])
        self.assertEqual(self.gaps(), [])

    def test_an_absence_that_overflows_is_one_gap(self):
        self.start_agent(start_ring_bytes=65536)
        begun = now()
        self.kill_agent()
        reports = self.run_short(80)
        running = self.start("sleep", "600")
        (late,) = running.reports()
        back = now()
        self.start_agent(start_ring_bytes=65536)
        self.assertTrue(run_of(self.here, late, verdict="approved")["is_late"])
        gap = self.gap_after(reports)
        self.assertIn("runs that had ended before a sweep could find them", gap["reason"])
        self.check_times(gap, begun, back)

    def test_a_stopped_agent_that_goes_on_tells_what_it_missed(self):
        self.start_agent(start_ring_bytes=65536)
        run_of(self.here, self.run_short(1)[0], ended=True)
        begun = now()
        self.here.agent.process.send_signal(signal.SIGSTOP)
        try:
            reports = self.run_short(80)
            running = self.start("sleep", "600")
            (late,) = running.reports()
        finally:
            back = now()
            self.here.agent.process.send_signal(signal.SIGCONT)
        self.assertTrue(run_of(self.here, late, verdict="approved")["is_late"])
        self.check_times(self.gap_after(reports), begun, back)

    def test_an_upgrade_that_keeps_the_probe_has_no_gap(self):
        self.start_agent(keep_on_exit=True)
        self.here.stop_agent()
        self.assertNotEqual(list(self.pins.iterdir()), [])
        reports = self.run_short(10)
        self.start_agent(start_ring_bytes=2 << 20)  # another probe: the old one is replaced
        for report in reports:
            self.assertFalse(run_of(self.here, report, ended=True)["is_late"])
        self.assertEqual(self.gaps(), [])

    def test_a_clean_stop_leaves_no_pin_and_its_absence_is_a_gap(self):
        self.start_agent()
        run_of(self.here, self.run_short(1)[0], ended=True)
        begun = now()
        self.here.stop_agent()
        self.assertFalse(self.pins.exists())
        self.run_short(3)
        running = self.start("sleep", "600")
        (late,) = running.reports()
        back = now()
        self.start_agent()
        self.assertTrue(run_of(self.here, late, verdict="approved")["is_late"])
        gaps = self.here.wait(self.gaps, "a gap")
        self.assertEqual(len(gaps), 1)
        self.assertIn("no agent was running", gaps[0]["reason"])
        self.check_times(gaps[0], begun, back)

    def test_what_a_killed_agent_left_is_removed_by_hand(self):
        self.start_agent()
        config = self.here.folder / "agent.yaml"
        _, said = self.here.program("assay-agent", "unpin", "--config", config, code=5)
        self.assertIn("in use by another assay-agent", said)
        self.kill_agent()
        said, _ = self.here.program("assay-agent", "unpin", "--config", config)
        self.assertIn("Removed the probe", said)
        self.assertFalse(self.pins.exists())
        said, _ = self.here.program("assay-agent", "unpin", "--config", config)
        self.assertIn("Nothing is pinned", said)

    def test_a_storm_in_one_container_is_noisy_and_hides_no_other(self):
        self.start_agent(exec_budget=20)
        storm = self.start("sh", "-c", "i=0; while [ $i -lt 2000 ]; do /bin/busybox true; "
                           "i=$((i+1)); done; exec sleep 600")
        (report,) = storm.reports()
        others = self.run_short(20)
        run = run_of(self.here, report, verdict="approved")
        finding = self.here.wait_for_finding("noisy", run)
        self.assertIn("more than 20 executed programs a second", finding["reason"])
        for other in others:
            self.assertFalse(run_of(self.here, other, ended=True)["is_late"])
        storm.stop()
        finding = self.here.wait_for_finding("noisy", run, state="resolved")
        self.assertEqual(finding["resolved_reason"], "the run ended")
        self.assertEqual(self.gaps(), [])


if __name__ == "__main__":
    bpffs = pathlib.Path(f"/tmp/assay-bpffs-{os.getpid()}")
    try:
        if not deployment.missing_need():
            mount_own_bpffs(bpffs)
        deployment.main()
    finally:
        subprocess.run(["umount", "-l", bpffs], check=False, capture_output=True)
        if bpffs.exists():
            bpffs.rmdir()
