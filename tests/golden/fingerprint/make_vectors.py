#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the test vectors of docs/formats/fingerprint.md: layer tars and vectors.json.

The digests come from this file's own reading of that document and not from Assay, so that the two
check each other. Needs only Python 3.9. Run it in its own folder; the output is the same every time.
"""
import hashlib
import io
import json
import os
import struct
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
IGNORED = ("security.selinux", "security.apparmor", "security.ima", "security.evm")
IGNORED_PREFIXES = ("security.SMACK64", "trusted.", "user.overlay.")


def field(value):
    data = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("<I", len(data)) + data


def fields(*values):
    return b"".join(field(value) for value in values)


def verity(data):
    """fs-verity digest: SHA-256, 4096-byte blocks, no salt."""
    root = bytes(32)
    level = data
    while data:
        blocks = [level[i:i + 4096].ljust(4096, b"\0") for i in range(0, len(level), 4096)]
        level = b"".join(hashlib.sha256(block).digest() for block in blocks)
        if len(blocks) == 1:
            root = level
            break
    descriptor = struct.pack("<BBBBIQ64s32s144x", 1, 1, 12, 0, 0, len(data), root, b"")
    assert len(descriptor) == 256
    return hashlib.sha256(descriptor).digest()


def record(entry):
    """The seven common fields, the shape's last field, the content's last three."""
    path, kind = entry["path"], entry["type"]
    if kind == "d":
        return fields(path, kind, "", "", "", "", ""), fields(""), fields("", "", "")
    common = fields(path, kind, "" if kind == "l" else entry["mode"], entry["uid"], entry["gid"],
                    len(entry["data"]) if kind == "f" else "", entry["link"] if kind == "l" else "")
    seconds = entry["mtime_s"]
    if seconds < 0 or seconds > (2**63 - 1) // 10**9:
        seconds = 0
    xattrs = b"".join(
        fields(name, value) for name, value in sorted(entry["xattrs"].items())
        if name.decode() not in IGNORED and not name.decode().startswith(IGNORED_PREFIXES))
    return (common, fields(seconds if kind in "fl" else ""),
            fields(verity(entry["data"]) if kind == "f" else "",
                   "%d:%d" % entry["device"] if kind in "cb" else "", xattrs))


def digests(records, whiteouts, opaques):
    header = lambda kind, coverage: fields("assay-fingerprint", 1, kind, coverage)
    shape = header("shape", "path,type,mode,uid,gid,size,link,mtime")
    content = header("content", "path,type,mode,uid,gid,size,link,fsverity-sha256-4096,device,xattrs")
    for path in sorted(records):
        common, last, rest = record(records[path])
        shape += common + last
        content += common + rest
    deletions = header("deletions", "whiteouts,opaques")
    deletions += b"".join(fields("w", path) for path in sorted(whiteouts))
    deletions += b"".join(fields("o", path) for path in sorted(opaques))
    return {name: hashlib.sha256(data).hexdigest() for name, data in
            (("shape", shape), ("content", content), ("deletions", deletions))}


class Layer:
    """A tar that is written, and beside it the records that the document asks for."""

    def __init__(self, name, tar_format=tarfile.PAX_FORMAT):
        self.name, self.stream = name, io.BytesIO()
        self.tar = tarfile.open(fileobj=self.stream, mode="w", format=tar_format)
        self.records, self.whiteouts, self.opaques = {}, set(), set()

    def parents(self, path):
        parts = path.split(b"/")[:-1]
        for end in range(1, len(parts) + 1):
            parent = b"/".join(parts[:end])
            self.records.setdefault(parent, {"path": parent, "type": "d"})

    def add(self, path, kind="f", data=b"", mode=0o644, uid=0, gid=0, mtime=1700000000, link=b"",
            device=(0, 0), xattrs=None, as_written=None):
        path = path if isinstance(path, bytes) else path.encode()
        member = tarfile.TarInfo((as_written or path).decode("utf-8", "surrogateescape"))
        member.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE,
                       "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}[kind]
        member.size = len(data)
        member.mode, member.uid, member.gid, member.mtime = mode, uid, gid, mtime
        member.linkname = link.decode("utf-8", "surrogateescape")
        member.devmajor, member.devminor = device
        for name, value in (xattrs or {}).items():
            key = "SCHILY.xattr." + name.decode()
            member.pax_headers[key] = value.decode("utf-8", "surrogateescape")
        self.tar.addfile(member, io.BytesIO(data))
        if path == b"":
            return
        self.parents(path)
        if kind != "d":
            for below in [p for p in self.records if p.startswith(path + b"/")]:
                del self.records[below]
        self.records[path] = {"path": path, "type": kind, "data": data, "mode": mode & 0o7777,
                              "uid": uid, "gid": gid, "mtime_s": int(mtime // 1), "link": link,
                              "device": device, "xattrs": xattrs or {}}

    def hard_link(self, path, target):
        member = tarfile.TarInfo(path.decode())
        member.type, member.linkname = tarfile.LNKTYPE, target.decode()
        source = self.records[target]
        member.mode, member.uid, member.gid = source["mode"], source["uid"], source["gid"]
        member.mtime = source["mtime_s"]
        self.tar.addfile(member)
        self.parents(path)
        self.records[path] = dict(source, path=path)

    def whiteout(self, path):
        folder, slash, name = path.rpartition(b"/")
        self.tar.addfile(tarfile.TarInfo((folder + slash + b".wh." + name).decode()))
        self.parents(path)
        self.whiteouts.add(path)

    def opaque(self, path):
        self.tar.addfile(tarfile.TarInfo((path + b"/.wh..wh..opq").decode()))
        self.parents(path + b"/x")
        self.opaques.add(path)

    def finish(self):
        self.tar.close()
        with open(os.path.join(HERE, self.name + ".tar"), "wb") as out:
            out.write(self.stream.getvalue())
        return dict(file=self.name + ".tar", entries=len(self.records),
                    **digests(self.records, self.whiteouts, self.opaques))


def layers():
    yield Layer("empty")

    basic = Layer("basic")
    basic.add("", "d", mode=0o700, uid=7, as_written=b"./")
    basic.add("etc", "d", mode=0o755, as_written=b"./etc/")
    basic.add("etc/os-release", data=b'NAME="Golden"\n', as_written=b"./etc/os-release")
    basic.add("usr/bin/tool", data=bytes(range(256)) * 33, mode=0o4755, uid=1000, gid=1001)
    basic.add("usr/empty", data=b"")
    basic.add("bin", "l", link=b"usr/bin", mode=0o777)
    yield basic

    implied = Layer("implied-parents", tarfile.GNU_FORMAT)  # the same layer, as another tool writes it
    implied.add("usr/bin/tool", data=bytes(range(256)) * 33, mode=0o4755, uid=1000, gid=1001)
    implied.add("bin", "l", link=b"usr/bin", mode=0o755)
    implied.add("etc/os-release", data=b'NAME="Golden"\n')
    implied.add("usr/empty", data=b"")
    yield implied

    order = Layer("order")  # bytewise order is not the order of a walk: "a-b" < "a/b" < "a0"
    for path in (b"a0", b"a/b", b"a-b", b"a", b"Z", b"\xc3\xa9", b"\xff\xfe"):
        order.add(path, "d" if path == b"a" else "f", data=b"" if path == b"a" else b"x")
    order.add(b"n" * 90 + b"/" + b"m" * 200, data=b"long")
    yield order

    gnu = Layer("gnu-long-names", tarfile.GNU_FORMAT)
    gnu.add(b"n" * 90 + b"/" + b"m" * 200, data=b"long")
    gnu.add("link", "l", link=b"t" * 150)
    gnu.add("ids", data=b"", uid=3000000, gid=2500000)
    yield gnu

    links = Layer("hard-links")
    links.add("one", data=b"shared", mode=0o600)
    links.hard_link(b"sub/two", b"one")
    links.hard_link(b"three", b"sub/two")
    yield links

    devices = Layer("devices")
    devices.add("dev/null", "c", device=(1, 3), mode=0o666)
    devices.add("dev/sda", "b", device=(8, 0), mode=0o660, gid=6)
    devices.add("dev/pipe", "p", mode=0o600)
    yield devices

    xattrs = Layer("xattrs")
    xattrs.add("ping", data=b"elf", mode=0o755, xattrs={
        b"security.capability": b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12),
        b"user.note": b"kept", b"security.selinux": b"dropped", b"trusted.overlay.origin": b"dropped",
        b"user.overlay.opaque": b"y"})
    xattrs.add("dir", "d", xattrs={b"user.note": b"directories count by path"})
    yield xattrs

    times = Layer("times")
    times.add("fraction", data=b"", mtime=1700000000.75)
    times.add("negative", data=b"", mtime=-5.5)
    times.add("far", data=b"", mtime=9999999999)
    times.add("link", "l", link=b"far", mtime=12)
    times.add("dir", "d", mtime=99)
    yield times

    deletions = Layer("deletions")
    deletions.whiteout(b"gone")
    deletions.whiteout(b"etc/gone")
    deletions.opaque(b"var/lib")
    deletions.add("var/lib/new", data=b"1")
    yield deletions

    duplicates = Layer("duplicates")  # the last entry of a path counts
    duplicates.add("file", data=b"first")
    duplicates.add("file", data=b"second", mode=0o600)
    duplicates.add("d/below", data=b"lost")
    duplicates.add("d", data=b"now a file")
    yield duplicates


def main():
    vectors = [layer.finish() for layer in layers()]
    with open(os.path.join(HERE, "vectors.json"), "w", encoding="utf-8") as out:
        json.dump({"version": 1, "vectors": vectors}, out, indent=2)
        out.write("\n")


main()
