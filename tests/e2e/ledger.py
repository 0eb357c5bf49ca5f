# SPDX-License-Identifier: Apache-2.0
"""What was really started, compared with what the collector holds: nothing lost, nothing twice.

A start may be missing only if an evidence-gap finding encloses its time.
"""
import calendar
import collections
import re
import sqlite3
import subprocess
import threading
import time

import deployment

TESTS = deployment.BIN.parent / "tests"
SECOND = 10**9
# Between a process and its exec lie the mounts that a starter makes.
SAME_START_NS = 30 * SECOND
# A starter tells the time before its execve; the kernel's news of it is a little younger.
EXEC_TAKES_NS = SECOND // 5


def boot_to_wall_ns():
    """What to add to a time since boot for the time since 1970."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Start:
    """One container that was really started."""

    def __init__(self, pid, started_ns, layer, is_over=True, may_be_missing=False):
        self.pid, self.started_ns, self.layer = pid, started_ns, layer
        self.is_over, self.may_be_missing = is_over, may_be_missing

    def __repr__(self):
        return f"start of pid {self.pid} at {self.started_ns / SECOND:.3f} on {self.layer}"


class Store:
    """The collector's database, read while nobody writes it."""

    def __init__(self, path):
        self.database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def close(self):
        self.database.close()

    def rows(self, sql):
        cursor = self.database.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]

    def runs(self):
        return self.rows("SELECT run_key, run_id, pid, process_start_ns, started_ns, ended_ns, executable, is_late,"
                         " verdict, is_described FROM runs JOIN stacks USING(stack_id)")

    def gaps(self):
        """[(from, until)] of all evidence gaps, in ns since 1970."""
        found = []
        for row in self.rows("SELECT reason FROM findings WHERE kind = 'evidence-gap'"):
            match = re.search(r"from (\S+) to (\S+): ", row["reason"])
            if match:
                # Milliseconds in the text: the last one has not ended.
                found.append((parse_time(match[1]), parse_time(match[2]) + 10**6))
        return found

    def lost_in_gaps(self):
        return sum(int(match[1]) for row in self.rows("SELECT reason FROM findings WHERE kind = 'evidence-gap'")
                   if (match := re.search(r"\((\d+) records lost\)", row["reason"])))


def parse_time(text):
    """RFC 3339 in UTC with milliseconds, in ns since 1970."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * SECOND + int(fraction.ljust(9, "0"))


def differences(starts, store, known_layers=()):
    """Lines that say what is wrong; none when the collector holds exactly what was started."""
    by_pid = collections.defaultdict(list)
    for run in store.runs():
        by_pid[run["pid"]].append(run)
    gaps = store.gaps()
    wrong, matched = [], set()
    for start in starts:
        runs = [run for run in by_pid[start.pid]
                if abs(run["process_start_ns"] - start.started_ns) < SAME_START_NS]
        matched.update(run["run_key"] for run in runs)
        if len(runs) > 1:
            wrong.append(f"twice: {start}: {[run['run_id'] for run in runs]}")
        elif not runs and not start.may_be_missing and not any(
                begin <= start.started_ns + EXEC_TAKES_NS and start.started_ns <= end
                for begin, end in gaps):
            wrong.append(f"lost: {start}; no gap encloses it")
        for run in runs:
            wrong += wrong_in(run, start)
    for runs in by_pid.values():
        wrong += [f"never started: {run}" for run in runs if run["run_key"] not in matched]
    return wrong + twice_found(store) + wrong_verdicts(store, known_layers)


def wrong_in(run, start):
    if start.is_over and run["ended_ns"] == 0:
        yield f"never ended: {start}: {run}"
    if run["ended_ns"] and run["ended_ns"] < run["started_ns"]:
        yield f"ended before it started: {run}"
    if not run["is_described"]:
        yield f"stack never described: {run}"


def twice_found(store):
    """Findings that were opened more than once for the same thing."""
    return [f"found {row['count']} times: {row['kind']} {row['subject']} on run {row['run_key']}" for row in store.rows(
        "SELECT kind, subject, run_key, count(*) AS count FROM findings WHERE run_key IS NOT NULL"
        " GROUP BY kind, subject, run_key HAVING count > 1")]


def wrong_verdicts(store, known_layers):
    """Runs on a base that is not approved have their finding, and no others have one."""
    if not known_layers:
        return []
    wrong = []
    for row in store.rows(
            "SELECT r.run_id, s.verdict, (SELECT count(*) FROM findings f WHERE f.run_key = r.run_key"
            " AND f.kind = 'unknown-base') AS found FROM runs r JOIN stacks s USING(stack_id)"):
        if row["verdict"] == "unknown" and row["found"] != 1:
            wrong.append(f"{row['found']} findings on unknown run {row['run_id']}")
        if row["verdict"] == "approved" and row["found"] != 0:
            wrong.append(f"{row['found']} findings on approved run {row['run_id']}")
    return wrong


class Load:
    """Containers that assay-starter starts until it is stopped, and its report of them."""

    def __init__(self, layer, *words, rate_hz):
        self.layer, self.starts = layer, []
        self.process = subprocess.Popen(
            [deployment.BIN / "assay-starter", "--lower", layer, "--count", str(10**9), "--rate", str(rate_hz),
             "--report", "--", *words], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            _, pid, exec_ns = line.split("\t")
            self.starts.append(Start(int(pid), int(exec_ns), self.layer))

    def stop(self):
        """Ends the containers, too."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()


class MadeUp:
    """A timetable of containers and the agent that is shown them (tests/support/load_agent.cpp).

    It begins a little later than now: what starts before an agent ever watched is in no ledger. With a
    `watched` file the agents say since when they watch; what is earlier may be missing.
    """

    next_pid = 100_000

    def __init__(self, layer, count, rate_hz, life_ms, begin_in_s=2.0, is_hurried=False, watched=None):
        self.layer, self.first_pid = layer, MadeUp.next_pid
        MadeUp.next_pid += count
        begin_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(begin_in_s * SECOND)
        self.timetable = ["--begin", str(begin_ns), "--count", str(count), "--rate", str(rate_hz),
                          "--life", str(life_ms), "--first-pid", str(self.first_pid)]
        self.watched = watched
        self.words = ["--hurry"] * is_hurried + ["--watched", str(watched)] * bool(watched)
        # No life is longer than seven quarters of the usual one.
        self.over_ns = begin_ns + int((count / rate_hz + 2 * life_ms / 1000) * SECOND)

    def command(self, config):
        return [TESTS / "load_agent", "run", "--config", config, "--lower", self.layer,
                *self.timetable, *self.words]

    def wait_until_over(self):
        time.sleep(max(0, self.over_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) / SECOND)

    def starts(self):
        out = subprocess.run([TESTS / "load_agent", "ledger", *self.timetable], capture_output=True,
                             text=True, check=True).stdout
        shift = boot_to_wall_ns()
        watched_since_ns = int(self.watched.read_text().split()[0]) if self.watched else 0
        for line in out.splitlines():
            _, pid, start, _ = map(int, line.split("\t"))
            yield Start(pid, start + shift, self.layer, may_be_missing=start < watched_since_ns)
