# SPDX-License-Identifier: Apache-2.0
"""From a container's exec to its finding at the collector, when the layers are known.

Containers of an unknown base start by hand, 20 a second (assay-starter prints the time right before
each exec). A read-only connection to the collector's store looks for new findings; a finding is
readable when that connection sees it. Prints rows for docs/performance.md.
"""
import sqlite3
import statistics
import sys
import threading
import time

import support
import images
from by_hand import Started, run_of, unpack

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 400
RATE_HZ = 20
POLL_S = 0.0005


class Watcher(threading.Thread):
    """Notes when the finding on each pid becomes readable, until it is told to stop."""

    def __init__(self, store):
        super().__init__()
        self.store, self.seen_ns, self.stop = store, {}, threading.Event()

    def run(self):
        database = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)
        last = database.execute("SELECT coalesce(max(finding_key), 0) FROM findings").fetchone()[0]
        while not self.stop.wait(POLL_S):
            rows = database.execute(
                "SELECT finding_key, pid FROM findings JOIN runs USING (run_key) "
                "WHERE finding_key > ? AND findings.kind = 'unknown-base'", (last,)).fetchall()
            now = time.time_ns()
            for key, pid in rows:
                last = max(last, key)
                self.seen_ns.setdefault(pid, now)
        database.close()


def measure(here, layer):
    """Milliseconds from exec to finding of each start, sorted."""
    watcher = Watcher(here.store)
    watcher.start()
    try:
        started = Started([layer], "true", count=COUNT, rate_hz=RATE_HZ)
        reports = started.reports()
        started.wait()
        here.wait(lambda: all(pid in watcher.seen_ns for pid, _ in reports), "a finding on each start")
    finally:
        watcher.stop.set()
        watcher.join()
    return sorted((watcher.seen_ns[pid] - exec_ns) / 1e6 for pid, exec_ns in reports)


def main():
    with support.deployment() as here:
        layer = unpack(images.busybox_layer(here.folder / "unknown.layer", "unknown"),
                       here.folder / "layers/unknown")
        warm = Started([layer], "true")
        run_of(here, warm.reports()[0], ended=True, verdict="unknown")
        warm.wait()
        spans = measure(here, layer)
        cuts = statistics.quantiles(spans, n=100)
        support.row(f"start → finding readable, {COUNT} starts at {RATE_HZ}/s, layers known",
                    f"p50 {statistics.median(spans):.2f} ms, p99 {cuts[98]:.2f} ms, "
                    f"max {spans[-1]:.2f} ms")


main()
