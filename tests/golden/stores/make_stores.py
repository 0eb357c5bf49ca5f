#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records the trees beside it: what docker and podman keep of one image and its containers.

Needs root, docker and podman. Every tree holds the files that Assay reads and no layer's content;
`expected.json` says what the image really is, by the tars it was made of. Paths of the recording
machine are replaced by those of a usual installation. Run it again only to record newer runtimes.
"""
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "e2e"))
import images  # noqa: E402
import runtimes  # noqa: E402

REFERENCE = "docker.io/library/three:1"
BUILT = "localhost/built:1"


def make_image(folder):
    layers = [images.busybox_layer(folder / "bottom", "golden store"),
              images.layer(folder / "middle", {"etc/two": b"2\n"}),
              images.layer(folder / "top", {"etc/three": b"3\n"})]
    return images.image_archive(folder / "three.tar", REFERENCE, layers), layers


def chain_ids(diff_ids):
    chains = diff_ids[:1]
    for diff_id in diff_ids[1:]:
        chains.append("sha256:" + hashlib.sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest())
    return chains


def copy(source, target, names, renamed):
    """Copies the files that match `names` below `source`; `renamed`: {path in them: path instead}."""
    shutil.rmtree(target, ignore_errors=True)
    for pattern in names:
        for path in sorted(source.glob(pattern)):
            if not path.is_file():
                continue
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            for here, there in renamed.items():
                content = content.replace(str(here).encode(), there.encode())
            place.write_bytes(content)


def write_expected(target, facts):
    (target / "expected.json").write_text(json.dumps(facts, indent=1) + "\n")


def record_docker(folder, archive, diff_ids):
    docker = runtimes.Docker(folder)
    docker.start()
    try:
        docker.load(archive, REFERENCE)
        docker.run("web", REFERENCE, "/bin/sleep", "600")
        container = docker.client("inspect", "--format", "{{.Id}}", "web").strip()
        image = docker.client("inspect", "--format", "{{.Image}}", "web").strip()
        target = HERE / "docker-overlay2"
        copy(docker.folder / "data", target, [
            "containers/*/config.v2.json", "image/overlay2/repositories.json",
            "image/overlay2/imagedb/content/sha256/*", "image/overlay2/layerdb/sha256/*/diff",
            "image/overlay2/layerdb/sha256/*/cache-id", "image/overlay2/layerdb/sha256/*/parent",
            "image/overlay2/layerdb/mounts/*/*"],
             {docker.folder / "data": "/var/lib/docker", docker.folder / "exec": "/run/docker"})
        write_expected(target, {
            "made_by": docker.client("version", "--format", "docker {{.Server.Version}}").strip(),
            "container_id": container, "image": REFERENCE, "config_digest": image,
            "diff_ids": diff_ids, "chain_ids": chain_ids(diff_ids)})
    finally:
        docker.stop()


def record_podman(folder, archive, diff_ids):
    podman = runtimes.Podman(folder)
    podman.start()
    try:
        podman.load(archive, REFERENCE)
        podman.run("web", REFERENCE, "/bin/sleep", "600")
        podman.build(BUILT, runtimes.build_context(folder / "context", REFERENCE))
        podman.run("built", BUILT, "/bin/sleep", "600")

        def ask(template, *words):
            return podman.client("inspect", "--format", template, *words).strip()
        target = HERE / "podman-overlay"
        copy(podman.folder / "root", target, [
            "overlay-containers/containers.json", "overlay-layers/layers.json",
            "overlay-images/images.json", "overlay-images/*/manifest", "overlay-images/*/=*"],
             {podman.folder / "root": "/var/lib/containers/storage"})
        built = json.loads(ask("{{json .RootFS.Layers}}", "--type", "image", BUILT))
        write_expected(target, {
            "made_by": podman.client("--version").strip(),
            "container_id": ask("{{.Id}}", "web"), "image": REFERENCE,
            "config_digest": "sha256:" + ask("{{.Image}}", "web"),
            "manifest_digest": ask("{{.Digest}}", "--type", "image", REFERENCE),
            "diff_ids": diff_ids, "chain_ids": chain_ids(diff_ids),
            "built_container_id": ask("{{.Id}}", "built"), "built_diff_ids": built})
    finally:
        podman.stop()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-golden-", dir="/tmp"))
    try:
        archive, layers = make_image(folder)
        diff_ids = ["sha256:" + images.sha256_of(layer) for layer in layers]
        record_docker(folder, archive, diff_ids)
        record_podman(folder, archive, diff_ids)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
