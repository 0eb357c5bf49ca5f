# SPDX-License-Identifier: Apache-2.0
"""Runtimes of a later Debian suite: runc executes itself from a private overlay, crun and podman want version 2
of cgroups alone. All of them run on the tree of tests/support/later_suite.sh."""
import pathlib
import shutil

import runtimes
from bundles import unified_hierarchy

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "support/later_suite.sh"
SUITE = "sid"
PACKAGES = "conmon,containerd,crun,fuse-overlayfs,netavark,podman,runc"
MAKING_S = 900  # the first start on a machine makes the tree


class LaterSuite:
    """The tree, held by a process that sleeps; what `wrapper` goes before runs there. Its folder is at the same
    path outside. `is_unified`: version 2 of cgroups alone, without controllers where version 1 has them, from a
    cgroup of the holder's downwards."""

    def __init__(self, folder, is_unified):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.cgroup = None
        self.holder = runtimes.Daemon(
            [SCRIPT, "run", f"{SUITE}-runtimes", SUITE, PACKAGES, self.folder,
             *(["--unified"] if is_unified else []), "sleep", "infinity"], self.folder / "log")
        pid = self.holder.process.pid
        self.wrapper = ("nsenter", "--target", pid, "--mount", "--cgroup", "--root", "--wdns=/", "--")
        if is_unified:
            self.cgroup = unified_hierarchy() / f"assay-later-{pid}"
            self.wrapper = ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.cgroup, *self.wrapper)
        comm = pathlib.Path(f"/proc/{pid}/comm")
        try:
            self.holder.wait_for(lambda: comm.read_text(encoding="utf-8") == "sleep\n", "the later suite", MAKING_S)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def missing():
        return "" if shutil.which("debootstrap") else "needs debootstrap"

    def close(self):
        self.holder.stop()
        for cgroup in sorted(self.cgroup.glob("**/"), reverse=True) if self.cgroup else []:
            runtimes.wait_until(lambda: not (cgroup / "cgroup.procs").read_text(), f"end of all in {cgroup}")
            cgroup.rmdir()
