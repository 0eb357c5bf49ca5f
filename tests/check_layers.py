#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on an #include that goes against the direction of dependencies.

The table is the block marked ```layers in docs/architecture.md, so the page cannot become untrue.
Also refused: a header under common/ (but common/wire) that exposes a type of OpenSSL, libarchive,
protobuf or gRPC, and a test framework in shipped code. `check_layers.py ROOT` checks another tree.
"""
import pathlib
import re
import subprocess
import sys

SOURCES = {".c", ".cc", ".cpp", ".h", ".hpp"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
HIDDEN_IN_COMMON = re.compile(r"^(openssl/|archive|google/protobuf|grpc)|\.pb\.h$")
GENERATED = re.compile(r"^(assay/v1|containerd)/[^/]+\.pb\.h$")
TEST_FRAMEWORKS = re.compile(r"^(catch2|gtest|gmock)/")
EXEMPT = ("tests/", "build/")


def read_table(root):
    """{folder: set of folders it may include} from the architecture page."""
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"^```layers\n(.*?)^```", page, re.M | re.S)
    if not block:
        raise ValueError("docs/architecture.md has no ```layers block")
    table = {}
    for line in block.group(1).splitlines():
        if not line.strip():
            continue
        folder, colon, others = line.partition(":")
        if not colon or folder.strip() in table:
            raise ValueError(f"docs/architecture.md, layers: bad or repeated line: {line}")
        table[folder.strip()] = set(others.split())
    return table


def is_under(path, folder):
    return path == folder or path.startswith(folder + "/")


def folder_of(path, table):
    """The longest folder of the table that holds `path`, or None."""
    return max((folder for folder in table if is_under(path, folder)), key=len, default=None)


def tracked_sources(root):
    """Tracked and new source files; without git, every one in the tree."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        names = set(listing.stdout.splitlines())
    else:
        names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return sorted(name for name in names
                  if pathlib.PurePath(name).suffix in SOURCES and not name.startswith(EXEMPT)
                  and (root / name).is_file())


def resolve(target, source, root):
    """The path in the tree that an include names, or None when it is a header from elsewhere."""
    if GENERATED.search(target):
        return "common/wire/" + target
    if (root / target).is_file():
        return target
    beside = pathlib.PurePath(source).parent / target
    return str(beside) if (root / beside).is_file() else None


def complaint(source, mark, target, table, root):
    """What is wrong with one include, or None."""
    if TEST_FRAMEWORKS.search(target):
        return f"includes {target}: test frameworks stay in tests/"
    if source.startswith("common/") and not source.startswith("common/wire/") \
            and source.endswith((".h", ".hpp")) and HIDDEN_IN_COMMON.search(target):
        return f"includes {target}: headers of common/ hide their libraries"
    path = resolve(target, source, root) if mark == '"' or GENERATED.search(target) else None
    if path is None:
        return None
    if ".." in pathlib.PurePath(target).parts:
        return f"includes {target}: name headers from the top of the tree"
    home = folder_of(source, table)
    if home is None:
        return "lies in no folder of the layers block"
    if is_under(path, home) and folder_of(path, table) == home:
        return None
    if any(is_under(path, allowed) for allowed in table[home]):
        return None
    return f"includes {target}: {home} may include only {sorted(table[home])}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parent.parent
    try:
        table = read_table(root)
    except (OSError, ValueError) as error:
        print(f"check_layers: {error}", file=sys.stderr)
        return 2
    errors = 0
    for source in tracked_sources(root):
        text = (root / source).read_text(encoding="utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            problem = complaint(source, match[1], match[2], table, root)
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                print(f"{source}:{line}: {problem}", file=sys.stderr)
                errors += 1
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
