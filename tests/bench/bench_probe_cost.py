# SPDX-License-Identifier: Apache-2.0
"""What the probe's programs cost: BPF time for each exec and fork, on the host and in a container.

Counts with the kernel's own statistics (kernel.bpf_stats_enabled), which cost some 20 ns a run
themselves. Prints rows for docs/performance.md.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import support
import images
from by_hand import Started, unpack
from deployment import BIN
from runtimes import Daemon, wait_until

HOST_EXECS = 5000
CONTAINER_EXECS = 1000  # within the budget of a few seconds: most of them are sent
STARTS = 200
STATISTICS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
PROGRAMS = ("on_sched_exec", "on_sched_fork", "on_sched_exit")


def totals():
    """{program: (runs, nanoseconds)}"""
    out = subprocess.run(["bpftool", "--json", "prog", "show"], check=True, capture_output=True).stdout
    return {prog["name"]: (prog.get("run_cnt", 0), prog.get("run_time_ns", 0))
            for prog in json.loads(out) if prog.get("name") in PROGRAMS}


def cost_of(work):
    """{program: (runs, ns per run)} while `work` went on."""
    before = totals()
    work()
    after = totals()
    return {name: (after[name][0] - before[name][0],
                   (after[name][1] - before[name][1]) / max(after[name][0] - before[name][0], 1))
            for name in PROGRAMS}


def loop(count, program):
    return f"i=0; while [ $i -lt {count} ]; do {program}; i=$((i+1)); done"


def report(what, cost, names=PROGRAMS):
    for name in names:
        runs, ns = cost[name]
        support.row(f"BPF time, {name.removeprefix('on_sched_')}, {what} ({runs} runs)", f"{ns / 1000:.2f} µs")


def main():
    if reason := support.e2e.missing_need():
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        folder = pathlib.Path(name)
        layers = [unpack(images.busybox_layer(folder / f"{number}.tar", str(number)), folder / str(number))
                  for number in range(3)]
        config = folder / "agent.yaml"
        config.write_text(json.dumps({"state_dir": str(folder / "state"), "http": {"address": ""},
                                      "local": {"socket": ""}}))
        agent = Daemon([BIN / "assay-agent", "run", "--config", config], folder / "log")
        STATISTICS.write_text("1")
        try:
            agent.wait_for(lambda: "assay-agent is running" in agent.tail(), "agent")
            wait_until(lambda: len(totals()) == len(PROGRAMS), "the probe's programs")
            report("of the host", cost_of(lambda: subprocess.run(
                ["/bin/sh", "-c", loop(HOST_EXECS, "/bin/true")], check=True)))
            in_container = Started(layers, "sh", "-c", loop(CONTAINER_EXECS, "/bin/busybox true; sleep 0.005"))
            report("in a container", cost_of(in_container.wait))
            starts = Started(layers, "true", count=STARTS, rate_hz=50)
            report("of a container's start, 3 layers", cost_of(starts.wait), PROGRAMS[:1])
        finally:
            STATISTICS.write_text("0")
            agent.stop()


main()
