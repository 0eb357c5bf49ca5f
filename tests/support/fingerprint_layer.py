# SPDX-License-Identifier: Apache-2.0
"""Sections 1 to 6 of docs/formats/fingerprint.md: records, digests, and the paths of a layer.

Part of fingerprint.py, a second implementation of that page; not a program.
"""
import hashlib
import struct

VERSION = 2
SHAPE_COVERS = "path,type,mode,uid,gid,size,link,mtime"
CONTENT_COVERS = "path,type,mode,uid,gid,size,link,fsverity-sha256-4096,device,xattrs"
DELETIONS_COVERS = "whiteouts,opaques"
IGNORED_XATTRS = {b"security.selinux", b"security.apparmor", b"security.ima", b"security.evm"}
IGNORED_XATTR_PREFIXES = (b"security.SMACK64", b"trusted.", b"user.overlay.")
MAX_SECONDS = (2**63 - 1) // 10**9


class BadLayer(Exception):
    """The layer breaks a rule of the page."""


# --- sections 1 to 5: fields, records, file digests -------------------------------------------


def fields(*values):
    out = bytearray()
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("ascii")
        out += struct.pack("<I", len(data)) + data
    return bytes(out)


def file_digest(size, blocks):
    """Section 4, from the size and the SHA-256 of each block of 4,096 bytes."""
    level = blocks
    while len(level) > 1:
        joined = b"".join(level)
        parts = [joined[i:i + 4096].ljust(4096, b"\0") for i in range(0, len(joined), 4096)]
        level = [hashlib.sha256(part).digest() for part in parts]
    root = level[0] if level else bytes(32)
    descriptor = b"\x01\x01\x0c\x00" + bytes(4) + struct.pack("<Q", size) + root
    return hashlib.sha256(descriptor.ljust(256, b"\0")).digest()


def digest_of_stream(size, read):
    """The same of `size` bytes that `read(n)` gives."""
    blocks, left = [], size
    while left:
        block = read(min(4096, left))
        if len(block) != min(4096, left):
            raise BadLayer("a file ends too early")
        left -= len(block)
        blocks.append(hashlib.sha256(block.ljust(4096, b"\0")).digest())
    return file_digest(size, blocks)


def capability(value):
    """Section 5: revision 3 with root id 0 becomes revision 2."""
    if len(value) == 24 and value[3] == 3 and value[20:] == bytes(4):
        return value[:3] + b"\2" + value[4:20]
    return value


class Node:
    """What a path is; hard links share one."""

    def __init__(self, kind, mode=0, uid=0, gid=0, size=0, mtime=0, link=b"", device=(0, 0),
                 xattrs=(), digest=b""):
        self.kind, self.size, self.link, self.device, self.digest = kind, size, link, device, digest
        self.set_metadata(mode, uid, gid, mtime, xattrs)

    def set_metadata(self, mode, uid, gid, mtime, xattrs):
        self.mode, self.uid, self.gid = mode & 0o7777, uid, gid
        self.mtime = mtime if 0 <= mtime <= MAX_SECONDS else 0
        self.xattrs = dict(xattrs)

    def relink(self, mode, uid, gid, mtime, xattrs):
        """A later hard link's own header."""
        self.set_metadata(mode, uid, gid, mtime, {**self.xattrs, **dict(xattrs)})

    def records(self, path):
        """(shape record, content record)"""
        if self.kind == "d":
            common = fields(path, "d", "", "", "", "", "")
            return common + fields(""), common + fields("", "", "")
        is_file, is_link = self.kind == "f", self.kind == "l"
        common = fields(path, self.kind, "" if is_link else self.mode, self.uid, self.gid,
                        self.size if is_file else "", self.link if is_link else b"")
        counted = sorted((name, capability(value) if name == b"security.capability" else value)
                         for name, value in self.xattrs.items()
                         if value and name not in IGNORED_XATTRS
                         and not name.startswith(IGNORED_XATTR_PREFIXES)
                         and (is_file or not name.startswith(b"user.")))
        return (common + fields(self.mtime if is_file or is_link else ""),
                common + fields(self.digest if is_file else b"",
                                "%d:%d" % self.device if self.kind in "cb" else "",
                                b"".join(fields(*pair) for pair in counted)))


# --- sections 3, 6 and 7: the paths of a layer --------------------------------------------------


def parents(path):
    """a, a/b of a/b/c"""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[:end]) for end in range(1, len(parts) + 1)]


class Layer:
    def __init__(self):
        self.nodes = {}  # path: Node
        self.open_links = {}  # path: target, which is not there yet
        self.whiteouts, self.opaques = set(), set()
        self.sees_deletions = True

    def place(self, path):
        """The path with links among its parents followed."""
        folder, slash, name = path.rpartition(b"/")
        folder = self.follow(folder, [0])
        return folder + b"/" + name if folder else name

    def follow(self, path, links, at=b""):
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = at.rpartition(b"/")[0]
                continue
            step = at + b"/" + part if at else part
            node = self.nodes.get(step)
            if node is None or node.kind != "l":
                at = step
                continue
            links[0] += 1
            if links[0] > 40:
                raise BadLayer("too many links at %r" % step)
            at = self.follow(node.link, links, b"" if node.link.startswith(b"/") else at)
            if at and (at not in self.nodes or self.nodes[at].kind != "d"):
                raise BadLayer("%r is a link that leads to no directory" % step)
        return at

    def make_parents(self, path):
        for parent in parents(path):
            self.make_directory(parent)

    def make_directory(self, path):
        if path in self.open_links or self.nodes.get(path, Node("d")).kind != "d":
            raise BadLayer("%r is no directory, but something lies below it" % path)
        self.nodes.setdefault(path, Node("d"))
        self.whiteouts.discard(path)

    def clear_below(self, path):
        for names in (self.nodes, self.open_links, self.whiteouts, self.opaques):
            for name in [name for name in names if name.startswith(path + b"/")]:
                names.pop(name) if isinstance(names, dict) else names.discard(name)
        self.opaques.discard(path)

    def replace(self, path, is_directory):
        """Makes room for a new entry of this path."""
        self.make_parents(path)
        old = self.nodes.get(path)
        if old is not None and old.kind == "d" and not is_directory:
            self.clear_below(path)
        self.open_links.pop(path, None)
        self.whiteouts.discard(path)

    def add(self, path, node):
        path = self.place(path)
        self.replace(path, node.kind == "d")
        if not (node.kind == "d" and path in self.nodes and self.nodes[path].kind == "d"):
            self.nodes[path] = node

    def add_hard_link(self, path, target, header):
        path, target = self.place(path), self.place(target)
        if target in (b"", path):
            raise BadLayer("%r is a hard link to itself or to the root" % path)
        self.make_parents(path)
        node = self.nodes.get(target)
        if node is None:
            self.replace(path, False)
            self.nodes.pop(path, None)
            self.open_links[path] = target
            return
        if node.kind == "d":
            raise BadLayer("%r is a hard link to a directory" % path)
        node.relink(*header)
        self.replace(path, False)
        self.nodes[path] = node

    def add_whiteout(self, path):
        path = self.place(path)
        if any(parent in self.whiteouts for parent in parents(path)):
            return
        self.make_parents(path)
        if path not in self.nodes and path not in self.open_links:
            self.whiteouts.add(path)

    def add_opaque(self, path):
        path = self.follow(path, [0])
        if path:
            self.make_parents(path)
            self.make_directory(path)
        self.opaques.add(path)

    def close_links(self):
        for path in list(self.open_links):
            target, seen = self.open_links[path], {path}
            while target in self.open_links:
                if target in seen:
                    raise BadLayer("hard links form a circle at %r" % path)
                seen.add(target)
                target = self.open_links[target]
            if target not in self.nodes or self.nodes[target].kind == "d":
                raise BadLayer("%r is a hard link to %r, which is no file" % (path, target))
            self.nodes[path] = self.nodes[target]
        self.open_links.clear()

    def drop_xattrs(self):
        for node in self.nodes.values():
            node.xattrs = {}

    def apply(self, upper):
        """Puts another layer on top of this one (what a vfs store keeps)."""
        for path in upper.whiteouts | upper.opaques:
            prefix = path + b"/" if path else b""
            self.nodes = {name: node for name, node in self.nodes.items()
                          if not name.startswith(prefix)
                          and (name != path or path in upper.opaques)}
        for path in sorted(upper.nodes):
            self.add(path, upper.nodes[path])

    def fingerprint(self):
        self.close_links()
        streams = {"shape": hashlib.sha256(), "content": hashlib.sha256(),
                   "deletions": hashlib.sha256()}
        covers = {"shape": SHAPE_COVERS, "content": CONTENT_COVERS, "deletions": DELETIONS_COVERS}
        for kind, stream in streams.items():
            stream.update(fields("assay-fingerprint", VERSION, kind, covers[kind]))
        for path in sorted(self.nodes):
            shape, content = self.nodes[path].records(path)
            streams["shape"].update(shape)
            streams["content"].update(content)
        for letter, marks in (("w", self.whiteouts), ("o", self.opaques)):
            for path in sorted(marks):
                streams["deletions"].update(fields(letter, path))
        result = {kind: stream.hexdigest() for kind, stream in streams.items()}
        if not self.sees_deletions:
            result["deletions"] = None
        files = [node for node in self.nodes.values() if node.kind == "f"]
        return dict(result, version=VERSION, entries=len(self.nodes),
                    content_bytes=sum(node.size for node in files))
