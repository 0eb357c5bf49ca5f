# SPDX-License-Identifier: Apache-2.0
"""Section 7 of docs/formats/fingerprint.md: what a tar's members make of a layer.

Part of fingerprint.py, a second implementation of that page; not a program.
"""
from fingerprint_layer import BadLayer, MAX_SECONDS, Node, digest_of_stream

BLOCK = 512
MAX_EXTENSION = 1 << 20


def normal_name(name):
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadLayer("the name %r leaves its folder" % name)
    return b"/".join(parts)


def octal(field):
    digits = text(field.strip(b" \0"))
    if digits.strip(b"01234567"):
        raise BadLayer("%r is no octal number" % digits)
    return int(digits or b"0", 8)


def number(field):
    """Octal digits, or base 256 when the first bit is set."""
    if not field[0] & 0x80:
        return octal(field)
    value = int.from_bytes(field, "big") - (1 << (8 * len(field) - 1))  # without the first bit
    if field[0] & 0x40:
        value -= 1 << (8 * len(field) - 1)
    if not -(2**63) <= value < 2**63:
        raise BadLayer("a number is too large")
    return value


def decimal(value):
    if not value.isdigit() or int(value) >= 2**63:
        raise BadLayer("%r is no number" % value)
    return int(value)


def pax_seconds(value):
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    if value.startswith(b"--") or fraction.strip(b"0123456789"):
        raise BadLayer("%r is no time" % value)
    if value.startswith(b"-"):
        return -decimal(whole) - (1 if fraction.strip(b"0") else 0)
    nanoseconds = decimal(whole) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return decimal(whole) if nanoseconds < 2**63 else MAX_SECONDS + 1


def pax_records(data):
    records, sparse = {}, []
    while data:
        length = data.partition(b" ")[0]
        if decimal(length) > len(data):
            raise BadLayer("a PAX record is longer than its header")
        record, data = data[len(length) + 1:decimal(length)], data[decimal(length):]
        key, equals, value = record.partition(b"=")
        is_text = key in (b"path", b"linkpath", b"uname", b"gname")
        if not key or not equals or not value.endswith(b"\n") or b"\0" in (value if is_text else key):
            raise BadLayer("bad PAX record")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if (key == b"GNU.sparse.numbytes") != (len(sparse) % 2 == 1) or b"," in value:
                raise BadLayer("bad sparse map")
            sparse.append(value[:-1])
        else:
            records[key] = value[:-1]
    if sparse:
        records[b"GNU.sparse.map"] = b",".join(sparse)
    return records


def text(field):
    return field.split(b"\0")[0]


class Header:
    def __init__(self, block):
        checksum = sum(block[:148]) + 8 * 32 + sum(block[156:])
        signed = checksum - 256 * sum(1 for i, byte in enumerate(block)
                                      if byte >= 128 and not 148 <= i < 156)
        if octal(block[148:156]) not in (checksum, signed):
            raise BadLayer("wrong checksum")
        self.name, self.link, self.type = text(block[:100]), text(block[157:257]), block[156:157]
        self.mode, self.uid, self.gid = (number(block[at:at + 8]) for at in (100, 108, 116))
        self.size, self.mtime = number(block[124:136]), number(block[136:148])
        if self.size < 0:
            raise BadLayer("a size is negative")
        self.is_posix, self.is_gnu = block[257:263] == b"ustar\0", block[257:265] == b"ustar  \0"
        self.device = (0, 0)
        if (self.is_posix or self.is_gnu) and self.type in b"34":
            self.device = (number(block[329:337]), number(block[337:345]))
        prefix = self.prefix(block)
        self.name = prefix + b"/" + self.name if prefix else self.name

    def prefix(self, block):
        if self.is_posix:
            return text(block[345:476 if block[508:512] == b"tar\0" else 500])
        if self.is_gnu:
            try:
                for field in (block[345:357], block[357:369]):
                    if field[0]:
                        number(field)
            except BadLayer:  # written by a Go before 1.8
                prefix = text(block[345:500])
                return prefix if prefix.isascii() else b""
        return b""

    def apply(self, pax):
        self.name = pax.get(b"path") or self.name
        self.link = pax.get(b"linkpath") or self.link
        for key in ("size", "uid", "gid"):
            value = pax.get(key.encode())
            if value:
                setattr(self, key, decimal(value))
        times = {key: pax_seconds(pax[key]) for key in (b"atime", b"ctime", b"mtime") if pax.get(key)}
        self.mtime = times.get(b"mtime", self.mtime)

    def metadata(self, pax):
        prefix = b"SCHILY.xattr."
        xattrs = {key[len(prefix):]: value for key, value in pax.items() if key.startswith(prefix)}
        return self.mode, self.uid, self.gid, self.mtime, xattrs


class Tar:
    def __init__(self, stream, layer):
        self.stream, self.layer = stream, layer

    def take(self, size):
        data = self.stream.read(size)
        if len(data) != size:
            raise BadLayer("the tar ends too early")
        return data

    def skip(self, size):
        while size:
            size -= len(self.take(min(size, 1 << 20)))

    def read(self):
        pax, long_name, long_link, is_pending = {}, b"", b"", False
        while True:
            block = self.stream.read(BLOCK)
            if block.count(0) == len(block):  # nothing left, or the first zero block
                if is_pending or len(block) not in (0, BLOCK) or any(self.stream.read(BLOCK)):
                    raise BadLayer("bad end of the tar")
                return
            if len(block) < BLOCK:
                raise BadLayer("the tar ends too early")
            header = Header(block)
            is_pending = header.type in b"xgLK"
            if not is_pending:
                self.member(header, block, pax, long_name, long_link)
                pax, long_name, long_link = {}, b"", b""
                continue
            if header.size > MAX_EXTENSION:
                raise BadLayer("an extended header is too large")
            data = self.take(header.size)
            self.stream.read(-header.size % BLOCK)
            if header.type == b"x":
                pax = pax_records(data)
            elif header.type == b"L":
                long_name = text(data)
            elif header.type == b"K":
                long_link = text(data)
            else:
                pax_records(data)  # must be good, but says nothing
                pax, long_name, long_link, is_pending = {}, b"", b"", False

    def member(self, header, block, pax, long_name, long_link):
        header.apply(pax)
        header.name, header.link = long_name or header.name, long_link or header.link
        if header.type == b"\0" and header.name.endswith(b"/"):
            header.type = b"5"
        kind = {b"0": "f", b"\0": "f", b"7": "f", b"S": "f", b"1": "h", b"2": "l", b"3": "c",
                b"4": "b", b"5": "d", b"6": "p"}.get(header.type)
        if kind is None:
            raise BadLayer("unknown member type %r" % header.type)
        if not (0 <= header.uid < 2**32 - 1 and 0 <= header.gid < 2**32 - 1
                and 0 <= header.device[0] < 2**12 and 0 <= header.device[1] < 2**20):
            raise BadLayer("%r has an owner or a device number that Linux does not have" % header.name)
        node, size, stored = None, 0, 0
        if kind == "f":
            stored = header.size
            pieces, size = self.sparse_map(header, block, pax)
            node = Node(kind, size=size, digest=digest_of_stream(size, SparseReader(self, pieces).read))
        elif kind != "h":
            node = Node(kind, link=header.link, device=header.device)
        else:
            header.link = normal_name(header.link)
        if node:
            node.set_metadata(*header.metadata(pax))
        self.stream.read(-stored % BLOCK)  # may be missing at the end
        self.place(normal_name(header.name), kind, node, header, pax)

    def place(self, path, kind, node, header, pax):
        folder, slash, name = path.rpartition(b"/")
        if not path:
            if kind != "d":
                raise BadLayer("the layer's root is no directory")
        elif name == b".wh..wh..opq":
            self.layer.add_opaque(folder)
        elif name.startswith(b".wh."):
            if name[4:] in (b"", b".", b".."):
                raise BadLayer("%r deletes no name" % path)
            self.layer.add_whiteout(folder + slash + name[4:])
        elif kind == "h":
            self.layer.add_hard_link(path, header.link, header.metadata(pax))
        elif kind == "c" and header.device == (0, 0):
            self.layer.add_whiteout(path)
        else:
            self.layer.add(path, node)

    def sparse_map(self, header, block, pax):
        """(pieces that have data, size of the file); the header's name may change"""
        if header.type == b"S":
            if not header.is_gnu:
                raise BadLayer("a sparse file that is not in GNU tar's format")
            return self.checked(self.old_sparse_map(block), number(block[483:495]), header.size)
        version = (pax.get(b"GNU.sparse.major", b""), pax.get(b"GNU.sparse.minor", b""))
        is_in_data = version == (b"1", b"0")
        is_in_header = (version in ((b"0", b"0"), (b"0", b"1"))
                        or version == (b"", b"") and pax.get(b"GNU.sparse.map"))
        if not is_in_data and not is_in_header:
            return [(0, header.size)], header.size
        header.name = pax.get(b"GNU.sparse.name") or header.name
        real = pax.get(b"GNU.sparse.size") or pax.get(b"GNU.sparse.realsize")
        size, used = decimal(real) if real else header.size, 0
        if is_in_data:
            numbers, used = self.map_in_data(header.size)
        else:
            items = pax.get(b"GNU.sparse.map", b"")
            numbers = [decimal(item) for item in items.split(b",")] if items else []
            if len(numbers) != 2 * decimal(pax.get(b"GNU.sparse.numblocks", b"")):
                raise BadLayer("a sparse map has another length than it says")
        return self.checked(list(zip(numbers[::2], numbers[1::2])), size, header.size - used)

    def old_sparse_map(self, block):
        entries, more, pieces = block[386:482], block[482], []
        while True:
            for at in range(0, len(entries), 24):
                if entries[at] == 0:
                    break
                pieces.append((number(entries[at:at + 12]), number(entries[at + 12:at + 24])))
            if not more:
                return pieces
            block = self.take(BLOCK)
            entries, more = block[:504], block[504]

    def map_in_data(self, stored):
        """(the numbers of the map in front of the data, how many bytes it takes)"""
        numbers, used, buffer = [], 0, b""
        while not numbers or len(numbers) < 1 + 2 * numbers[0]:
            while b"\n" not in buffer:
                used += BLOCK
                if used > stored:
                    raise BadLayer("a sparse map does not end")
                buffer += self.take(BLOCK)
            line, _, buffer = buffer.partition(b"\n")
            numbers.append(decimal(line))
        return numbers[1:], used

    @staticmethod
    def checked(pieces, size, stored):
        end = 0
        for offset, length in pieces:
            if offset < end or length < 0 or offset + length > size:
                raise BadLayer("a sparse map does not fit its file")
            end = offset + length
        if sum(length for _, length in pieces) != stored:
            raise BadLayer("a sparse map does not fit its data")
        return pieces, size


class SparseReader:
    """Reads a member with its holes as zeros."""

    def __init__(self, tar, pieces):
        self.tar, self.pieces, self.at = tar, [piece for piece in pieces if piece[1]], 0

    def read(self, size):
        out = b""
        while len(out) < size:
            want = size - len(out)
            if not self.pieces:
                part = bytes(want)
            elif self.at < self.pieces[0][0]:
                part = bytes(min(want, self.pieces[0][0] - self.at))
            else:
                end = sum(self.pieces[0])
                part = self.tar.take(min(want, end - self.at))
                if self.at + len(part) == end:
                    self.pieces.pop(0)
            out += part
            self.at += len(part)
        return out
