# SPDX-License-Identifier: Apache-2.0
"""The power goes while an agent's outbox is written: what was announced as committed is there after the boot.

A guest writes to an outbox on ext4 and tells on its console what was announced. Then its QEMU is killed. What makes it a
true power cut: the guest's page cache is gone with the guest, and the disk's own write cache is lost, too. QEMU's
blklogwrites writes down every write and every flush that reached the virtual disk; the disk that the next boot gets is
built from that: all writes up to the last flush, and of those after it a random half, in any combination. A missing
fsync, or one that the file system or SQLite does not turn into a flush, loses data here as it would on a real disk.

ASSAY_CUTS (8) says how often, ASSAY_SEED repeats a run.
"""
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).parent
PROGRAM = pathlib.Path(os.environ.get("ASSAY_BIN", "build/dev/bin")).resolve().parent / "tests/outbox_power"
CUTS = int(os.environ.get("ASSAY_CUTS", "8"))
SERIES = "6.12"
SECTOR = 512
MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
BOOT_S = 600


def logged_writes(path):
    """[(sector, bytes)] of the log, and how many of them a flush made durable.

    Source: include/linux/dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst), QEMU block/blklogwrites.c.
    """
    data = path.read_bytes()
    magic, _, count, size = struct.unpack_from("<QQQI", data)
    if magic != MAGIC:
        raise ValueError("no log of writes")
    writes, durable, at = [], 0, size
    for number in range(1 << 30):
        if at + 32 > len(data):
            break
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", data, at)
        end = at + size + (0 if flags & DISCARD else sectors * size)
        if flags > 15 or (sectors == 0 and not flags) or end > len(data):
            break  # not written whole: it never reached the disk
        if sectors and not flags & DISCARD:
            writes.append((sector, data[at + size:end]))
        if flags & (FLUSH | FUA) and number < count:
            durable = len(writes)
        at = end
    return writes, durable


def cut(disk, before, log, chance):
    """The disk after the power came back: (writes kept for sure, writes after the last flush, of them kept)."""
    writes, durable = logged_writes(log)
    shutil.copyfile(before, disk)
    kept = writes[:durable] + [write for write in writes[durable:] if chance.random() < 0.5]
    with open(disk, "r+b") as file:
        for sector, content in kept:
            file.seek(sector * SECTOR)
            file.write(content)
    return durable, len(writes) - durable, len(kept) - durable


class Guest:
    """One boot of the guest with a program in it."""

    def __init__(self, folder, disk, log, *arguments):
        self.console = folder / "console"
        self.file = open(self.console, "wb")
        self.process = subprocess.Popen(
            [HERE / "boot.sh", SERIES, PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=self.file,
            stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "ASSAY_GUEST_DISK": str(disk), "ASSAY_GUEST_DISK_LOG": str(log or ""),
                 "ASSAY_GUEST_QEMU_PID": str(folder / "qemu.pid")})
        self.pid_file = folder / "qemu.pid"

    def said(self):
        return self.console.read_text(errors="replace").replace("\r", "")

    def numbers(self, word):
        return [int(number) for number in re.findall(rf"^{word} (\d+)$", self.said(), re.M)]

    def kill(self):
        """The power goes."""
        os.kill(int(self.pid_file.read_text()), 9)
        self.process.wait(60)
        self.file.close()

    def wait(self):
        code = self.process.wait(BOOT_S)
        self.file.close()
        return code


class PowerTest(unittest.TestCase):
    def wait_for(self, guest, condition, what):
        end = time.monotonic() + BOOT_S
        while not condition():
            if guest.process.poll() is not None:
                if guest.process.returncode == 77:
                    print(guest.said())
                    sys.exit(77)
                self.fail(f"{what}: the guest ended\n{guest.said()[-2000:]}")
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def test_nothing_announced_is_lost_when_the_power_goes(self):
        seed = int(os.environ.get("ASSAY_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
        print(f"ASSAY_SEED={seed} ASSAY_CUTS={CUTS}", flush=True)
        chance = random.Random(seed)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-power-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, folder)
        disk, before, log = folder / "disk", folder / "before", folder / "log"
        with open(disk, "wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        epoch = None
        for number in range(CUTS):
            shutil.copyfile(disk, before)
            log.unlink(missing_ok=True)
            log.touch()
            guest = Guest(folder, disk, log, "write", "/disk")
            wanted = chance.randrange(5, 120)
            self.wait_for(guest, lambda: len(guest.numbers("committed")) >= wanted, "commits")
            guest.kill()
            committed = max(guest.numbers("committed"))
            acknowledged = max(guest.numbers("acknowledged"), default=0)
            epochs = re.findall(r"^epoch (\w+)$", guest.said(), re.M)
            durable, late, kept_late = cut(disk, before, log, chance)

            # A look does not change what the next cut is made of.
            look = folder / "look"
            shutil.copyfile(disk, look)
            guest = Guest(folder, look, None, "check", "/disk")
            self.assertEqual(guest.wait(), 0, guest.said()[-2000:])
            said = guest.said()
            print(f"cut {number + 1}: {committed} announced, {acknowledged} acknowledged; {durable} writes flushed, "
                  f"{kept_late} of {late} later ones kept", flush=True)
            self.assertNotIn("FAILED", said)
            first, last, holes, wrong, sequence = map(int, re.search(
                r"^kept (\d+) (\d+) holes (\d+) wrong (\d+) last (\d+)$", said, re.M).groups())
            self.assertEqual((holes, wrong), (0, 0))
            self.assertLessEqual(first, acknowledged + 1, "an event went that nobody acknowledged")
            self.assertGreaterEqual(last, committed, "an event that was announced is lost")
            self.assertGreaterEqual(sequence, committed, "a number may be given twice")
            epoch = epoch or epochs[0]
            self.assertEqual({epoch}, {*epochs, *re.findall(r"^epoch (\w+)$", said, re.M)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
