#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases in a CTest JUnit report: prints "PASSED FAILED SKIPPED".

CTest counts programs. A Catch2 or unittest program says in its last lines how many cases it ran;
those are counted where they can be read, else the program counts as one. A program that failed
counts as at least one failure whatever it printed. Exits 1 when the report holds no test.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree


def catch2_counts(text):
    """(passed, failed, skipped) of a Catch2 v2 program's closing line, or None."""
    whole = re.findall(r"^All tests passed \(.* in (\d+) test cases?\)", text, re.M)
    if whole:
        return int(whole[-1]), 0, 0
    rows = re.findall(r"^test cases:\s*(\d+)((?:\s*\|\s*\d+ \w[\w ]*)+)", text, re.M)
    if not rows:
        return None
    parts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", rows[-1][1])}
    return parts.get("passed", 0), parts.get("failed", 0), 0


def unittest_counts(text):
    """(passed, failed, skipped) of a Python unittest program's closing lines, or None."""
    ran = re.findall(r"^Ran (\d+) tests? in ", text, re.M)
    if not ran:
        return None
    last = re.findall(r"^(?:OK|FAILED)(?: \((.*)\))?$", text, re.M)
    parts = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", last[-1])} if last else {}
    failed = parts.get("failures", 0) + parts.get("errors", 0)
    skipped = parts.get("skipped", 0)
    return max(int(ran[-1]) - failed - skipped, 0), failed, skipped


def case_counts(case):
    """(passed, failed, skipped) of one CTest entry."""
    text = case.findtext("system-out") or ""
    status = case.get("status")
    if status in ("notrun", "disabled"):
        return (0, 0, 1) if "SKIP" in (case.find("skipped").get("message") or "") else (0, 1, 0)
    counts = catch2_counts(text) or unittest_counts(text)
    if status == "fail":
        passed, failed, skipped = counts or (0, 1, 0)
        return passed, max(failed, 1), skipped
    return counts or (1, 0, 0)


def main():
    try:
        cases = ElementTree.parse(sys.argv[1]).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print(f"sum_up.py: {error}", file=sys.stderr)
        return 1
    totals = [sum(column) for column in zip(*map(case_counts, cases))]
    if not totals:
        print(f"sum_up.py: no test in {sys.argv[1]}", file=sys.stderr)
        return 1
    print(*totals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
