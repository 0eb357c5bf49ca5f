#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of layers, computed from docs/formats/fingerprint.md alone.

A second implementation of that page, to check Assay's against: it shares no code with it and needs
only Python 3.9's standard library. It is slow and simple on purpose.

  fingerprint.py [--dialect overlay|userxattr|aufs|plain] [--merge] [--without-xattrs] LAYER...

A LAYER is a directory or a tar, plain or gzip. Prints a JSON list with one object a layer; with
--merge one more for what all of them, bottom first, look like together, with its root form.
--without-xattrs computes as if nothing had extended attributes, for tools that do not keep them.
"""
import argparse
import gzip
import json
import os
import stat
import sys

from fingerprint_forms import root_form, without_devices
from fingerprint_layer import BadLayer, Layer, Node, digest_of_stream
from fingerprint_tar import Tar


def layer_of_tar(path):
    layer = Layer()
    with open(path, "rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if is_gzip else raw as stream:
            Tar(stream, layer).read()
    return layer


# --- section 6: directories -----------------------------------------------------------------------


class Directory:
    def __init__(self, dialect, layer):
        self.dialect, self.layer = dialect, layer
        self.marks = {"overlay": b"trusted.overlay.", "userxattr": b"user.overlay."}.get(dialect)

    def xattr(self, path, name):
        try:
            return os.getxattr(path, name, follow_symlinks=False)
        except OSError:
            return None

    def walk(self, top, path=b""):
        here = os.path.join(top, path)
        opaque = self.xattr(here, self.marks + b"opaque") if self.marks else None
        if opaque == b"y":
            self.layer.add_opaque(path)
        for name in os.listdir(here):
            self.visit(top, path + b"/" + name if path else name, path, name, opaque == b"x")

    def visit(self, top, path, folder, name, has_xwhiteouts):
        full = os.path.join(top, path)
        status = os.lstat(full)
        kind = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFCHR: "c",
                stat.S_IFBLK: "b", stat.S_IFIFO: "p", stat.S_IFSOCK: "s"}[stat.S_IFMT(status.st_mode)]
        if self.is_mark(full, path, folder, name, kind, status, has_xwhiteouts):
            return
        device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        node = Node(kind, device=device, link=os.readlink(full) if kind == "l" else b"")
        if kind == "f":
            node.size = status.st_size
            with open(full, "rb") as stream:
                node.digest = digest_of_stream(node.size, stream.read)
        xattrs = {os.fsencode(name): self.xattr(full, name)
                  for name in os.listxattr(full, follow_symlinks=False)}
        node.set_metadata(status.st_mode, status.st_uid, status.st_gid,
                          status.st_mtime_ns // 10**9, xattrs)
        self.layer.add(path, node)
        if kind == "d":
            self.walk(top, path)

    def is_mark(self, full, path, folder, name, kind, status, has_xwhiteouts):
        if self.dialect == "aufs" and name.startswith(b".wh."):
            if name == b".wh..wh..opq":
                self.layer.add_opaque(folder)
            elif not name.startswith(b".wh..wh."):
                self.layer.add_whiteout((folder + b"/" if folder else b"") + name[4:])
            return True
        if not self.marks:
            return False
        is_whiteout = kind == "c" and status.st_rdev == 0
        if has_xwhiteouts and kind == "f" and status.st_size == 0:
            is_whiteout = self.xattr(full, self.marks + b"whiteout") is not None
        if is_whiteout:
            self.layer.add_whiteout(path)
        return is_whiteout


def can_see_trusted():
    with open("/proc/self/status") as status:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    with open("/proc/self/uid_map") as uid_map:
        is_first = uid_map.read().split() == ["0", "0", "4294967295"]
    return is_first and bool(int(lines["CapEff"], 16) & (1 << 21))  # CAP_SYS_ADMIN


def layer_of_directory(path, dialect):
    layer = Layer()
    layer.sees_deletions = dialect != "overlay" or can_see_trusted()
    Directory(dialect, layer).walk(os.fsencode(path))
    return layer


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Fingerprints of layers, in JSON.")
    parser.add_argument("layers", nargs="+", metavar="LAYER", help="a directory or a tar")
    parser.add_argument("--dialect", default="plain", help="how a directory marks deletions",
                        choices=("overlay", "userxattr", "aufs", "plain"))
    parser.add_argument("--merge", action="store_true", help="print what they are together as well")
    parser.add_argument("--without-xattrs", action="store_true", help="as if there were none")
    options = parser.parse_args(arguments)
    results, merged = [], Layer()
    try:
        for path in options.layers:
            is_directory = os.path.isdir(path)
            layer = layer_of_directory(path, options.dialect) if is_directory else layer_of_tar(path)
            if options.without_xattrs:
                layer.drop_xattrs()
            results.append(dict(layer.fingerprint(), deviceless=without_devices(layer)))
            if options.merge:
                merged.apply(layer)
    except (BadLayer, OSError, EOFError) as error:
        print("fingerprint.py: %s: %s" % (path, error), file=sys.stderr)
        return 1
    if options.merge:
        results.append(dict(merged.fingerprint(), root=root_form(merged)))
    json.dump(results, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
