# SPDX-License-Identifier: Apache-2.0
"""Roots of every make, from the first exec to the verdict: what the kernel told is opened and identified, or it says why not."""
import os
import pathlib
import signal
import subprocess
import unittest

import deployment
import images
from by_hand import run_of, unpack
from deployment import BIN
from runtimes import command, wait_until

STARTER = BIN.parent / "tests/starter"
MiB = 1 << 20


class Held:
    """A container of tests/support/starter.c on `layers` (top first): it runs until it is stopped."""

    def __init__(self, folder, layers, lower_by=None, words=("/bin/sleep", "600")):
        for name in ("upper", "work", "merged"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        lowerdir = ":".join(os.path.relpath(layer, folder) for layer in layers)
        options = ["--lower-by", lower_by] if lower_by else []
        self.process = subprocess.Popen([STARTER, "run", folder, lowerdir, *options, "--", *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = int(self.process.stdout.readline().split()[1])
        self.report = (self.pid, 0)

    def wait_until_asleep(self):
        """Everything that its program needs has been read."""
        wait_until(lambda: "hrtimer_nanosleep" in pathlib.Path(f"/proc/{self.pid}/wchan").read_text(encoding="utf-8"),
                   "a container that sleeps")

    def stop(self):
        """The first process of a pid namespace takes all others of it along."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.communicate()


class Cases(unittest.TestCase):
    """One collector, one agent, and a base of one layer in a folder."""
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.settings = cls.settings
        tar = images.busybox_layer(cls.here.folder / "base.layer", "base")
        cls.base_tar = images.image_archive(cls.here.folder / "base.tar", "golden:1", [tar])
        cls.layer_tar = tar
        cls.base = unpack(tar, cls.here.folder / "l/base")
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "golden:1", "--from", cls.base_tar)

    def layers(self, name, count):
        """`count` folders with a file each, as layers over the base; top first, base last."""
        made = []
        for number in range(count):
            layer = self.here.folder / "l" / f"{name}{number}"
            layer.mkdir()
            (layer / f"{name}-{number}").write_text(str(number))
            made.append(layer)
        return [*made, self.base]

    def start(self, name, layers, **options):
        held = Held(self.here.folder / f"c-{name}", layers, **options)
        self.addCleanup(held.stop)
        return held

    def loop_mount(self, name, make, kind, mib=128):
        """A file system of its own below the deployment's folder; where it is mounted."""
        image, folder = self.here.folder / f"{name}.img", self.here.folder / name
        with open(image, "wb") as file:
            file.truncate(mib * MiB)
        command(*make, image)
        folder.mkdir()
        command("mount", "-o", "loop", "-t", kind, image, folder)
        self.addCleanup(command, "umount", "-l", folder)
        return folder

    def check_approved(self, held, layers):
        run = run_of(self.here, held.report, verdict="approved", layers=layers)
        self.assertEqual((run["base"], run["verdict"]["rung"]), ("golden:1", "content"))
        self.assertEqual(self.here.findings_of(run), [])
        return run

    def check_unsupported(self, held, reason):
        """A finding says that nobody could look, and why."""
        run = run_of(self.here, held.report)
        finding = self.here.wait_for_finding("unsupported-root", run)
        self.assertIn(reason, finding["reason"])
        self.assertNotEqual(run["verdict"]["status"], "approved")
        return run


class LayersTest(Cases):
    """However many they are, and however they were named to the kernel."""

    def test_one_layer(self):
        self.check_approved(self.start("one", [self.base]), layers=1)

    def test_many_layers_with_relative_names(self):
        for name, count in (("m", 60), ("n", 130), ("o", 400)):  # short: one page of options
            held = self.start(name, self.layers(name, count - 1))
            self.check_approved(held, layers=count)

    def test_layers_named_by_descriptors_of_a_process_that_is_gone(self):
        self.check_approved(self.start("fd", self.layers("fd", 3), lower_by="fd"), layers=4)

    def test_layers_added_one_by_one(self):
        for way in ("add", "add-fd"):
            held = self.start(way, self.layers(f"{way}-", 3), lower_by=way)
            self.check_approved(held, layers=4)

    def test_layers_on_xfs(self):
        store = self.loop_mount("xfs", ["mkfs.xfs", "-q"], "xfs", mib=320)
        held = self.start("on-xfs", [unpack(self.layer_tar, store / "base")])
        self.check_approved(held, layers=1)


class BlockTest(Cases):
    """File systems of their own, as roots and under an overlay."""

    def test_layers_on_btrfs_with_names_that_still_lead_to_them(self):
        store = self.loop_mount("btrfs", ["mkfs.btrfs", "-q"], "btrfs", mib=256)
        command("btrfs", "subvolume", "create", store / "base")
        unpack_into(self.layer_tar, store / "base")
        held = self.start("on-btrfs", [store / "base"], lower_by="add")
        self.check_approved(held, layers=1)

    def test_layers_on_btrfs_whose_names_mean_nothing_any_more(self):
        """A handle of btrfs needs more than the kernel told: that nobody could look is said."""
        store = self.loop_mount("btrfs2", ["mkfs.btrfs", "-q"], "btrfs", mib=256)
        held = self.start("by-fd-btrfs", [unpack(self.layer_tar, store / "base")], lower_by="fd")
        self.check_unsupported(held, "handles of btrfs")

    def test_a_btrfs_subvolume_as_the_root(self):
        store = self.loop_mount("btrfs3", ["mkfs.btrfs", "-q"], "btrfs", mib=256)
        command("btrfs", "subvolume", "create", store / "image")
        unpack_into(self.layer_tar, store / "image")
        command("btrfs", "subvolume", "snapshot", store / "image", store / "active")
        self.check_root(store / "active")

    def test_an_ext4_image_as_the_root(self):
        """devicemapper, blockfile: a whole file system is the container's root."""
        self.check_root(unpack_into(self.layer_tar,
                                    self.loop_mount("ext4", ["mkfs.ext4", "-q", "-O", "^has_journal"], "ext4")))

    def test_a_bind_mounted_directory_as_the_root(self):
        self.check_root(unpack(self.layer_tar, self.here.folder / "native"))

    def check_root(self, folder):
        """A root without layers is compared as one directory; lost+found is not the image's."""
        for extra in folder.glob("lost+found"):
            extra.rmdir()
        held = Chrooted(folder, f"mount --bind {folder} {folder}")
        self.addCleanup(held.stop)
        run = self.check_approved(held, layers=1)
        self.assertTrue(self.here.query("trace", run["run_id"])["layers"][0]["is_mutable"])

    def test_an_erofs_image_as_a_layer(self):
        tree = unpack(self.layer_tar, self.here.folder / "erofs-tree")
        image, folder = self.here.folder / "layer.erofs", self.here.folder / "erofs"
        command("mkfs.erofs", image, tree)
        folder.mkdir()
        command("mount", "-o", "loop", "-t", "erofs", image, folder)
        self.addCleanup(command, "umount", "-l", folder)
        held = self.start("on-erofs", [folder], lower_by="add")
        self.check_approved(held, layers=1)

    def test_data_only_layers_approve_nothing(self):
        """As composefs does it: names and modes in one layer, bytes in another without names."""
        meta, data = self.here.folder / "meta", self.here.folder / "objects"
        unpack(self.layer_tar, meta)
        (data / "aa").mkdir(parents=True)
        busybox = meta / "bin/busybox"
        busybox.rename(data / "aa/object")
        busybox.touch(0o755)
        os.truncate(busybox, (data / "aa/object").stat().st_size)
        os.utime(busybox, (1_700_000_000, 1_700_000_000))
        os.setxattr(busybox, "trusted.overlay.metacopy", b"")
        os.setxattr(busybox, "trusted.overlay.redirect", b"/aa/object")
        folder = self.here.folder / "c-composed"
        for name in ("upper", "work", "merged"):
            (folder / name).mkdir(parents=True)
        options = f"metacopy=on,redirect_dir=on,lowerdir={meta}::{data},upperdir={folder}/upper,workdir={folder}/work"
        held = Chrooted(folder / "merged", f"mount -t overlay overlay -o {options} {folder}/merged")
        self.addCleanup(held.stop)
        run = run_of(self.here, held.report, verdict="unknown", layers=2)
        self.here.wait_for_finding("unknown-base", run)

        def are_read():
            layers = self.here.query("trace", run["run_id"])["layers"]
            return all(layer["entries"] for layer in layers) and layers
        for layer in self.here.wait(are_read, "both layers"):
            self.assertTrue(layer["is_capped_at_shape"], layer)


class Chrooted(Held):
    """A container that `commands` make, which end by changing the root to `folder`."""

    def __init__(self, folder, commands):
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             f"{commands} && exec chroot {folder} /bin/sleep 600"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = wait_until(lambda: int(children.read_text(encoding="utf-8") or 0), "the container")
        self.report = (self.pid, 0)


class Served:
    """A folder that a program serves (fuse-overlayfs), which can be made to hang."""

    def __init__(self, case, name, lower):
        self.folder = case.here.folder / name
        self.folder.mkdir()
        self.process = subprocess.Popen(["fuse-overlayfs", "-f", "-o", f"lowerdir={lower}", self.folder])
        wait_until(lambda: os.path.ismount(self.folder), "a FUSE mount")
        case.addCleanup(self.close)

    def bytes_read(self):
        """By the program, from whatever file, since it started."""
        text = pathlib.Path(f"/proc/{self.process.pid}/io").read_text(encoding="utf-8")
        return int(text.split("rchar: ")[1].split()[0])

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def close(self):
        os.kill(self.process.pid, signal.SIGCONT)
        subprocess.run(["umount", "-l", self.folder], check=False)
        self.process.terminate()
        self.process.wait()


class LazyTest(Cases):
    """Layers that a program serves: their bytes may have to come over a network, or never."""

    def test_a_layer_that_a_program_serves_is_named_and_not_read(self):
        lower = unpack(self.layer_tar, self.here.folder / "large")
        (lower / "large").write_bytes(bytes(64 * MiB))
        lazy = Served(self, "lazy", lower)
        held = self.start("lazy", [lazy.folder], lower_by="add")
        self.check_unsupported(held, "fuse")
        self.assertLess(lazy.bytes_read(), 16 * MiB)  # what the container itself reads

    def test_a_program_that_hangs_holds_nobody_up(self):
        lazy = Served(self, "hanging", self.base)
        held = self.start("hanging", [lazy.folder], lower_by="add")
        held.wait_until_asleep()
        lazy.hang()
        self.check_unsupported(held, "fuse")
        self.check_approved(self.start("beside", [self.base]), layers=1)

    def test_nor_does_one_below_an_overlay_that_is_a_layer(self):
        lazy = Served(self, "below", self.base)
        folder = self.here.folder / "outer"
        for name in ("upper", "work", "seen"):
            (folder / name).mkdir(parents=True)
        command("mount", "-t", "overlay", "overlay", "-o",
                f"lowerdir={lazy.folder},upperdir={folder}/upper,workdir={folder}/work", folder / "seen")
        self.addCleanup(subprocess.run, ["umount", "-l", folder / "seen"], check=False)
        held = self.start("nested", [folder / "seen"], lower_by="add")
        held.wait_until_asleep()
        lazy.hang()
        self.check_unsupported(held, "fuse")
        self.check_approved(self.start("beside-nested", [self.base]), layers=1)


def unpack_into(archive, folder):
    """A layer tar in a folder that is there already; the folder."""
    command("tar", "-C", folder, "--numeric-owner", "-xpf", archive)
    return folder


if __name__ == "__main__":
    deployment.main()
