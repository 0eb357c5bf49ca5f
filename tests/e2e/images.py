# SPDX-License-Identifier: Apache-2.0
"""Images for the tests, written byte by byte: archives that docker, containerd and podman load.

One archive holds an OCI layout (index.json) and docker's manifest.json over the same blobs, as
`docker save` writes it since version 25. Layers are plain tars.
"""
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
BUSYBOX = "/bin/busybox"


def debian_base():
    """Path of a real Debian base as a tar; made on first use (tests/support/base.sh)."""
    done = subprocess.run([SUPPORT / "base.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(done.stdout.strip())


def layer(path, files, links=None):
    """Writes a layer tar at `path`: {name: bytes} as executables, {name: target} as symlinks."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        folders = {str(parent) for name in [*files, *(links or {})]
                   for parent in pathlib.PurePath(name).parents if str(parent) != "."}
        for name in sorted(folders):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o755, 1_700_000_000
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mtime = tarfile.SYMTYPE, target, 1_700_000_000
            tar.addfile(entry)
    return pathlib.Path(path)


def busybox_layer(path, marker, files=None):
    """A scratch-like root: one static binary, its names, a file that says which tree it is, and `files`."""
    names = {f"bin/{name}": "busybox" for name in ("sh", "true", "sleep", "cat", "ls")}
    return layer(path, {"bin/busybox": pathlib.Path(BUSYBOX).read_bytes(),
                        "etc/marker": marker.encode(), **(files or {})}, names)


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Archive:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.blobs = {}

    def add(self, name, content):
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))

    def blob(self, media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        self.add(f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def blob_file(self, media_type, path):
        digest = sha256_of(path)
        if digest not in self.blobs:
            self.tar.add(path, f"blobs/sha256/{digest}", recursive=False)
            self.blobs[digest] = path
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": os.path.getsize(path)}


def image_archive(path, reference, layers, labels=None, entrypoint=None):
    """Writes an image of `layers` (tars, bottom first) named `reference` to `path`."""
    archive = _Archive(path)
    kind = "application/vnd.oci.image"
    parts = [archive.blob_file(f"{kind}.layer.v1.tar", name) for name in layers]
    config = archive.blob(f"{kind}.config.v1+json", json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                   "Labels": labels or {}, "Entrypoint": entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [part["digest"] for part in parts]},
        "history": [{"created_by": pathlib.Path(name).name} for name in layers],
    }).encode())
    manifest = archive.blob(f"{kind}.manifest.v1+json", json.dumps({
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": config, "layers": parts}).encode())
    manifest["annotations"] = {"io.containerd.image.name": reference,
                               "org.opencontainers.image.ref.name": reference}

    def blob_path(descriptor):
        return "blobs/" + descriptor["digest"].replace(":", "/")

    archive.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    archive.add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    archive.add("manifest.json", json.dumps([{
        "Config": blob_path(config), "RepoTags": [reference],
        "Layers": [blob_path(part) for part in parts]}]).encode())
    archive.tar.close()
    return pathlib.Path(path)
