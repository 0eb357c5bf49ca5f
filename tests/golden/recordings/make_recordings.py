#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Makes the recordings of this folder anew, on real runtimes: docker, containerd, podman.

    ASSAY_BIN=build/dev/bin tests/golden/recordings/make_recordings.py [RUNTIME…]

Needs root, BTF and the runtimes. What a session does stands in README.md. Host-specific names are
overwritten; `tests/run.sh golden --update` then writes the expected results.
"""
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "e2e"))

import deployment  # noqa: E402  after the path is set
import images  # noqa: E402
import runtimes  # noqa: E402

GOLDEN = "docker.io/library/golden:1"
APP = "docker.io/library/app:1"
FOREIGN = "docker.io/library/foreign:1"
OS_RELEASE = b'ID=golden\nVERSION_ID=1\nPRETTY_NAME="Golden Linux 1"\n'
NAMES = {"", "early", "short", "web", "mapped", "foreign"}  # none yet: they come a little later
ATTEMPTS = 10

# Layout of START records: docs/formats/event_abi.md.
START = 1
CGROUP_SIZE_AT, ANCESTORS_AT, CGROUP_AT, PROCESS_NAME_AT = 160, 304, 816, 16
PROCESS_BYTES, ANCESTORS, NAME_BYTES = 32, 16, 16
KNOWN_PROGRAMS = {b"dockerd", b"containerd", b"containerd-shim", b"conmon", b"podman", b"ctr", b"docker",
                  b"runc", b"runc:[1:CHILD]", b"runc:[2:INIT]", b"sh", b"sleep", b"true", b"busybox"}
CGROUP_PARTS = re.compile(rb"docker|default|libpod_parent|libpod-[0-9a-f]{64}|[0-9a-f]{64}|container|"
                          rb"early|web|short|foreign|mapped|buildkit")


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def fields(data, begin, end):
    """(number, begin, end) of each length-delimited field of a protobuf message."""
    at = begin
    while at < end:
        tag, at = varint(data, at)
        if tag & 7 == 0:
            _, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            yield tag >> 3, at, at + size
            at += size
        else:
            raise ValueError(f"unexpected wire type in tag {tag}")


def overwrite(data, begin, end, text):
    """Puts `text` into the place of another one of the same or a greater length."""
    data[begin:end] = text[:end - begin].ljust(end - begin, b"x")


def scrub_start(data, begin):
    """Names of the host's own programs and cgroups."""
    for number in range(ANCESTORS):
        at = begin + ANCESTORS_AT + number * PROCESS_BYTES + PROCESS_NAME_AT
        name = bytes(data[at:at + NAME_BYTES]).rstrip(b"\0")
        if name and name not in KNOWN_PROGRAMS:
            data[at:at + NAME_BYTES] = b"host".ljust(NAME_BYTES, b"\0")
    (size,) = struct.unpack_from("<I", data, begin + CGROUP_SIZE_AT)
    at = begin + CGROUP_AT
    for part in bytes(data[at:at + size]).split(b"\0"):
        if part and not CGROUP_PARTS.fullmatch(part):
            overwrite(data, at, at + len(part), b"host")
        at += len(part) + 1


def scrub(path, folder):
    """Overwrites in place, so that no length changes (docs/formats/recording.md)."""
    data = bytearray(path.read_bytes())
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    at, is_header = 12, True
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        begin, end = at + 4, at + 4 + size
        for number, first, last in fields(data, begin, end):
            if is_header and number == 3:  # kernel: the upstream version is enough
                version = re.match(rb"[0-9.]*", bytes(data[first:last]))[0]
                overwrite(data, first, last, version + b"-")
            elif not is_header and number == 2 and struct.unpack_from("<H", data, first)[0] == START:
                scrub_start(data, first)
        at, is_header = end, False
    name = str(folder).encode()
    neutral = re.sub(rb"[^/]+$", lambda last: b"assay".ljust(len(last[0]), b"-"), name)
    nobody = re.sub(rb"[0-9a-f]", b"0", boot_id)
    path.write_bytes(bytes(data).replace(name, neutral).replace(boot_id, nobody))


class Disturbed(Exception):
    """The recording holds runs that are none of the session's containers.

    Somebody's chroot; or runc's own init, which executed itself in the container's cgroup before it
    changed its root: with a user namespace podman gives runc a mount namespace of its own, and then
    that is a run on the host's root. Whether it happens is a race of runc's.
    """


class Session:
    """One runtime, a catalog with one approved base, and a recorder."""

    def __init__(self, runtime_class):
        self.here = deployment.Deployment()
        self.runtime = runtime_class(self.here.folder)
        self.file = self.here.folder / "recording"
        self.recorder = None

    def close(self):
        if self.recorder:
            self.recorder.stop()
        self.runtime.stop()
        self.here.close()

    def prepare(self):
        folder = self.here.folder / "images"
        folder.mkdir()
        base = images.busybox_layer(folder / "base.layer", "golden", {"etc/os-release": OS_RELEASE})
        own = [images.layer(folder / f"own-{number}.layer", {f"opt/part-{number}": b"part"})
               for number in range(3)]
        foreign = images.busybox_layer(folder / "foreign.layer", "foreign")
        golden = images.image_archive(folder / "golden.tar", GOLDEN, [base])
        self.runtime.start()
        self.runtime.load(golden, GOLDEN)
        self.runtime.load(images.image_archive(folder / "app.tar", APP, [base, *own]), APP)
        self.runtime.load(images.image_archive(folder / "foreign.tar", FOREIGN, [foreign]), FOREIGN)
        # The recorder takes the catalog that an agent of the same configuration trusted.
        self.here.start_collector()
        self.here.assay("base", "approve", "golden:1", "--from", golden)
        self.here.agent_settings["exec"] = {"level": "all"}
        self.here.start_agent(self.runtime)
        self.here.wait(lambda: self.here.query("nodes")["nodes"][0]["catalog_sequence"] == 1, "catalog")
        self.here.stop_agent()

    def record(self):
        self.recorder = runtimes.Daemon(
            [deployment.BIN / "assay-agent", "record", self.file, "--config", self.here.folder / "agent.yaml"],
            self.here.folder / "record.log")
        self.recorder.wait_for(lambda: "recording to" in self.recorder.tail(), "recorder")

    def runs(self):
        """What a replay makes of the recording so far."""
        out, _ = self.here.program("assay-agent", "replay", self.file)
        return json.loads(out)["runs"]

    def wait_for_runs(self, count, ended):
        def look():
            runs = self.runs()
            for run in runs:
                if run["kind"] != "container" or run["names"]["name"] not in NAMES:
                    raise Disturbed(f"{run['kind']}: {' '.join(run['arguments'])[:80]}")
            judged = [run for run in runs if run["verdict"]["status"] != "pending"
                      and all(layer["content"] for layer in run["layers"])]
            over = [run for run in runs if run["ended_at"]]
            return len(judged) == count and len(over) == ended
        runtimes.wait_until(look, f"{count} runs in the recording, {ended} of them ended")

    def play(self):
        """README.md says the same in words."""
        self.runtime.run("early", GOLDEN, "sleep", "600")
        self.record()
        self.wait_for_runs(1, 0)
        self.runtime.run_to_end("short", GOLDEN, "true")
        self.runtime.run("web", APP, "sleep", "600")
        self.runtime.exec("web", "cat", "/etc/marker")
        if isinstance(self.runtime, runtimes.Podman):
            self.runtime.containers.append("mapped")
            self.runtime.client("run", "--detach", *self.runtime.run_options("mapped"),
                                "--uidmap", "0:100000:65536", GOLDEN, "sleep", "600")
        self.runtime.run_to_end("foreign", FOREIGN, "ls", "/")
        running = len(self.runtime.containers)
        self.wait_for_runs(running + 2, 2)
        for name in list(self.runtime.containers):
            self.runtime.remove(name)
        self.wait_for_runs(running + 2, running + 2)
        self.recorder.stop()


def make(runtime_class):
    session = Session(runtime_class)
    try:
        session.prepare()
        session.play()
        scrub(session.file, session.here.folder)
        target = HERE / f"{runtime_class.name}.rec"
        target.write_bytes(session.file.read_bytes())
        print(f"{target.name}: {target.stat().st_size} bytes")
    finally:
        session.close()


def main():
    wanted = sys.argv[1:] or [runtime.name for runtime in runtimes.RUNTIMES]
    for runtime_class in runtimes.RUNTIMES:
        if runtime_class.name not in wanted:
            continue
        for attempt in range(ATTEMPTS):
            try:
                make(runtime_class)
                break
            except Disturbed as other:
                print(f"{runtime_class.name}: attempt {attempt + 1} saw something else: {other}")
        else:
            sys.exit(f"{runtime_class.name}: each of {ATTEMPTS} attempts saw something else")


if __name__ == "__main__":
    reason = deployment.missing_need()
    if reason:
        sys.exit(reason)
    main()
