# SPDX-License-Identifier: Apache-2.0
"""What the benches share: a deployment of release builds, and how a row is printed."""
import contextlib
import os
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("ASSAY_BIN", str(TOP / "build/release/bin"))
sys.path.insert(0, str(TOP / "tests/e2e"))

import deployment as e2e  # noqa: E402  after the path is set


def row(what, value):
    """One row of docs/performance.md."""
    print(f"| {what} | {value} |", flush=True)


def cpu_s(pid):
    """CPU seconds of a process, user and system."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def deployment(starts_agent=True):
    """A collector and an agent that are ready."""
    missing = e2e.missing_need()
    if missing:
        print(f"SKIPPED: {missing}")
        sys.exit(77)
    here = e2e.Deployment()
    try:
        here.start_collector()
        if starts_agent:
            here.start_agent()
        yield here
    finally:
        here.close()
