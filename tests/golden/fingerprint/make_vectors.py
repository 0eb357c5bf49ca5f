#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the test vectors of docs/formats/fingerprint.md: layer tars, vectors.json, and the list
in the page's section 12.

Only the tars are made here, header by header. Their digests come from tests/support/fingerprint.py,
the second implementation of that page. Needs only Python 3.9; the output is the same every time.

Every tar in refused/ breaks a rule of section 7: a reader must not give a digest for it.
"""
import io
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "..", "docs", "formats", "fingerprint.md")
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
from fingerprint_forms import root_form, without_devices  # noqa: E402
from fingerprint_layer import VERSION, BadLayer, Layer  # noqa: E402
from fingerprint_tar import Tar  # noqa: E402

POSIX, GNU, OLD = b"ustar\x0000", b"ustar  \0", bytes(8)
TOOL = bytes(range(256)) * 33
LONG = b"n" * 90 + b"/" + b"m" * 200
END = bytes(1024)
CAPABILITY = b"\0\x20\0\0" + bytes(12)  # behind the four bytes with the revision

# Section 9: a layer without its devices; the root of layers on top of one another.
DEVICELESS = ["devices", "runtime-paths"]
ROOTS = [["basic"], ["runtime-paths"], ["basic", "deletions"], ["duplicates", "basic", "opaque-root"]]


def padded(data):
    return data + bytes(-len(data) % 512)


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    return (value + (1 << (8 * width - 1)) * (1 if value >= 0 else 2)).to_bytes(width, "big")


def number(value, width):
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base256(value, width)


def header(name, kind=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1700000000, link=b"",
           device=None, magic=POSIX, patches=()):
    block = bytearray(512)
    fields = [(0, name), (100, number(mode, 8)), (108, number(uid, 8)), (116, number(gid, 8)),
              (124, number(size, 12)), (136, number(mtime, 12)), (156, kind), (157, link),
              (257, magic), *patches]
    if device:
        fields += [(329, number(device[0], 8)), (337, number(device[1], 8))]
    for at, value in fields:
        block[at:at + len(value)] = value
    assert len(block) == 512 and len(name) <= 100 and len(link) <= 100
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def f(name, data=b"", **more):
    return header(name, size=len(data), **more) + padded(data)


def d(name, **more):
    return header(name, b"5", mode=0o755, **more)


def link(name, target, **more):
    return header(name, b"2", link=target, mode=0o777, **more)


def hard(name, target, **more):
    return header(name, b"1", link=target, **more)


def extension(kind, data):
    return header(b"././@LongLink" if kind in b"LK" else b"PaxHeaders/x", kind, len(data)) + padded(data)


def pax(*records, kind=b"x"):
    data = b""
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        data += b"%d" % length + body
    return extension(kind, data)


def xattrs(*pairs):
    return pax(*[(b"SCHILY.xattr." + name, value) for name, value in pairs])


def sparse_in_header(name, pieces, size, version):
    """PAX formats 0.0 and 0.1"""
    records = [(b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.numblocks", b"%d" % len(pieces))]
    if version == "0.0":
        for offset, length in pieces:
            records += [(b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % length)]
        return pax(*records) + f(name, b"x" * sum(length for _, length in pieces))
    records += [(b"GNU.sparse.name", name),
                (b"GNU.sparse.map", b",".join(b"%d,%d" % piece for piece in pieces))]
    return pax(*records) + f(b"GNUSparseFile.0/s", b"x" * sum(length for _, length in pieces))


def sparse_in_data(name, pieces, size):
    """PAX format 1.0"""
    numbers = [len(pieces)] + [part for piece in pieces for part in piece]
    stored = padded(b"".join(b"%d\n" % value for value in numbers))
    return pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name),
               (b"GNU.sparse.realsize", b"%d" % size)) + f(
                   b"GNUSparseFile.0/s", stored + b"x" * sum(length for _, length in pieces))


def sparse_gnu(name, pieces, size):
    """The type S of old GNU tars; from the fifth piece on the map goes on in blocks of its own."""
    table = b"".join(octal(offset, 12) + octal(length, 12) for offset, length in pieces)
    more = table[96:]
    patches = [(386, table[:96]), (482, b"\1" if more else b"\0"), (483, octal(size, 12))]
    data = b"x" * sum(length for _, length in pieces)
    return header(name, b"S", len(data), magic=GNU, patches=patches) + padded(more) + padded(data)


PIECES = [(4096, 5), (8192, 10)]
MANY = [(1000 * i, 3) for i in range(6)]

VECTORS = [
    ("empty", "no entry at all", b""),
    ("basic", "a root entry, files, a folder, a symlink, a setuid program, names with `./`",
     d(b"./", uid=7) + d(b"./etc/") + f(b"./etc/os-release", b'NAME="Golden"\n')
     + f(b"usr/bin/tool", TOOL, mode=0o4755, uid=1000, gid=1001) + f(b"usr/empty")
     + link(b"bin", b"usr/bin")),
    ("implied-parents", "the layer of `basic.tar` as a GNU tar without folders: the same digests",
     f(b"usr/bin/tool", TOOL, mode=0o4755, uid=1000, gid=1001, magic=GNU)
     + header(b"bin", b"2", link=b"usr/bin", mode=0o755, magic=GNU)
     + f(b"/etc/os-release", b'NAME="Golden"\n', magic=GNU) + f(b"usr//empty", magic=GNU)),
    ("order", "bytewise order (`a-b` < `a/b` < `a0`), UTF-8 and other bytes in names, a long PAX name",
     f(b"a0", b"x") + d(b"a/") + f(b"a/b", b"x") + f(b"a-b", b"x") + f(b"Z", b"x")
     + f(b"\xc3\xa9", b"x") + f(b"\xff\xfe", b"x") + pax((b"path", LONG)) + f(b"short", b"long")),
    ("gnu-long-names", "GNU `L` and `K` members, ids above 2,097,151 in base 256",
     extension(b"L", LONG + b"\0") + f(b"n" * 90, b"long", magic=GNU)
     + extension(b"K", b"t" * 150 + b"\0") + header(b"link", b"2", link=b"t" * 100, magic=GNU)
     + f(b"ids", uid=3000000, gid=4294967294, magic=GNU)),
    ("old-headers", "no magic: a folder told by its slash; a `star` prefix; the prefix of an early Go "
     "in a GNU header",
     header(b"d/", b"\0", magic=OLD) + header(b"d/f", b"\0", 1, magic=OLD) + padded(b"x")
     + f(b"name", b"x", patches=[(345, b"star"), (508, b"tar\0")])
     + f(b"name", b"x", magic=GNU, patches=[(345, b"go")])),
    ("pax", "the last of two paths, sizes and headers counts; an empty value takes a record back; GNU's "
     "long name counts more; a global header changes nothing but what stood before it is forgotten",
     pax((b"path", b"first"), (b"path", b"second")) + f(b"x", b"1")
     + pax((b"path", b"lost")) + pax((b"mtime", b"5")) + f(b"third", b"2")
     + pax((b"path", b"lost"), (b"path", b"")) + f(b"fourth", b"3")
     + extension(b"L", b"fifth\0") + pax((b"path", b"lost")) + f(b"x", b"4")
     + pax((b"path", b"lost")) + pax((b"path", b"header"), (b"mtime", b"7"), kind=b"g")
     + f(b"sixth", b"5") + pax((b"size", b"2")) + header(b"seventh", size=0) + padded(b"67")),
    ("hard-links", "three paths of one file, the last with a header that changes it; a link to a symlink",
     f(b"one", b"shared", mode=0o600) + hard(b"sub/two", b"one", mode=0o600)
     + hard(b"three", b"./sub/two", mode=0o640, uid=5, mtime=1600000000)
     + link(b"symlink", b"one") + hard(b"to-symlink", b"symlink")),
    ("early-hard-links", "links in front of their target, one to another",
     hard(b"early", b"middle") + hard(b"middle", b"late") + f(b"late", b"late", mode=0o444)),
    ("devices", "character and block device, pipe; the largest numbers",
     header(b"dev/null", b"3", mode=0o666, device=(1, 3))
     + header(b"dev/sda", b"4", mode=0o660, gid=6, device=(8, 0))
     + header(b"dev/last", b"3", device=(4095, 1048575)) + header(b"dev/pipe", b"6", mode=0o600)),
    ("xattrs", "attributes that count and that are ignored, on a file, a folder and a symlink; an empty one",
     xattrs((b"security.capability", b"\x01\0\0\x02\0\x20\0\0" + bytes(12)), (b"user.note", b"kept"),
            (b"security.selinux", b"dropped"), (b"trusted.overlay.origin", b"dropped"),
            (b"user.overlay.opaque", b"y"), (b"user.empty", b"")) + f(b"ping", b"elf", mode=0o755)
     + xattrs((b"user.note", b"folders count by path")) + d(b"dir/")
     + xattrs((b"security.other", b"kept")) + link(b"link", b"ping")),
    ("capabilities", "file capabilities of revision 2, of revision 3 with root id 0 and with another",
     xattrs((b"security.capability", b"\x01\0\0\x02" + CAPABILITY)) + f(b"a", b"2")
     + xattrs((b"security.capability", b"\x01\0\0\x03" + CAPABILITY + bytes(4))) + f(b"b", b"3")
     + xattrs((b"security.capability", b"\x01\0\0\x03" + CAPABILITY + b"\xe8\x03\0\0")) + f(b"c", b"3")),
    ("runtime-paths", "what runtimes make or replace in a root, and names that only look like it",
     b"".join(f(name, b"1") for name in (
         b".dockerenv", b"etc/hostname", b"etc/hosts", b"etc/hosts.allow", b"etc/passwd", b"etc/resolv.conf",
         b"dev/console", b"device", b"proc/x", b"run/.containerenv", b"run/x", b"run/secrets/a",
         b"var/run/secrets/b", b"sys"))
     + link(b"etc/mtab", b"/proc/mounts") + header(b"null", b"3", device=(1, 3))
     + xattrs((b"security.capability", b"\x01\0\0\x02" + CAPABILITY), (b"user.note", b"lost"))
     + f(b"ping", b"elf", mode=0o755)),
    ("xattrs-on-links", "an attribute that no file system keeps on a symlink",
     xattrs((b"user.note", b"dropped"), (b"security.other", b"kept")) + link(b"link", b"ping")),
    ("times", "fractions, before 1970, up to and beyond 2^63 - 1 nanoseconds, a folder's time",
     pax((b"mtime", b"1700000000.75")) + f(b"fraction") + pax((b"mtime", b"-1.5")) + f(b"before")
     + pax((b"mtime", b"9223372036.854775807")) + f(b"last")
     + pax((b"mtime", b"9223372036.854775808")) + f(b"beyond") + f(b"far", mtime=1 << 40)
     + d(b"folder/", mtime=1) + link(b"link", b"last", mtime=1500000000)),
    ("deletions", "whiteouts, also as a device; an opaque folder; a file where a whiteout was",
     f(b"etc/.wh.gone") + f(b"var/lib/.wh..wh..opq") + f(b"var/lib/new", b"1")
     + header(b"device", b"3", device=(0, 0)) + f(b".wh.returns") + f(b"returns", b"3")
     + f(b".wh..wh.plnk")),
    ("opaque-root", "the layer hides all that lies below it",
     f(b".wh..wh..opq") + f(b"only", b"1")),
    ("whiteout-below-a-whiteout", "a deletion below a deletion is none",
     f(b".wh.tree") + f(b"tree/.wh.below")),
    ("whiteout-of-what-is-there", "a layer does not delete its own files",
     f(b"stays", b"2") + f(b".wh.stays")),
    ("duplicates", "paths that come twice, a file in place of a folder, a folder in place of a file",
     f(b"file", b"first") + f(b"file", b"second", mode=0o600) + f(b"d/below", b"lost")
     + f(b"d/.wh.mark") + f(b"d", b"now a file") + f(b"e", b"lost") + d(b"e") + f(b"e/f", b"kept")
     + f(b"linked", b"old") + hard(b"keeps", b"linked") + f(b"linked", b"new")),
    ("sparse", "the four formats of GNU tar, a file that is one hole, an unknown version",
     sparse_in_header(b"s0.0", PIECES, 10000, "0.0") + sparse_in_header(b"s0.1", PIECES, 10000, "0.1")
     + sparse_in_data(b"s1.0", PIECES, 10000) + sparse_in_data(b"hole", [], 5000)
     + pax((b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"lost"),
           (b"GNU.sparse.realsize", b"9")) + f(b"unknown", b"as stored")),
    ("sparse-gnu", "sparse files of type `S`, one with more than four pieces; the contiguous type `7`",
     sparse_gnu(b"gnu", PIECES, 10000) + sparse_gnu(b"gnu-many", MANY, 6000)
     + header(b"7", b"7", 1) + padded(b"x")),
    ("linked-folders", "members whose folder is a symlink of the same layer",
     d(b"usr/lib/") + link(b"lib", b"usr/lib") + f(b"lib/a", b"1") + link(b"usr/up", b"../../../usr")
     + f(b"usr/up/lib/b", b"2") + link(b"abs", b"/lib/") + f(b"abs/sub/c", b"3")
     + hard(b"d", b"abs/a") + f(b"lib/.wh.gone") + f(b"abs/sub/.wh..wh..opq")),
]

REFUSED = [
    ("leaves-its-folder", "a name with `..`", f(b"a/../../x")),
    ("below-a-file", "a member below a file", f(b"a", b"1") + f(b"a/b", b"2")),
    ("below-a-dangling-link", "a member below a symlink that leads to no folder",
     link(b"a", b"nowhere") + f(b"a/b")),
    ("links-in-a-circle", "symlinks that lead to one another", link(b"a", b"b") + link(b"b", b"a") + f(b"a/x")),
    ("hard-links-in-a-circle", "hard links to one another", hard(b"a", b"b") + hard(b"b", b"a")),
    ("hard-link-to-nothing", "", hard(b"a", b"b")),
    ("hard-link-to-a-folder", "", d(b"b/") + hard(b"a", b"b")),
    ("root-is-a-file", "", f(b".", b"x")),
    ("whiteout-of-the-folder-above", "`.wh...`", f(b"a/.wh...")),
    ("unknown-type", "GNU's volume header", header(b"a", b"V")),
    ("wrong-checksum", "", b"b" + f(b"a")[1:]),
    ("lone-zero-block", "", bytes(512) + f(b"a")),
    ("truncated-file", "", f(b"a", b"x" * 600)[:-500]),
    ("truncated-long-name", "", extension(b"L", b"n" * 600)[:-600]),
    ("negative-size", "", header(b"a", size=-1)),
    ("size-beyond-the-data", "PAX says more than there is", pax((b"size", b"99999")) + f(b"a", b"x")),
    ("size-that-is-none", "", pax((b"size", b"0x10")) + f(b"a")),
    ("pax-record-with-a-wrong-length", "", extension(b"x", b"13 path=x\n") + f(b"a")),
    ("nul-in-a-pax-path", "", pax((b"path", b"a\0b")) + f(b"a")),
    ("owner-minus-one", "chown would leave the owner as it is", f(b"a", uid=4294967295)),
    ("device-number-too-large", "", header(b"a", b"3", device=(4096, 0))),
    ("sparse-pieces-overlap", "", sparse_in_data(b"a", [(0, 5), (3, 5)], 100)),
    ("sparse-piece-behind-the-end", "", sparse_gnu(b"a", [(98, 5)], 100)),
    ("sparse-count-is-a-lie", "",
     pax((b"GNU.sparse.numblocks", b"2"), (b"GNU.sparse.map", b"0,1"), (b"GNU.sparse.size", b"9"))
     + f(b"a", b"x")),
    ("sparse-data-left-over", "", pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"0,1"))
     + f(b"a", b"xx")),
]


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as out:
        out.write(data)


def fingerprint(data):
    return layer_of(data).fingerprint()


def layer_of(data):
    layer = Layer()
    Tar(io.BytesIO(data), layer).read()
    return layer


def other_forms():
    """The vectors of section 9."""
    members = {name: members + END for name, _, members in VECTORS}
    forms = [dict(without_devices(layer_of(members[name])), form="without devices",
                  files=[name + ".tar"]) for name in DEVICELESS]
    for names in ROOTS:
        merged = Layer()
        for name in names:
            layer = layer_of(members[name])
            layer.close_links()
            merged.apply(layer)
        forms.append(dict(root_form(merged), form="root", files=[name + ".tar" for name in names]))
    return forms


def form_lines(forms):
    lines = ["", "Other forms (section 9), layers bottom first:"]
    for form in forms:
        files = ", ".join("`%s`" % name for name in form["files"])
        lines += ["", "**%s of %s**; %d records" % (form["form"], files, form["entries"]), "```",
                  "shape     " + form["shape"], "content   " + form["content"], "```"]
    return lines


def write_page(vectors, forms, refused):
    """Puts the list behind the heading of the page's last section."""
    with open(PAGE, encoding="utf-8") as page:
        head = page.read().partition("\n## 12.")[0]
    lines = ["", "## 12. Test vectors",
             "In `tests/golden/fingerprint/`, made by `make_vectors.py` there; `vectors.json` has them for programs."]
    for vector in vectors:
        lines += ["", "**`%(file)s`**: %(holds)s; %(entries)d records" % vector, "```",
                  "shape     " + vector["shape"], "content   " + vector["content"],
                  "deletions " + vector["deletions"], "```"]
    lines += form_lines(forms)
    lines += ["", "These have no fingerprint, and a reader that gives them one reads something else than the runtimes do:", ""]
    lines += ["- `%(file)s`: %(why)s" % vector for vector in refused]
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(head + "\n".join(lines) + "\n")


def main():
    os.makedirs(os.path.join(HERE, "refused"), exist_ok=True)
    vectors, refused = [], []
    for name, text, members in VECTORS:
        write(name + ".tar", members + END)
        result = fingerprint(members + END)
        vectors.append({"file": name + ".tar", "holds": text, "entries": result["entries"],
                        **{key: result[key] for key in ("shape", "content", "deletions")}})
    for name, text, members in REFUSED:
        data = members if name.startswith("truncated") else members + END
        write("refused/" + name + ".tar", data)
        refused.append({"file": "refused/" + name + ".tar", "why": text or name.replace("-", " ")})
        try:
            fingerprint(data)
        except BadLayer:
            continue
        sys.exit("refused/%s.tar has a fingerprint" % name)
    with open(os.path.join(HERE, "vectors.json"), "w", encoding="utf-8") as out:
        json.dump({"version": VERSION, "vectors": vectors, "forms": other_forms(),
                   "refused": refused}, out, indent=2)
        out.write("\n")
    write_page(vectors, other_forms(), refused)


if __name__ == "__main__":
    main()
