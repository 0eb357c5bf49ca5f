# SPDX-License-Identifier: Apache-2.0
"""docker inside docker: a daemon in a privileged container, whose data lie on a volume."""
import images
import runtimes

OUTER = "docker.io/library/outer:1"
HOST_FOLDERS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


# As --privileged, without the one capability that not every node has to give.
PRIVILEGED = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
              "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
              "--device-cgroup-rule", "a *:* rwm"]
DAEMON = """for mount in /sys/fs/cgroup/*; do mount -o remount,bind,rw "$mount" || exit 1; done
exec dockerd --iptables=false --ip6tables=false --bridge=none --data-root /data --host unix:///run/inner.sock \
  --default-ulimit nofile=1024:1024"""


class DockerInDocker(runtimes.Docker):
    """The outer daemon is this one; inner() talks to that in its container `outer`, which runs the node's own
    dockerd."""

    def start(self):
        super().start()
        layer = images.layer(self.folder / "outer.layer", {
            f"{name}/.keep": b"" for name in ("usr", "proc", "sys", "dev", "tmp", "run", "data", "images", "var/lib")
        } | {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}, {**HOST_FOLDERS, "var/run": "/run"})
        self.load(images.image_archive(self.folder / "outer.tar", OUTER, [layer]), OUTER)
        (self.folder / "inner").mkdir()

    def start_inner(self, archive):
        """Starts the inner daemon, and gives it an image."""
        self.run("outer", OUTER, "sh", "-c", DAEMON, options=[
            *PRIVILEGED, "--volume", "/usr:/usr:ro", "--volume", f"{self.folder}/inner:/data",
            "--volume", f"{archive.parent}:/images:ro"])

        def answers():
            try:
                return self.inner("info")
            except runtimes.RuntimeFailure:
                return None
        runtimes.wait_until(answers, "the inner dockerd")
        self.inner("load", "--input", f"/images/{archive.name}")

    def inner(self, *words):
        return self.client("exec", "outer", "/usr/bin/docker", "--host", "unix:///run/inner.sock", *words)
