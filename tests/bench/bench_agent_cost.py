# SPDX-License-Identifier: Apache-2.0
"""What the agent costs: memory, CPU when nothing happens, CPU for each of 100 container starts.

Prints rows for docs/performance.md.
"""
import time

import support
import images
from by_hand import Started, run_of, unpack

IDLE_S = 60
STARTS = 100


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def main():
    with support.deployment() as here:
        layer = unpack(images.debian_base(), here.folder / "layers/debian")
        here.assay("base", "approve", "debian:12", "--from", layer)
        warm = Started([layer], "true")
        run_of(here, warm.reports()[0], ended=True, verdict="approved")
        warm.wait()
        pid = here.agent.process.pid
        before = support.cpu_s(pid)
        time.sleep(IDLE_S)
        support.row(f"agent, CPU over {IDLE_S} s without a start",
                  f"{(support.cpu_s(pid) - before) / IDLE_S * 100:.2f} %")
        before, begin = support.cpu_s(pid), time.monotonic()
        started = Started([layer], "true", count=STARTS, rate_hz=50)
        reports = started.reports()
        started.wait()
        run_of(here, reports[-1], ended=True, verdict="approved")
        used, took = support.cpu_s(pid) - before, time.monotonic() - begin
        support.row(f"agent, CPU for each of {STARTS} starts at 50/s, layers known",
                  f"{used / STARTS * 1000:.2f} ms ({used / took * 100:.1f} % of one core meanwhile)")
        support.row("agent, resident memory after that", f"{rss_mib(pid):.1f} MiB")
        support.row("collector, resident memory after that", f"{rss_mib(here.collector.process.pid):.1f} MiB")


main()
