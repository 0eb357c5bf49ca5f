# SPDX-License-Identifier: Apache-2.0
"""Runs a program as the deployments do: few capabilities, no_new_privs, nothing writable but some folders.

    confined.py --user UID --writable FOLDER… -- PROGRAM ARGUMENT…
"""
import argparse
import ctypes
import os
import subprocess

RIGHTS = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")
CLONE_NEWNS, AT_FDCWD, AT_RECURSIVE, SYS_MOUNT_SETATTR = 0x20000, -100, 0x8000, 442
MOUNT_ATTR_RDONLY = 1


class MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def set_read_only(path, recursive, **attr):
    attr = MountAttr(**attr)
    checked(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), AT_RECURSIVE if recursive else 0,
                         ctypes.byref(attr), ctypes.sizeof(attr)), f"mount_setattr {path}")


def make_read_only(writable):
    """In a mount namespace of its own; what is mounted on the host later still arrives here."""
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    subprocess.run(["mount", "--make-rslave", "/"], check=True)
    for folder in writable:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
    set_read_only("/", recursive=True, set=MOUNT_ATTR_RDONLY)
    for folder in writable:
        set_read_only(folder, recursive=False, clear=MOUNT_ATTR_RDONLY)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int, default=0)
    parser.add_argument("--writable", nargs="*", default=[])
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    make_read_only(given.writable)
    only = "-all," + ",".join(f"+{name}" for name in RIGHTS)
    words = ["setpriv", "--no-new-privs", "--bounding-set", only]
    if given.user:
        words += ["--reuid", str(given.user), "--regid", str(given.user), "--clear-groups",
                  "--inh-caps", only, "--ambient-caps", only]
    else:
        words += ["--inh-caps", "-all"]
    os.execvp(words[0], words + given.command)


if __name__ == "__main__":
    main()
