# SPDX-License-Identifier: Apache-2.0
"""Containers without an engine: bundles for runc and crun, with an overlay that the caller mounts."""
import json
import os
import pathlib
import shutil

from runtimes import command

# crun refuses a node with both versions of cgroups: here it sees version 2 alone, in a cgroup namespace
# whose root is a cgroup of its own, so that it can neither see nor end any process outside.
CRUN_SCRIPT = """mkdir -p "$0" && echo $$ >"$0/cgroup.procs" || exit 1
exec unshare --mount --cgroup --propagation slave sh -c 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh "$@"
"""


def unified_hierarchy():
    """Where cgroup2 is mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return next(pathlib.Path(line.split()[1]) for line in file if line.split()[2] == "cgroup2")


class Overlay:
    """An overlay of directories (bottom first) and an upper directory of its own, mounted by a command after
    `wrapper`."""

    def __init__(self, folder, layers, wrapper=()):
        self.folder, self.wrapper = pathlib.Path(folder), wrapper
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        self.root = self.folder / "root"
        lower = ":".join(str(layer) for layer in reversed(layers))
        command(*wrapper, "mount", "-t", "overlay", "overlay", "-o",
                f"lowerdir={lower},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}", self.root)

    def close(self):
        command(*self.wrapper, "umount", self.root)
        shutil.rmtree(self.folder)


class Bundle(Overlay):
    """An OCI bundle whose root is an overlay."""

    def write(self, words, cgroup=None):
        """Its configuration, for a process `words`."""
        path = self.folder / "config.json"
        path.unlink(missing_ok=True)
        command("runc", "spec", "--bundle", self.folder)
        config = json.loads(path.read_text(encoding="utf-8"))
        config["process"].update({"terminal": False, "args": words, "rlimits": []})
        config["root"] = {"path": "root", "readonly": False}
        # Rules for devices need a limit on memory that cannot be raised everywhere.
        del config["linux"]["resources"]
        if cgroup:
            config["linux"]["cgroupsPath"] = cgroup
        path.write_text(json.dumps(config), encoding="utf-8")

    def run(self, runtime, name, *words):
        """One of the two to its end, as it finds the node."""
        self.write(words, f"/{name}")
        command(*self.wrapper, runtime, "--root", self.folder / "state", "run", "--bundle", self.folder, name)

    def crun_unified(self, name, *words):
        """crun where both versions of cgroups are mounted."""
        self.write(words, f"/{name}")
        parent = unified_hierarchy() / f"assay-crun-{os.getpid()}"
        command("sh", "-c", CRUN_SCRIPT, parent, "crun", "--root", self.folder / "state", "--cgroup-manager=cgroupfs",
                "run", "--bundle", self.folder, name)
        for cgroup in sorted(parent.glob("**/"), reverse=True):
            cgroup.rmdir()
