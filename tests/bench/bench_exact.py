#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What proving a layer costs: a debootstrapped base in a real docker, its tar-split, and the same layer as a gzip blob.

Usage: bench_exact.py [RUNS]. Needs root and docker; ASSAY_BIN. Medians; the cache is warm.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import images  # noqa: E402
import runtimes  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("ASSAY_BIN", "build/bench/bin")).resolve() / "bench_exact"
REFERENCE = "docker.io/library/base:1"


def samples(files, runs):
    """Name → values of so many runs."""
    found = {}
    for _ in range(runs + 1):  # the first one warms the cache
        words = ["taskset", "-c", "0", PROGRAM, *files]
        done = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            name, value = line.split()
            found.setdefault(name, []).append(float(value))
    return {name: values[1:] for name, values in found.items()}


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-bench-", dir="/tmp"))
    try:
        base = images.debian_base()
        layer = folder / "layer.tar"
        shutil.copyfile(base, layer)
        if layer.read_bytes()[:2] == b"\x1f\x8b":
            layer.rename(folder / "layer.tar.gz")
            subprocess.run(["gzip", "-d", folder / "layer.tar.gz"], check=True)
        subprocess.run(["gzip", "-k", layer], check=True)
        docker = runtimes.Docker(folder)
        docker.start()
        try:
            docker.load(images.image_archive(folder / "image.tar", REFERENCE, [layer]), REFERENCE)
            split, = docker.folder.glob("data/image/overlay2/layerdb/sha256/*/tar-split.json.gz")
            tree, = docker.folder.glob("data/overlay2/*/diff")
            found = samples([split, f"{layer}.gz", tree], runs)
            print(f"{int(found['entries'][0])} entries, a stream of {found['stream_bytes'][0] / 1e6:.0f} MB, a tar-split "
                  f"of {split.stat().st_size / 1e3:.0f} kB; medians of {runs} runs, CPU of one thread, warm cache:")
            content, by_split, by_blob = (statistics.median(found[name]) for name in ("content", "tar_split", "blob"))
            print(f"content of the directory   {content:.0f} ms\nstream of the tar-split    {by_split:.0f} ms\n"
                  f"stream of the gzip blob    {by_blob:.0f} ms\nproof by the tar-split     {content + by_split:.0f} ms\n"
                  f"proof by the blob          {content + by_blob:.0f} ms")
        finally:
            docker.stop()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
