# SPDX-License-Identifier: Apache-2.0
"""Containers by hand (assay-starter), for tests that are not about a runtime."""
import os
import pathlib
import subprocess

from deployment import BIN
from runtimes import command


def unpack(archive, folder):
    """A layer tar as a directory that overlayfs can stack; the directory."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    command("tar", "-C", folder, "--numeric-owner", "-xpf", archive)
    return folder


def join_cgroups_of(pid):
    """Puts this process into all cgroups of another one."""
    mounts = {}  # {"" (version 2) or a controller: where its hierarchy is mounted}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split()
            if kind in ("cgroup", "cgroup2"):
                names = options.split(",") if kind == "cgroup" else [""]
                mounts.update({name: fields.split()[4] for name in names})
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                pathlib.Path(f"{mounts[controller]}{path}/cgroup.procs").write_text(str(os.getpid()))


class Started:
    """One run of assay-starter: one container or many of them, `layers` top first; `beside`: in the cgroups of that process."""

    def __init__(self, layers, *words, count=1, rate_hz=50, beside=None):
        lowers = [part for layer in layers for part in ("--lower", layer)]
        self.process = subprocess.Popen(
            [BIN / "assay-starter", *lowers, "--count", str(count), "--rate", str(rate_hz),
             "--report", "--", *words], stdout=subprocess.PIPE, text=True,
            preexec_fn=beside and (lambda: join_cgroups_of(beside)))
        self.count = count

    def reports(self):
        """[(pid on the host, time of exec in ns since 1970)], once all have started."""
        rows = [self.process.stdout.readline().split("\t") for _ in range(self.count)]
        return [(int(pid), int(exec_ns)) for _, pid, exec_ns in rows]

    def stop(self):
        """Ends the containers that still run."""
        self.process.terminate()
        self.wait()

    def wait(self, timeout_s=60):
        """Waits until the containers have ended by themselves: the exit code."""
        code = self.process.wait(timeout_s)
        self.process.stdout.close()
        return code


def run_of(here, report, ended=False, verdict=None, layers=None):
    """Waits for the run whose first process has this report's pid."""
    pid, exec_ns = report

    def look():
        for run in here.runs("--all"):
            if run["process"]["pid"] == pid and (run["state"] == "ended") == ended \
                    and verdict in (None, run["verdict"]["status"]) and layers in (None, run["layers"]):
                return run
        return None
    return here.wait(look, f"run with pid {pid} (exec at {exec_ns}), verdict {verdict}, layers {layers}")

