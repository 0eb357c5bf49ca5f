# SPDX-License-Identifier: Apache-2.0
"""Layers that look alike: the same names, sizes and times, other bytes. None inherits what another's bytes were."""
import mmap
import os
import pathlib
import shutil
import subprocess
import unittest

import deployment
import images
from by_hand import Started, run_of, unpack
from runtimes import command, wait_until

REAL, OTHER = b"the true bytes", b"some other one"  # of one length


def rewrite(app, program):
    """Other bytes of the same size in place; as old as ever."""
    status = app.stat()
    with open(app, "r+b") as file:
        file.write(program)
    os.utime(app, ns=(status.st_atime_ns, status.st_mtime_ns))


class LoopDisk:
    """An ext4 image with a layer in it, and copies of it: one UUID, the same inodes, generations and times."""

    def __init__(self, image):
        self.image = pathlib.Path(image)
        self.folder = self.image.with_suffix(".mount")
        self.folder.mkdir()
        self.device = None

    @classmethod
    def make(cls, image, archive):
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        command("mkfs.ext4", "-q", "-F", image)
        disk = cls(image)
        disk.mount()
        unpack(archive, disk.tree)
        return disk

    @property
    def tree(self):
        return self.folder / "layer"

    def mount(self, device=None):
        if device:
            command("losetup", device, self.image)
        self.device = device or command("losetup", "--find", "--show", self.image).strip()
        command("mount", self.device, self.folder)

    def umount(self):
        """The loop device, free."""
        if self.device:
            # Mount namespaces go a while after the last process in them.
            wait_until(lambda: subprocess.run(["umount", self.folder], capture_output=True,
                                              check=False).returncode == 0, f"umount {self.folder}")
            command("losetup", "-d", self.device)
        device, self.device = self.device, None
        return device

    def copy(self, image):
        os.sync()
        shutil.copyfile(self.image, image)
        return LoopDisk(image)


class TwinsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.settings = {"identify": {"rewalk_interval": "0s"}}
        cls.folder = cls.here.folder / "layers"
        cls.folder.mkdir()
        cls.archive = images.busybox_layer(cls.folder / "base.tar", "twins", {"bin/app": REAL})
        cls.base = images.image_archive(cls.folder / "base.image", "base:1", [cls.archive])
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "base:1", "--from", cls.base)

    def start(self, tree):
        started = Started([tree], "/bin/sleep", "600")
        self.addCleanup(started.stop)
        (report,) = started.reports()
        return report

    def assert_approved(self, report):
        run = run_of(self.here, report, verdict="approved")
        self.assertEqual(run["verdict"]["rung"], "content")

    def assert_refused(self, report):
        """Read to its last byte, and no base; that its shape is the base's is told."""
        run = run_of(self.here, report, verdict="unknown")
        (layer,) = self.here.query("trace", run["run_id"])["layers"]
        self.assertTrue(layer["content"])
        self.here.wait_for_finding("unknown-base", run)
        finding = self.here.wait_for_finding("mismatch", run)
        self.assertIn("base:1", finding["reason"])

    def test_a_twin_is_judged_by_its_own_bytes_whichever_comes_first(self):
        for number, order in enumerate([(REAL, OTHER), (OTHER, REAL)]):
            for program in order:
                with self.subTest(first=order[0], now=program):
                    tree = unpack(self.archive, self.folder / f"{number}-{program[:4].decode()}")
                    rewrite(tree / "bin/app", program)
                    report = self.start(tree)
                    (self.assert_approved if program == REAL else self.assert_refused)(report)

    def test_copies_of_one_disk_share_nothing(self):
        disk = LoopDisk.make(self.folder / "one.disk", self.archive)
        self.addCleanup(disk.umount)
        copy = disk.copy(self.folder / "two.disk")
        self.addCleanup(copy.umount)
        copy.mount()
        one, other = disk.tree.stat(), copy.tree.stat()
        self.assertEqual((one.st_ino, one.st_mtime_ns), (other.st_ino, other.st_mtime_ns))
        rewrite(copy.tree / "bin/app", OTHER)
        self.assert_approved(self.start(disk.tree))
        self.assert_refused(self.start(copy.tree))

    def test_another_disk_behind_the_same_device_number_is_another_disk(self):
        disk = LoopDisk.make(self.folder / "first.disk", self.archive)
        self.addCleanup(disk.umount)
        copy = disk.copy(self.folder / "second.disk")
        self.addCleanup(copy.umount)
        first = Started([disk.tree], "/bin/sleep", "600")
        (report,) = first.reports()
        self.assert_approved(report)
        first.stop()
        run_of(self.here, report, ended=True)
        copy.mount(disk.umount())
        rewrite(copy.tree / "bin/app", OTHER)
        self.assert_refused(self.start(copy.tree))


class TooLargeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)

    def test_a_layer_whose_bytes_are_not_read_ends_as_unverified(self):
        """An approved base below a layer that is over the limit."""
        folder = self.here.folder
        small = images.busybox_layer(folder / "small.tar", "small")
        large = images.layer(folder / "large.tar", {"data": bytes(8 << 20)})
        base = images.image_archive(folder / "small.image", "small:1", [small])
        self.here.settings = {"identify": {"max_content_bytes": "4MiB"}}
        self.here.start_collector()
        self.here.start_agent()
        self.here.assay("base", "approve", "small:1", "--from", base)
        started = Started([unpack(large, folder / "large"), unpack(small, folder / "small")], "/bin/sleep", "600")
        self.addCleanup(started.stop)
        (report,) = started.reports()
        run = run_of(self.here, report, verdict="approved", layers=2)
        finding = self.here.wait_for_finding("unverified", run)
        self.assertIn("layer 2, above the base, could not be read", finding["reason"])
        self.assertIn("4194304 bytes", finding["reason"])


class MappingTest(unittest.TestCase):
    """A file of a layer that a shared mapping writes to, before and after it was read."""

    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.settings = {"identify": {"rewalk_interval": "2s"}}

    def test_what_a_mapping_changes_is_found_by_the_next_walk(self):
        archive = images.busybox_layer(self.here.folder / "mapped.tar", "mapped", {"bin/app": bytes(4096)})
        self.here.start_collector()
        self.here.start_agent()
        tree = unpack(archive, self.here.folder / "mapped")
        with open(tree / "bin/app", "r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
            mapping[0:1] = b"1"  # the page is dirty from here on
            before = os.fstat(file.fileno())
            started = Started([tree], "/bin/sleep", "600")
            self.addCleanup(started.stop)
            (report,) = started.reports()
            run = run_of(self.here, report, verdict="unknown")
            self.here.wait(lambda: self.here.metrics(self.here.agent_http)["assay_agent_rewalks_total"] > 0, "a walk")
            mapping[0:1] = b"2"  # and no page fault tells of this one
            after = os.fstat(file.fileno())
            if after.st_ctime_ns != before.st_ctime_ns:
                print("the kernel wrote the page back in between")
            finding = self.here.wait_for_finding("tampered", run)
            self.assertIn("/bin/app (content", finding["reason"])


if __name__ == "__main__":
    deployment.main()
