# SPDX-License-Identifier: Apache-2.0
"""A collector under the load of many simulated agents (assay_load), and what it costs then."""
import json
import sqlite3
import subprocess
import urllib.request

from deployment import BIN

LOAD = BIN.parent / "tests" / "assay_load"
# What one collector is planned for: 5,000 agents with 500 container starts a second, three events each.
PLANNED_EVENTS_PER_S = 1500


def status_kib(pid, field):
    """A field of /proc/PID/status in KiB: VmHWM is the peak of the resident memory."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ":"))


def metric(here, name):
    """The value of one of the collector's metrics without labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{here.collector_http}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def set_limits(here, **limits):
    """Writes limits.* into the collector's configuration."""
    path = here.folder / "collector.yaml"
    tree = json.loads(path.read_text())
    tree["limits"] = {**tree.get("limits", {}), **limits}
    path.write_text(json.dumps(tree))


def put_load_on(here, agents, events_per_s, seconds, drain_s=600):
    """Runs assay_load to its end: its report, with the collector's peak and its count of refusals."""
    done = subprocess.run(
        [LOAD, "--collector", f"127.0.0.1:{here.port}", "--authority", here.folder / "collector",
         "--scratch", here.folder / "load", "--agents", str(agents), "--rate", str(events_per_s),
         "--seconds", str(seconds), "--drain-seconds", str(drain_s)],
        capture_output=True, text=True, timeout=seconds + drain_s + 120, check=False)
    if not done.stdout.strip():
        raise AssertionError(f"assay_load: exit code {done.returncode}\n{done.stderr}")
    report = json.loads(done.stdout)
    report["peak_mib"] = status_kib(here.collector.process.pid, "VmHWM") / 1024
    report["refused"] = metric(here, "assay_collector_refused_messages_total")
    return report


def count_rows(here, sql):
    with sqlite3.connect(f"file:{here.store}?mode=ro", uri=True) as store:
        return store.execute(sql).fetchone()[0]
