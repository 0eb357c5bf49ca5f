# SPDX-License-Identifier: Apache-2.0
"""The runtimes again, each with another kind of store or in a user namespace."""
import os
import pathlib
import shutil
import signal
import stat

import runtimes

SHIFTED = ("--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536")
USER = "nobody"
USER_ID = 65534
FIRST_ID = 300000  # of its subordinate ids
LATER_DOCKER = pathlib.Path(__file__).resolve().parent.parent / "support/later_docker.sh"


def with_subordinate_ids(folder):
    """Words before a command: it sees an /etc/subuid and /etc/subgid of its own, in which USER has ids."""
    ids = pathlib.Path(folder, "subordinate-ids")
    ids.write_text(f"{USER}:{FIRST_ID}:65536\n")
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c",
            'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"', str(ids)]


def missing_ids():
    for name in ("/etc/subuid", "/etc/subgid"):
        if not os.path.exists(name):
            return f"needs {name}"
    return "" if shutil.which("newuidmap") else "needs newuidmap"


class DockerVfs(runtimes.Docker):
    daemon_options = ("--storage-driver", "vfs")


class DockerRemapped(runtimes.Docker):
    """Files on disk belong to subordinate ids (userns-remap)."""
    daemon_options = ("--userns-remap", f"{USER}:nogroup")

    @classmethod
    def missing(cls):
        return super().missing() or missing_ids()

    def start(self):
        self.daemon_wrapper = with_subordinate_ids(self.folder.parent)
        super().start()

    def agent_settings(self):
        return {"docker_roots": [str(self.folder / f"data/{FIRST_ID}.{FIRST_ID}")]}


class DockerContainerd(runtimes.Docker):
    """docker of the next Debian suite, which keeps images in containerd's store."""
    start_deadline_s = 900  # the first start on a machine makes its tree

    @classmethod
    def missing(cls):
        return super().missing() or ("" if shutil.which("debootstrap") else "needs debootstrap")

    def daemon_command(self):
        return [LATER_DOCKER, "run", self.folder, "--default-ulimit", "nofile=1024:1024"]


class ContainerdNative(runtimes.Containerd):
    snapshotter = "native"


class ContainerdShifted(runtimes.Containerd):
    run_options = SHIFTED


class PodmanVfsShifted(runtimes.Podman):
    driver = "vfs"
    user_options = SHIFTED


class PodmanShifted(runtimes.Podman):
    user_options = SHIFTED


class PodmanFuse(runtimes.Podman):
    """Roots are served by fuse-overlayfs."""
    programs = (*runtimes.Podman.programs, "fuse-overlayfs")
    storage_options = ("overlay.mount_program=/usr/bin/fuse-overlayfs",)


class PodmanRootless(runtimes.Podman):
    """An ordinary user's podman, with a store in his home, and without cgroups that would tell names."""
    runtime_folder = pathlib.Path("/run/user", str(USER_ID))  # where a login would have made it
    has_runtime_folder = False  # made by this test

    @classmethod
    def missing(cls):
        return super().missing() or missing_ids()

    def start(self):
        super().start()
        (self.folder / "home").mkdir()
        self.runtime_folder.parent.mkdir(exist_ok=True)
        self.runtime_folder.mkdir(mode=0o700)
        self.has_runtime_folder = True
        for folder in (self.folder, self.folder / "home", self.runtime_folder):
            shutil.chown(folder, USER_ID, USER_ID)

    def client(self, *arguments, **options):
        environment = {**os.environ, "HOME": str(self.folder / "home"),
                       "XDG_RUNTIME_DIR": str(self.runtime_folder)}
        return runtimes.command(
            *self.wrapper, *with_subordinate_ids(self.folder.parent),
            "setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups",
            "podman", "--storage-driver", self.driver, *self.storage_words(), "--cgroup-manager", "cgroupfs",
            "--events-backend", "none", "--runtime", "runc", *arguments,
            env=environment, cwd=self.folder / "home", **options)

    def load(self, archive, reference):
        readable = self.folder / "home" / pathlib.Path(archive).name
        shutil.copyfile(archive, readable)
        readable.chmod(0o644)
        return super().load(readable, reference)

    def agent_settings(self):
        return {}

    def stop(self):
        pause = self.runtime_folder / "libpod/tmp/pause.pid"  # keeps the user's namespace
        if self.has_runtime_folder and pause.exists():
            os.kill(int(pause.read_text()), signal.SIGKILL)
        super().stop()
        if self.has_runtime_folder:
            shutil.rmtree(self.runtime_folder, ignore_errors=True)


class PodmanKeepId(PodmanRootless):
    """The user has his own id in the container, for which podman makes chowned copies of layers."""
    user_options = ("--userns", "keep-id")


class PodmanRootlessFuse(PodmanRootless):
    """The user's own fuse-overlayfs serves the roots."""
    programs = (*runtimes.Podman.programs, "fuse-overlayfs")
    storage_options = ("overlay.mount_program=/usr/bin/fuse-overlayfs",)

    def start(self):
        super().start()
        device = self.folder / "fuse"  # the node's own is not for everybody everywhere
        os.mknod(device, stat.S_IFCHR, os.makedev(10, 229))
        device.chmod(0o666)
        self.wrapper = ("unshare", "--mount", "--propagation", "slave", "sh", "-c",
                        'mount --bind "$0" /dev/fuse && exec "$@"', device)
