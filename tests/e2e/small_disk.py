# SPDX-License-Identifier: Apache-2.0
"""A real file system of a few MiB on a loop device, that can be filled to its last block and freed."""
import os
import subprocess

from runtimes import command


class SmallDisk:
    def __init__(self, folder, size_mib):
        self.image, self.folder = folder.with_suffix(".disk"), folder
        folder.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size_mib << 20)
        command("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        command("mount", "-o", "loop", self.image, folder)
        os.rmdir(folder / "lost+found")
        folder.chmod(0o700)

    def fill(self):
        """Takes every free block."""
        with open(self.folder / "ballast", "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass
            os.fsync(file.fileno())

    def free(self):
        os.unlink(self.folder / "ballast")

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=False)
