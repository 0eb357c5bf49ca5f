# SPDX-License-Identifier: Apache-2.0
"""Layers that are edited on the host under running containers: each way is found, with the paths, and nothing else is.

Every way has an image, a layer and a container of its own, so that one walk over all of them shows what each did. Edits
are many steps: where the words of a finding count, walks come on demand only, after the last step. The agent sees every
container of the node, so no case goes by its totals.
"""
import contextlib
import os
import shutil
import signal
import sqlite3
import struct
import time
import unittest

import deployment
import layer_cases

INTERVAL_S = 5
# struct vfs_cap_data, revision 2: CAP_NET_RAW, effective
CAPABILITY = struct.pack("<5I", 0x02000001, 0x2000, 0, 0, 0)


def change(tree):
    (tree / "etc/marker").write_text("this was changed on the host")


def add(tree):
    (tree / "bin/evil").write_text("#!/bin/sh\n")


def remove(tree):
    (tree / "etc/marker").unlink()


def truncate(tree):
    os.truncate(tree / "bin/busybox", 1000)


def chmod(tree):
    (tree / "etc/marker").chmod(0o666)


def chown(tree):
    os.chown(tree / "etc/marker", 1234, 1234)


def give_capability(tree):
    os.setxattr(tree / "bin/busybox", "security.capability", CAPABILITY)


def give_setuid(tree):
    (tree / "bin/busybox").chmod(0o4755)


def replace(tree):
    """Another file of the same name, size, mode and time."""
    old = tree / "etc/marker"
    status = old.stat()
    new = tree / "etc/.new"
    new.write_text("X" * status.st_size)
    new.chmod(status.st_mode & 0o7777)
    new.rename(old)
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_in_place(tree):
    """The same inode, size and time: only the change time tells."""
    old = tree / "etc/marker"
    status = old.stat()
    with open(old, "r+b") as file:
        file.write(b"X" * status.st_size)
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))


def chmod_directory(tree):
    (tree / "etc").chmod(0o777)


def set_acl(tree):
    """user::rw-, user:1234:rwx, group::r--, mask::rwx, other::r--"""
    entries = [(1, 6, -1), (2, 7, 1234), (4, 4, -1), (16, 7, -1), (32, 4, -1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(tree / "etc/marker", "system.posix_acl_access", value)


def make_opaque(tree):
    os.setxattr(tree / "etc", "trusted.overlay.opaque", b"y")


def exchange_directory(tree):
    """Another directory of the same name with the same files; the old one lies beside it."""
    old = tree.with_name("was-" + tree.name)
    tree.rename(old)
    shutil.copytree(old, tree, symlinks=True)


def exchange_folder(tree):
    """The same with the folder that the directory lies in."""
    exchange_directory(tree.parent)


# how, what is done to the layer's directory, what the finding says
WAYS = [
    ("change", change, "/etc/marker (content, size, time)"),
    ("add", add, "/bin/evil (added)"),
    ("remove", remove, "/etc/marker (removed)"),
    ("truncate", truncate, "/bin/busybox (content, size, time)"),
    ("chmod", chmod, "/etc/marker (mode)"),
    ("chown", chown, "/etc/marker (owner)"),
    ("capability", give_capability, "/bin/busybox (attributes)"),
    ("setuid", give_setuid, "/bin/busybox (mode)"),
    ("replace", replace, "/etc/marker (content, replaced)"),
    ("in-place", write_in_place, "/etc/marker (content)"),
    ("chmod-directory", chmod_directory, "/etc (mode)"),
    ("acl", set_acl, "/etc/marker (mode, attributes)"),
    ("opaque", make_opaque, "/etc (attributes)"),
    ("exchange", exchange_directory, "the layer's directory (moved or replaced"),
    ("exchange-folder", exchange_folder, "the layer's directory (moved or replaced"),
]
UNTOUCHED = "untouched"
TOUCHED = "touched"
LAST = "last"


class Cases(layer_cases.Cases):
    settings = {"identify": {"rewalk_interval": f"{INTERVAL_S}s"}}

    def row_of(self, run, command="SELECT stored_ns, length(record) FROM layer_records", **options):
        """The row of the run's layer in the agent's state.db; with another command, what that answers."""
        instance = self.here.query("trace", run["run_id"])["layers"][0]["instance"]
        name = f"file:{self.here.folder / 'agent/state.db'}"
        with contextlib.closing(sqlite3.connect(f"{name}?mode={options.get('mode', 'ro')}", uri=True)) as database:
            row = database.execute(f"{command} WHERE inode = ? AND generation = ?",
                                   (instance["inode"], instance["generation"])).fetchone()
            database.commit()
        return row

    def wait_for_record(self, run):
        def is_kept():
            row = self.row_of(run)
            return row and row[1] > 0
        self.here.wait(is_kept, "the record of the layer")

    def walk_on_demand_only(self, between=lambda: None):
        """Restarts the agent, and at the end of the case again as it was. `between`: while there is none."""
        self.addCleanup(self.here.start_agent, self.runtime)
        self.addCleanup(self.here.stop_agent)
        self.addCleanup(setattr, self.here, "settings", self.here.settings)
        self.here.stop_agent()
        between()
        self.here.settings = {"identify": {"rewalk_interval": "1h"}}
        self.here.start_agent(self.runtime)

    def walk_all(self):
        self.here.agent.process.send_signal(signal.SIGUSR1)

    def wait_until_walked(self):
        self.here.wait(lambda: self.here.metrics(self.here.agent_http)["assay_agent_rewalk_waiting"] == 0,
                       "no layer waits to be walked")

    def test_each_way_of_tampering_is_a_finding_with_the_path(self):
        self.walk_on_demand_only()
        runs = {name: self.start(name) for name in [*(way[0] for way in WAYS), UNTOUCHED, TOUCHED, LAST]}
        folders = {name: self.folder_of(run) for name, run in runs.items()}
        for run in runs.values():
            self.wait_for_record(run)
        self.wait_until_walked()  # a start asks for a walk
        ids = {run["run_id"] for run in runs.values()}

        def tampered():
            found = {finding["run_id"] for finding in self.here.findings("--kind", "tampered")}
            return found & ids
        self.assertEqual(tampered(), set())
        before = self.here.metrics(self.here.agent_http)
        for name, act, _ in WAYS:
            act(folders[name])
        (folders[TOUCHED] / "etc/marker").chmod(0o755)  # as it was
        os.link(folders[TOUCHED] / "bin/busybox", folders[TOUCHED].with_name("another-name"))
        self.walk_all()
        for name, _, said in WAYS:
            with self.subTest(name):
                finding = self.here.wait_for_finding("tampered", runs[name])
                self.assertIn(said, finding["reason"])
                self.assertEqual(finding["subject"], "layer 1")
                self.here.wait_for_run(name, "pending")
        # What a walk finds after that one is told after all that it found.
        self.wait_until_walked()
        change(folders[LAST])
        self.walk_all()
        self.here.wait_for_finding("tampered", runs[LAST])
        for name in (UNTOUCHED, TOUCHED):
            self.assertEqual(self.here.findings_of(runs[name]), [], name)
            self.here.wait_for_run(name, "approved")
        self.assertEqual(tampered(), {runs[name]["run_id"] for name in [*(way[0] for way in WAYS), LAST]})
        after = self.here.metrics(self.here.agent_http)
        self.assertGreater(after["assay_agent_rewalk_touched_total"], before["assay_agent_rewalk_touched_total"])

    def test_what_was_found_stays_for_the_next_container_and_the_next_agent(self):
        run = self.start("stays")
        folder = self.folder_of(run)
        kept = (folder / "etc/marker").read_text()
        self.wait_for_record(run)
        change(folder)
        changed_at = time.monotonic()
        self.here.wait_for_finding("tampered", run)  # by the schedule: nobody asked
        print(f"found {time.monotonic() - changed_at:.1f} s after the change, with an interval of {INTERVAL_S} s")
        (folder / "etc/marker").write_text(kept)
        self.runtime.run("later", "docker.io/library/stays:1", "/bin/sleep", "600")
        self.addCleanup(self.runtime.remove, "later")
        later = self.here.wait_for_run("later", "pending", layers=1)
        self.here.wait_for_finding("tampered", later)
        self.here.stop_agent()
        self.here.start_agent(self.runtime)
        self.runtime.run("latest", "docker.io/library/stays:1", "/bin/sleep", "600")
        self.addCleanup(self.runtime.remove, "latest")
        latest = self.here.wait_for_run("latest", "pending", layers=1)
        self.here.wait_for_finding("tampered", latest)
        self.assertEqual(len(self.here.findings_of(run, "tampered")), 1)
        self.runtime.remove("stays")
        self.here.wait_for_run("stays", "pending", ended=True)
        self.assertEqual(len(self.here.findings_of(run, "tampered")), 1)
        self.assertIn("/etc/marker (content", self.here.assay("trace", run["run_id"]))

    def test_what_happened_while_no_container_ran_is_found_at_the_next_start(self):
        run = self.start("between")
        folder = self.folder_of(run)
        self.wait_for_record(run)
        self.runtime.remove("between")
        ended = self.here.wait_for_run("between", "approved", ended=True)
        change(folder)
        self.runtime.run("after", "docker.io/library/between:1", "/bin/sleep", "600")
        self.addCleanup(self.runtime.remove, "after")
        after = self.here.wait_for_run("after", "pending", layers=1)
        self.here.wait_for_finding("tampered", after)
        # The run that had ended before stood on the layer as it was.
        self.assertEqual(self.here.findings_of(ended), [])
        self.here.wait_for_run("between", "approved", ended=True)

    def test_a_signal_walks_all_layers_at_once(self):
        run = self.start("demanded")
        self.wait_for_record(run)
        self.walk_on_demand_only(
            between=lambda: self.row_of(run, "UPDATE layer_records SET stored_ns = 0", mode="rw"))
        self.here.wait(lambda: self.row_of(run)[0] > 0, "the walk after the start")
        self.wait_until_walked()
        change(self.folder_of(run))
        self.start("control")  # time passes, and layers are walked: a start asks for that
        self.assertEqual(self.here.findings_of(run), [])
        self.walk_all()
        self.here.wait_for_finding("tampered", run)

    def test_an_image_that_is_removed_is_not_tampered_with(self):
        run = self.start("removed")
        self.wait_for_record(run)
        self.runtime.remove("removed")
        self.forget("docker.io/library/removed:1")
        self.here.wait_for_run("removed", "approved", ended=True)
        another = self.start("another")
        self.wait_for_record(another)
        change(self.folder_of(another))
        self.here.wait_for_finding("tampered", another)  # so a round of walks was made since
        self.assertEqual(self.here.findings_of(run), [])


class DockerTest(Cases, unittest.TestCase):
    runtime_class = layer_cases.Docker

    def forget(self, reference):
        self.runtime.client("image", "rm", reference)


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = layer_cases.Containerd

    def forget(self, reference):
        self.runtime.client("image", "rm", "--sync", reference)


if __name__ == "__main__":
    deployment.main()
