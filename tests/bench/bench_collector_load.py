# SPDX-License-Identifier: Apache-2.0
"""What a collector costs at what it is planned for, and at ten times that for a minute.

Prints rows for docs/performance.md.
"""
import support
import load

AGENTS = 200
SECONDS = 60


def measure(times):
    here = support.e2e.Deployment()
    try:
        here.start_collector()
        pid = here.collector.process.pid
        before = support.cpu_s(pid)
        report = load.put_load_on(here, AGENTS, times * load.PLANNED_EVENTS_PER_S, SECONDS)
        took_s = SECONDS + report["drained_ms"] / 1000
        what = f"collector, {AGENTS} agents, {times * load.PLANNED_EVENTS_PER_S:,} events/s for {SECONDS} s"
        support.row(f"{what}: peak of resident memory (limits.memory 1GiB)", f"{report['peak_mib']:.0f} MiB")
        support.row(f"{what}: committed, acknowledged",
                    f"{report['acknowledged'] / took_s:,.0f} events/s, all {report['made']:,}; the last "
                    f"{report['drained_ms'] / 1000:.1f} s after the end")
        support.row(f"{what}: streams refused with a retry delay", f"{report['refused']:.0f}")
        support.row(f"{what}: CPU", f"{(support.cpu_s(pid) - before) / took_s * 100:.0f} % of one core")
    finally:
        here.close()


measure(1)
measure(10)
