# SPDX-License-Identifier: Apache-2.0
"""Real container runtimes, each with a daemon and stores of its own under one folder.

Every class has the same face: start(), stop(), agent_settings(), load(archive, reference), build(reference, context),
run(name, image, *words, options=()), run_to_end(…), exec(name, *words), remove(name), pid_of(name). What it starts
it stops, by process id.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time

DEADLINE_S = 60
LIMITS = ["--ulimit", "nofile=1024:1024"]


class RuntimeFailure(Exception):
    """A runtime could not be started or refused a command."""


def command(*arguments, timeout=120, **options):
    """Runs a program to its end: its stdout; RuntimeFailure with its stderr when it failed."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run([str(word) for word in arguments], text=True, timeout=timeout, check=False, **options)
    if done.returncode != 0:
        raise RuntimeFailure(f"{' '.join(map(str, arguments))}: {(done.stderr or '').strip()[-2000:]}")
    return done.stdout


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """The first true value of `condition()`; RuntimeFailure after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise RuntimeFailure(f"{what}: not within {deadline_s} s")


def mounts_under(folder):
    """Mount points below `folder`, deepest first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)


def processes_naming(folder):
    """Ids of processes with `folder` in their arguments: shims, monitors, clean-up commands."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # it has ended
    return found


class Daemon:
    """A background program with a log; ends with SIGTERM, after a while with SIGKILL."""

    def __init__(self, arguments, log, environment=None):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **(environment or {})})

    def is_alive(self):
        return self.process.poll() is None

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def wait_for(self, condition, what, deadline_s=DEADLINE_S):
        def alive_and_done():
            if not self.is_alive():
                raise RuntimeFailure(f"{what}: ended with {self.process.returncode}\n{self.tail()}")
            return condition()
        try:
            return wait_until(alive_and_done, what, deadline_s)
        except RuntimeFailure as failure:
            raise RuntimeFailure(f"{failure}\n{self.tail()}") from failure

    def stop(self, number=signal.SIGTERM):
        if self.is_alive():
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        return self.process.returncode


class Runtime:
    """What the three have in common."""
    name = ""
    programs = ()
    wrapper = ()  # words before each of its commands

    def __init__(self, folder):
        self.folder = pathlib.Path(folder, self.name)
        self.daemon = None
        self.containers = []

    @classmethod
    def missing(cls):
        """Why this runtime cannot be used here, or ""."""
        absent = [program for program in cls.programs if not shutil.which(program)]
        return f"needs {', '.join(absent)}" if absent else ""

    def start(self):
        self.folder.mkdir(parents=True)

    def stop(self):
        for container in list(self.containers):
            try:
                self.remove(container)
            except RuntimeFailure:
                pass
        if self.daemon:
            self.daemon.stop()
        # podman's monitors clean up after their container in the background, and mount for it.
        wait_until(lambda: not processes_naming(self.folder), f"end of all of {self.name}")
        for point in mounts_under(self.folder):
            subprocess.run(["umount", "-l", point], check=True)
        shutil.rmtree(self.folder)

    def agent_settings(self):
        """Where the agent finds this runtime's records: its keys under "runtime"."""
        raise NotImplementedError

    def logs(self, name):
        """What a container wrote; for docker and podman."""
        return self.client("logs", name, stderr=subprocess.STDOUT)

    def remove(self, name):
        raise NotImplementedError


class Docker(Runtime):
    name = "docker"
    programs = ("dockerd", "docker", "containerd", "runc")
    daemon_options = ()
    daemon_wrapper = ()
    start_deadline_s = DEADLINE_S

    def daemon_command(self):
        return [*self.daemon_wrapper, "dockerd", "--iptables=false", "--ip6tables=false",
                "--bridge=none", "--data-root", self.folder / "data",
                "--exec-root", self.folder / "exec", "--host", f"unix://{self.folder}/d.sock",
                "--pidfile", self.folder / "d.pid", "--default-ulimit", "nofile=1024:1024",
                *self.daemon_options]

    def client(self, *arguments, **options):
        return command("docker", "--host", f"unix://{self.folder}/d.sock", *arguments, **options)

    def start(self):
        super().start()
        self.daemon = Daemon(self.daemon_command(), self.folder / "log")

        def answers():
            try:
                return self.client("info")
            except RuntimeFailure:
                return None
        self.daemon.wait_for(answers, "dockerd", deadline_s=self.start_deadline_s)

    def agent_settings(self):
        return {"docker_roots": [str(self.folder / "data")]}

    def load(self, archive, reference):
        self.client("load", "--input", archive)
        return reference

    def build(self, reference, context):
        self.client("build", "--quiet", "--network", "none", "--tag", reference, context,
                    env={**os.environ, "DOCKER_BUILDKIT": "0"})
        return reference

    def run(self, name, image, *words, options=()):
        self.containers.append(name)
        self.client("run", "--detach", "--name", name, "--network", "none", *options, image, *words)

    def run_to_end(self, name, image, *words):
        self.client("run", "--rm", "--name", name, "--network", "none", image, *words)

    def exec(self, name, *words):
        self.client("exec", name, *words)

    def pid_of(self, name):
        return int(self.client("inspect", "--format", "{{.State.Pid}}", name))

    def remove(self, name):
        self.client("rm", "--force", name)
        self.containers.remove(name)


class Containerd(Runtime):
    name = "containerd"
    programs = ("containerd", "ctr", "runc")
    snapshotter = "overlayfs"
    run_options = ()
    config_text = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'

    def client(self, *arguments, **options):
        return command(*self.wrapper, "ctr", "--address", self.folder / "c.sock", *arguments, **options)

    def start(self):
        super().start()
        config = self.folder / "config.toml"
        config.write_text(self.config_text)
        self.daemon = Daemon(
            [*self.wrapper, "containerd", "--config", config, "--root", self.folder / "root",
             "--state", self.folder / "state", "--address", self.folder / "c.sock"],
            self.folder / "log")

        def answers():
            try:
                return self.client("version")
            except RuntimeFailure:
                return None
        self.daemon.wait_for(answers, "containerd")

    def agent_settings(self):
        return {"containerd_states": [str(self.folder / "state")]}

    def load(self, archive, reference):
        self.client("image", "import", "--snapshotter", self.snapshotter, archive)
        return reference

    def run(self, name, image, *words, options=()):
        self.containers.append(name)
        self.client("run", "--detach", *self.options(), *options, image, name, *words)

    def run_to_end(self, name, image, *words):
        self.client("run", "--rm", *self.options(), image, name, *words)

    def options(self):
        return ["--snapshotter", self.snapshotter, *self.run_options]

    def exec(self, name, *words):
        self.client("task", "exec", "--exec-id", "once", name, *words)

    def pid_of(self, name):
        for line in self.client("task", "list").splitlines():
            if line.split()[0] == name:
                return int(line.split()[1])
        raise RuntimeFailure(f"no task {name}")

    def remove(self, name):
        self.client("task", "kill", "--signal", "SIGKILL", name)

        def is_deleted():
            try:
                self.client("task", "delete", "--force", name)
            except RuntimeFailure as failure:
                return "not found" in str(failure)
            return True
        wait_until(is_deleted, f"end of {name}")
        self.client("container", "delete", name)
        self.containers.remove(name)


class Podman(Runtime):
    name = "podman"
    programs = ("podman", "conmon", "runc")
    driver = "overlay"
    oci_runtime = "runc"
    storage_options = ()
    user_options = ()

    def storage_words(self):
        return [word for option in self.storage_options for word in ("--storage-opt", option)]

    def client(self, *arguments, **options):
        return command(*self.wrapper, "podman", "--root", self.folder / "root", "--runroot", self.folder / "run",
                       "--tmpdir", self.folder / "tmp", "--storage-driver", self.driver, *self.storage_words(),
                       "--cgroup-manager", "cgroupfs", "--events-backend", "none",
                       "--runtime", self.oci_runtime, *arguments, **options)

    def agent_settings(self):
        return {"containers_storage_roots": [str(self.folder / "root")]}

    def load(self, archive, reference):
        self.client("load", "--input", archive)
        return reference

    def build(self, reference, context):
        self.client("build", "--quiet", "--isolation", "chroot", "--tag", reference, context)
        return reference

    def run_options(self, name):
        return ["--name", name, "--network", "none", *LIMITS, "--ulimit", "nproc=1000:1000",
                *self.user_options]

    def run(self, name, image, *words, options=()):
        self.containers.append(name)
        self.client("run", "--detach", *self.run_options(name), *options, image, *words)

    def run_to_end(self, name, image, *words):
        self.client("run", "--rm", *self.run_options(name), image, *words)

    def exec(self, name, *words):
        self.client("exec", name, *words)

    def pid_of(self, name):
        return int(self.client("inspect", "--format", "{{.State.Pid}}", name))

    def remove(self, name):
        def is_removed():
            try:
                self.client("rm", "--force", "--time", "0", name)
            except RuntimeFailure as failure:
                # The monitor cleans up after its container at the same time.
                if "device or resource busy" not in str(failure):
                    raise
                return False
            return True
        wait_until(is_removed, f"end of {name}")
        self.containers.remove(name)


RUNTIMES = (Docker, Containerd, Podman)


def build_context(folder, base):
    """A build context that puts one more layer over `base`; its folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    (folder / "app.sh").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "app.sh").chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY app.sh /opt/app.sh\n")
    return folder

