# SPDX-License-Identifier: Apache-2.0
"""Shape and content of one directory against what else digests it, interleaved in one run, medians.

Usage: bench_fingerprint.py [DIRECTORY [RUNS]]; without DIRECTORY a debootstrapped base. One thread is
pinned to one core, two threads to two. "CPU" is user and system time, which other work on the machine
changes less than the elapsed time. Cold runs drop the machine's page cache first (root only).
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("ASSAY_BIN", TOP / "build/release/bin")) / "bench_fingerprint"
FILES = "find . -xdev -type f -print0 | xargs -0"


def drop_caches():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def measure(command, directory, cores):
    """Seconds of (elapsed, CPU) of a command with all its children."""
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL,
                             preexec_fn=lambda: os.sched_setaffinity(0, range(cores)))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command} exited with {child.returncode}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime


def shell(text):
    return ["/bin/sh", "-c", text]


def ways(directory):
    """(name, command, threads, whether it is run cold as well)."""
    own = lambda *words: [str(PROGRAM), directory, *words]
    return [("shape", own("shape"), 1, True),
            ("find -printf", shell("find . -xdev -printf '%p %m %U %G %s %T@ %l\\n'"), 1, True),
            ("content", own("content"), 1, True),
            ("content, two threads", own("content", "own"), 2, True),
            ("content, sparing the page cache", own("content", "spare"), 1, True),
            ("sha256sum", shell(f"{FILES} sha256sum"), 1, True),
            ("fsverity digest", shell(f"{FILES} fsverity digest"), 1, True),
            ("tar, sha256sum", shell("tar -cf - . | sha256sum"), 1, True)]


def table(title, directory, runs, is_cold):
    rows = [way for way in ways(directory) if way[3] or not is_cold]
    samples = {name: [] for name, *_ in rows}
    for _ in range(runs):
        for name, command, threads, _ in rows:
            if is_cold:
                drop_caches()
            samples[name].append(measure(command, directory, threads))
    elapsed = {name: statistics.median(one for one, _ in taken) for name, taken in samples.items()}
    cpu = {name: statistics.median(one for _, one in taken) for name, taken in samples.items()}
    print(f"\n{title}, medians of {runs}:\n")
    print("| what | elapsed | CPU | sha256sum's elapsed, CPU by it |\n| --- | --- | --- | --- |")
    for name, *_ in rows:
        print(f"| {name} | {elapsed[name] * 1000:.0f} ms | {cpu[name] * 1000:.0f} ms "
              f"| {elapsed['sha256sum'] / elapsed[name]:.1f}, {cpu['sha256sum'] / cpu[name]:.1f} |",
              flush=True)


def base(folder):
    archive = subprocess.run([TOP / "tests/support/base.sh"], check=True, capture_output=True,
                             text=True).stdout.strip()
    subprocess.run(["tar", "-xpf", archive, "-C", folder, "--numeric-owner"], check=True)
    return folder


def main():
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        directory = sys.argv[1] if len(sys.argv) > 1 else base(folder)
        for scope in "content", "stop":
            print(subprocess.run([str(PROGRAM), directory, scope], check=True, capture_output=True,
                                 text=True).stdout, end="")
        flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii")
        print("this CPU has SHA-NI" if " sha_ni" in flags else "this CPU has no SHA-NI")
        table("Warm cache", directory, runs, is_cold=False)
        if os.geteuid() == 0:
            table("Cold cache", directory, max(3, runs // 2), is_cold=True)


if __name__ == "__main__":
    main()
