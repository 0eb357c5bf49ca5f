#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what is beside it: a layer's tar, and the tar-splits that docker and podman keep of it.

Needs root, docker and podman. Run it again only to record newer runtimes.
"""
import io
import pathlib
import shutil
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "e2e"))
import images  # noqa: E402
import runtimes  # noqa: E402

REFERENCE = "docker.io/library/split:1"
MTIME = 1_700_000_000


def member(name, kind=tarfile.REGTYPE, link="", mode=0o644, **pax):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime, info.pax_headers = kind, link, mode, MTIME, pax
    return info


def make_layer(path):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        def file(info, data):
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.addfile(member("./", tarfile.DIRTYPE, mode=0o755))
        tar.addfile(member("etc/", tarfile.DIRTYPE, mode=0o755))
        file(member("etc/one"), b"one\n")
        file(member("etc/empty"), b"")
        file(member("./etc/dotted"), b"the name begins with a dot\n")
        file(member("etc/long-" + "n" * 150), b"a long name\n" * 100)
        file(member("etc/gr\u00fc\u00dfe"), "Gr\u00fc\u00dfe\n".encode())
        tar.addfile(member("etc/hard", tarfile.LNKTYPE, link="etc/one"))
        tar.addfile(member("etc/soft", tarfile.SYMTYPE, link="one", mode=0o777))
        file(member("implied/parent/file", **{"SCHILY.xattr.user.note": "kept"}), b"x" * 70_000)
        file(member("etc/setuid", mode=0o4755), b"#!/bin/sh\n")
        file(member("etc/.wh.gone"), b"")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-golden-", dir="/tmp"))
    try:
        make_layer(HERE / "layer.tar")
        archive = images.image_archive(folder / "split.tar", REFERENCE, [HERE / "layer.tar"])
        for runtime, pattern, name in (
                (runtimes.Docker(folder), "data/image/overlay2/layerdb/sha256/*/tar-split.json.gz", "docker.json.gz"),
                (runtimes.Podman(folder), "root/overlay-layers/*.tar-split.gz", "podman.json.gz")):
            runtime.start()
            try:
                runtime.load(archive, REFERENCE)
                found, = runtime.folder.glob(pattern)
                shutil.copyfile(found, HERE / name)
            finally:
                runtime.stop()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
