#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How surely bases are found in flattened images: prints the rows of docs/performance.md.

A corpus of real Debian bases (corpus_bases.py) and of images made from them (corpus_tree.py): each
base flattened in each way. What should be found is known of every image. Needs root, once the
mirrors of this machine's apt, and a minute or two a hundred images.

  bench_accuracy.py [--json FILE] [--only WORD] [--held-out]
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import corpus_bases
import corpus_tree as trees
from corpus_tree import Tree

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("ASSAY_BIN", TOP / "build/bench/bin")) / "bench_accuracy"
# These bases lie in others, by design.
INSIDE = {"python:12-1": {"debian:12-1"}, "php:12-1": {"debian:12-1"},
          "nginx:13-1": {"debian:13-1"}, "tools:13-0": {"debian:13-1"}, "tools:13-1": {"debian:13-1"}}
HELD_OUT_SEED = 1000
ADVERSARIAL = "debian:12-1"
WAYS = {
    "squash": trees.with_application,
    "export, import": trees.exported,
    "copy of / by another builder": trees.copied,
    "rebuild, other times": trees.rebuilt,
    "/usr only": trees.usr_only,
    "slimmed (no manuals, documents, translations)": trees.slimmed,
    **{f"squash, {percent} % overwritten":
       lambda tree, seed, share=percent / 100: trees.with_application(
           tree.overwritten(share, seed), seed) for percent in (1, 5, 10, 20)},
}


class Image:
    """One image of the corpus. `truth`: the bases that may name it; `way`: the row it counts in."""

    def __init__(self, way, tree, truth, inside=(), lacks=""):
        self.way, self.tree, self.lacks = way, tree, lacks
        self.truth, self.inside = set(truth), set(inside)
        self.allowed = self.truth | self.inside


def has_way(name, way):
    """One static program is all or nothing."""
    return name != "busybox:12-1" or not ("overwritten" in way or "/usr" in way)


def flattened(bases, first_seed=0):
    """Each base in each way."""
    for name, tree in bases.items():
        for seed, (way, make) in enumerate(WAYS.items(), first_seed):
            if has_way(name, way):
                yield Image(way, make(tree, seed), [name], INSIDE.get(name, ()))


def upgraded(bases):
    """By apt, inside the image, with what that leaves behind."""
    way = "upgraded in place by apt"
    for name in ("debian:11-2", "debian:12-2"):
        yield Image(way, trees.exported(bases[name], 1), [name])
    yield Image(way, other("12-again-upgraded"), ["debian:12-2"])


def other(name):
    return Tree.load(corpus_bases.make(name))


def rebuilt_by_debootstrap(_bases):
    yield Image("rebuild by debootstrap", other("12-again"), ["debian:12-1"])


def unrelated(bases):
    way = "unrelated"
    for seed in range(4):
        yield Image(way, trees.random_files(seed, 1000 * (seed + 1)), [])
    sid = other("sid")
    yield Image(way, sid, [])
    yield Image(way, trees.with_application(sid, 1), [])
    yield Image(way, sid.only(lambda name: name.startswith("usr/share/")), [])
    for part in ("usr/share/zoneinfo/", "usr/share/doc/", "usr/lib/x86_64-linux-gnu/"):
        for base in ("debian:12-1", "debian:13-1"):
            copied = bases[base].only(lambda name, part=part: name.startswith(part))
            yield Image(f"nothing but {part} of a base", trees.with_application(copied, 2), [])
    yield Image(way, Tree(), [])


def adversarial(bases):
    tree = bases[ADVERSARIAL]
    named = [ADVERSARIAL]
    yield Image("one binary replaced", tree.copy().overwrite(["usr/bin/dpkg"], 5), named)
    yield Image("among 60,000 foreign files", trees.among_foreign(tree, 5), named)
    yield Image("same paths, sizes, times; other bytes", trees.same_paths(tree, 5), [])
    for percent in (25, 35, 45, 55):
        yield Image(f"{percent} % of the files changed", tree.overwritten(percent / 100, 5), named)
    yield Image("two packages upgraded: half N, half N-1", other("12-partly"),
                ["debian:12-1", "debian:12-2"])
    yield Image("below another folder", trees.below_folder(tree, 5), named)
    yield Image("given to another owner", trees.owned_by_user(tree, 5), named)


def absent_version(bases):
    """The catalog lacks the version: the nearest one of that name is said."""
    way = "its version is not in the catalog"
    for name, near in (("debian:11-2", ["debian:11-1"]), ("debian:13-0", ["debian:13-1"]),
                       ("debian:12-1", ["debian:12-0", "debian:12-2"]),
                       ("debian:12-2", ["debian:12-1", "debian:12-0"])):
        yield Image(way, trees.with_application(bases[name], 3), near, lacks=name)


class Answers:
    """The program that knows the bases."""

    def __init__(self, archives):
        self.process = subprocess.Popen([PROGRAM, "answers", *archives], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, path, lacks):
        self.process.stdin.write(f"{path}\t{lacks}\n" if lacks else f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_accuracy.py: the program ended early")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Score:
    """One row of the table."""

    def __init__(self):
        self.images = self.wanted = self.found = self.right = self.named = 0
        self.inside = self.inside_found = 0
        self.shares, self.misses = [], []

    def count(self, image, answer):
        names = [base["base"] for base in answer["contained"]]
        self.images += 1
        self.named += len(names)
        self.right += sum(name in image.allowed for name in names)
        if names:
            self.shares.append(answer["contained"][0]["share"])
        if image.truth:
            self.wanted += 1
            self.found += bool(names) and names[0] in image.truth
        self.inside += len(image.inside)
        self.inside_found += len(image.inside & set(names))
        if (names[:1] and names[0] not in image.truth) or (image.truth and not names) or (
                set(names) - image.allowed or image.inside - set(names)):
            self.misses.append((sorted(image.truth), names, answer["why"]))

    def add(self, score):
        for field in ("images", "wanted", "found", "right", "named", "inside", "inside_found"):
            setattr(self, field, getattr(self, field) + getattr(score, field))

    def row(self, way):
        def part(some, every):
            return f"{100 * some / every:.1f} %" if every else "–"
        shares = f"{min(self.shares):.1f} to {max(self.shares):.1f} %" if self.shares else "–"
        return (f"| {way} | {self.images} | {part(self.found, self.wanted)} | "
                f"{self.named - self.right} of {self.named} | {shares} |")


def images_of(bases):
    """(whether it counts in the total, image)"""
    for make in (flattened, upgraded, rebuilt_by_debootstrap, unrelated):
        for image in make(bases):
            yield True, image
    for make in (adversarial, absent_version):
        for image in make(bases):
            yield False, image


def held_out_images(bases):
    """Nobody looked at these while the rules were made."""
    for image in flattened(bases, HELD_OUT_SEED):
        yield True, image
    for seed in range(2):
        yield True, Image("unrelated", trees.random_files(HELD_OUT_SEED + seed, 3000), [])
    yield True, Image("unrelated", trees.with_application(other("debian:11-2"), HELD_OUT_SEED).only(
        lambda name: name.startswith("usr/share/")), [])


def measure(images, answers, scratch, only):
    scores, records = {}, []
    for counts, image in images:
        if only and only not in image.way:
            continue
        image.tree.write_image(scratch)
        answer = answers.ask(scratch, image.lacks)
        scores.setdefault((counts, image.way), Score()).count(image, answer)
        records.append({"way": image.way, "truth": sorted(image.truth), "answer": answer})
    return scores, records


def print_table(scores):
    total = Score()
    print("| image | images | right base and version named | wrong names | share found |")
    print("| --- | --- | --- | --- | --- |")
    for (counts, way), score in scores.items():
        if counts:
            print(score.row(way))
            total.add(score)
    print(total.row("all of these"))
    print(f"| a base that lies below the one that names the image: {total.inside_found} of "
          f"{total.inside} found |")
    for (counts, way), score in scores.items():
        if not counts:
            print(score.row(way))
    for (_, way), score in scores.items():
        for truth, names, why in score.misses:
            print(f"{way}: {truth} was answered with {names}: {why}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", help="every answer goes there")
    parser.add_argument("--only", default="", help="rows that hold this word")
    parser.add_argument("--held-out", action="store_true", help="the bases that tuned nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIPPED: the bases are made with debootstrap and chroot, by root")
        sys.exit(77)
    start = time.monotonic()
    archives, bases = [], {}
    with tempfile.TemporaryDirectory(prefix="assay-corpus-") as work:
        for name in corpus_bases.HELD_OUT if options.held_out else corpus_bases.BASES:
            bases[name] = Tree.load(corpus_bases.make(name))
            archives.append(f"{name}={work}/{name.replace(':', '-')}.tar")
            bases[name].write_image(archives[-1].partition("=")[2])
        answers = Answers(archives)
        images = held_out_images(bases) if options.held_out else images_of(bases)
        scores, records = measure(images, answers, f"{work}/image.tar", options.only)
        if answers.close() != 0:
            sys.exit("bench_accuracy.py: the program failed")
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(records, indent=1), encoding="utf-8")
        print_table(scores)
        uploads = sorted(record["answer"]["upload_bytes"] for record in records)
        if uploads:
            print(f"| upload of one unknown stack, once | p50 {uploads[len(uploads) // 2]:,} bytes,"
                  f" max {uploads[-1]:,} bytes |")
        subprocess.run([PROGRAM, "cost", *archives], check=True)
    print(f"{len(records)} images, {len(bases)} bases, {time.monotonic() - start:.0f} s",
          file=sys.stderr)


if __name__ == "__main__":
    main()
