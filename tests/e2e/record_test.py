# SPDX-License-Identifier: Apache-2.0
"""record beside a running agent, and replay by anybody."""
import datetime
import json
import os
import signal
import subprocess
import unittest

import deployment
import images
import runtimes
from by_hand import Started, run_of, unpack

NOBODY = 65534


def time_of(text):
    return datetime.datetime.fromisoformat(text)


class RecordTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.agent_settings["exec"] = {"level": "all"}
        tar = images.busybox_layer(cls.here.folder / "known.layer", "known")
        cls.layer = unpack(tar, cls.here.folder / "layers/known")
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "known:1", "--from", cls.layer)
        cls.here.wait(lambda: cls.here.query("nodes")["nodes"][0]["catalog_sequence"] == 1, "catalog")
        cls.config = cls.here.folder / "agent.yaml"

    def record(self, name, *flags):
        """A recorder that runs, and its file."""
        file = self.here.folder / name
        recorder = runtimes.Daemon([deployment.BIN / "assay-agent", "record", file, "--config", self.config,
                                    *flags], self.here.folder / f"{name}.log")
        self.addCleanup(recorder.stop)
        recorder.wait_for(lambda: "recording to" in recorder.tail(), "recorder")
        return recorder, file

    def run_containers(self, *words, count=1):
        started = Started([self.layer], *words, count=count)
        reports = started.reports()
        self.assertEqual(started.wait(), 0)
        return reports

    def replay(self, file, *flags):
        return json.loads(self.here.program("assay-agent", "replay", file, *flags)[0])

    def recorded(self, file, pids):
        return [run for run in self.replay(file)["runs"] if run["process"]["pid"] in pids]

    def test_a_recording_shows_what_the_agent_saw(self):
        recorder, file = self.record("both")
        reports = self.run_containers("sh", "-c", "/bin/busybox true; /bin/sleep 0.1", count=3)
        pids = [pid for pid, _ in reports]
        runtimes.wait_until(lambda: sum(bool(run["ended_at"]) and run["verdict"]["status"] == "approved"
                                        for run in self.recorded(file, pids)) == 3, "three runs in it")
        self.assertEqual(recorder.stop(), 0)
        self.assertRegex(recorder.tail(), r"recorded \d+ starts, \d+ bytes \(signal 15\)")
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        document = self.replay(file, "--events")
        self.assertEqual(document["recording"]["end_reason"], f"signal {int(signal.SIGTERM)}")
        self.assertEqual(document["recording"]["unanswered"], 0)
        self.assertGreaterEqual(len(document["events"]), 6)
        for report, run in zip(reports, self.recorded(file, pids)):
            seen = run_of(self.here, report, ended=True, verdict="approved")
            for field in ("run_id", "kind", "is_late", "executable"):
                self.assertEqual(run[field], seen[field], field)
            for field in ("started_at", "ended_at"):  # two probes saw it, one right after the other
                self.assertLess(abs(time_of(run[field]) - time_of(seen[field])), datetime.timedelta(seconds=1))
            self.assertEqual(run["verdict"]["base"], seen["base"])
            self.assertEqual([exec["executable"] for exec in run["execs"]], ["/bin/sh", "/bin/busybox", "/bin/sleep"])

    def test_arguments_that_are_switched_off_are_not_in_the_file(self):
        recorder, file = self.record("quiet", "--exec-arguments=false")
        (report,) = self.run_containers("sh", "-c", "/bin/busybox true verysecret; exit 0")
        runtimes.wait_until(lambda: self.recorded(file, [report[0]]), "the run in it")
        recorder.stop()
        self.assertNotIn(b"verysecret", file.read_bytes())
        (run,) = self.recorded(file, [report[0]])
        self.assertEqual((run["arguments"], run["arguments_truncated"]), ([], True))

    def test_it_stops_by_itself(self):
        _, said = self.here.program("assay-agent", "record", self.here.folder / "brief", "--config", self.config,
                                    "--duration", "500ms")
        self.assertIn("the time is over", said)
        _, said = self.here.program("assay-agent", "record", self.here.folder / "small", "--config", self.config,
                                    "--max-bytes", "1KiB")
        self.assertIn("the file is full", said)
        self.assertLess((self.here.folder / "small").stat().st_size, 2048)

    def test_anybody_can_replay(self):
        copy = self.here.folder / "copy.rec"
        copy.write_bytes((deployment.BIN.parent.parent.parent /
                          "tests/golden/recordings/docker.rec").read_bytes())
        copy.chmod(0o644)
        self.here.folder.chmod(0o755)
        done = subprocess.run([deployment.BIN / "assay-agent", "replay", copy], capture_output=True, check=True,
                              user=NOBODY, group=NOBODY, extra_groups=[], timeout=60)
        self.assertEqual(len(json.loads(done.stdout)["runs"]), 4)

    def test_bad_calls_say_what_is_wrong(self):
        there = self.here.folder / "there"
        there.write_text("precious")
        _, said = self.here.program("assay-agent", "record", there, "--config", self.config, code=2)
        self.assertIn("is there already", said)
        self.assertEqual(there.read_text(), "precious")
        _, said = self.here.program("assay-agent", "replay", there, code=6)
        self.assertIn("no recording", said)
        _, said = self.here.program("assay-agent", "replay", self.here.folder / "absent", code=7)
        self.assertIn("No such file", said)
        _, said = self.here.program("assay-agent", "record", self.here.folder / "x", "--config", self.config,
                                    "--duration", "soon", code=2)
        self.assertIn("soon", said)
        self.assertFalse((self.here.folder / "x").exists())


if __name__ == "__main__":
    deployment.main()
