# SPDX-License-Identifier: Apache-2.0
"""What the file set of an unknown stack costs its node: memory of the agent and time.

The real agent behind a made-up start (tests/support/load_agent.cpp) on real files: a Debian base that is
approved, so that no file set is wanted; the same one unknown; and both with 60,000 files more.
Prints rows for docs/performance.md.
"""
import pathlib
import re
import tempfile
import time

import support
import images
from by_hand import unpack
from ledger import MadeUp

FOREIGN_FILES = 60_000


def high_water_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def has_answer(here):
    """The run's containment once it is told, or a run that needs none."""
    runs = here.runs()
    if not runs or runs[0]["verdict"]["status"] == "pending":
        return None
    told = here.query("trace", runs[0]["run_id"])["containment"]
    if told is None:
        return runs[0]["verdict"]["status"] == "approved"
    return told["gap"] == "" and not told["is_awaited"] and told


def measure(what, layer, approved):
    with support.deployment(starts_agent=False) as here:
        here.assay("base", "approve", "base:1", "--from", approved)
        here.start_agent(made_up=MadeUp(layer, count=1, rate_hz=1, life_ms=600_000))
        begin = time.monotonic()
        told = here.wait(lambda: has_answer(here), "the answer about its files")
        took = time.monotonic() - begin
        files = f", {told['files']:,} files" if told is not True else ""
        support.row(what + files, f"{high_water_mib(here.agent.process.pid):.1f} MiB at most, "
                                  f"known after {took:.1f} s")


def main():
    with tempfile.TemporaryDirectory(prefix="assay-file-sets-") as work:
        folder = pathlib.Path(work)
        archive = images.debian_base()
        debian = unpack(archive, folder / "debian")
        small = unpack(images.busybox_layer(folder / "small.layer", "small"), folder / "small")
        measure("agent, a base that layers tell: no file set", debian, debian)
        measure("agent, the same files unknown", debian, small)
        for number in range(FOREIGN_FILES):
            file = debian / f"srv/{number % 100}/{number}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(number), encoding="utf-8")
        measure("agent, a base with 60,000 files more, told by its layers", debian, debian)
        measure("agent, these unknown", debian, small)


main()
