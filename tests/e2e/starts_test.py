# SPDX-License-Identifier: Apache-2.0
"""Every one of 50 starts a second is seen, each with its full stack and a verdict; ASSAY_STARTS_SECONDS: for how long."""
import os
import time
import unittest

import deployment
import images
from by_hand import Started, unpack

SECONDS = int(os.environ.get("ASSAY_STARTS_SECONDS", "5"))
RATE_HZ = 50
LAYERS = 3  # over the base
LOST = ("probe_lost", "probe_held_back", "probe_untold", "queue_dropped", "refused_runs", "late_starts",
        "outbox_dropped")


class StartsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        tar = images.busybox_layer(cls.here.folder / "base.layer", "base")
        archive = images.image_archive(cls.here.folder / "base.tar", "golden:1", [tar])
        cls.layers = [unpack(tar, cls.here.folder / "l/base")]
        for number in range(LAYERS):
            layer = images.layer(cls.here.folder / f"{number}.layer", {f"opt/{number}": str(number).encode()})
            cls.layers.insert(0, unpack(layer, cls.here.folder / f"l/{number}"))
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "golden:1", "--from", archive)

    def all_told(self, before, count):
        """The agent's figures, once so many more runs have ended and nothing waits."""
        figures = self.here.metrics(self.here.agent_http)
        has_ended = figures["assay_agent_ends_total"] - before["assay_agent_ends_total"] >= count
        waits = figures["assay_agent_layers_pending"] or figures["assay_agent_outbox_events"]
        return has_ended and not waits and figures

    def test_none_is_missed(self):
        count = SECONDS * RATE_HZ
        before = self.here.metrics(self.here.agent_http)  # whatever else runs here has been found
        began = time.monotonic()
        started = Started(self.layers, "/bin/true", count=count, rate_hz=RATE_HZ)
        pids = {pid for pid, _ in started.reports()}
        self.assertEqual(started.wait(), 0)
        took = time.monotonic() - began
        self.assertEqual(len(pids), count)
        figures = self.here.wait(lambda: self.all_told(before, count), "the end of all, told to the collector")
        more = {name: figures[f"assay_agent_{name}_total"] - before[f"assay_agent_{name}_total"]
                for name in (*LOST, "starts")}
        self.assertEqual(more, {**dict.fromkeys(LOST, 0), "starts": count})
        runs = {run["process"]["pid"]: run for run in self.here.runs("--all")}
        self.assertEqual(pids - set(runs), set())
        told = {(runs[pid]["kind"], runs[pid]["layers"], runs[pid]["verdict"]["status"], runs[pid]["base"],
                 runs[pid]["verdict"]["rung"], runs[pid]["is_late"], runs[pid]["state"]) for pid in pids}
        self.assertEqual(told, {("container", LAYERS + 1, "approved", "golden:1", "content", False, "ended")})
        print(f"{count} starts in {took:.1f} s ({count / took:.1f}/s), {count} seen")


if __name__ == "__main__":
    deployment.main()
