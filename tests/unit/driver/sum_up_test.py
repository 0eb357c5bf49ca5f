# SPDX-License-Identifier: Apache-2.0
"""tests/support/sum_up.py counts cases in what CTest, Catch2 and unittest print."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "support/sum_up.py"
SKIPPED = '<testcase name="d" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>' \
          "<system-out>SKIPPED: needs root</system-out></testcase>"
NOT_BUILT = '<testcase name="e" status="notrun"><skipped message="Unable to find executable"/></testcase>'


def case(status, output):
    return f'<testcase name="c" status="{status}"><system-out>{output}</system-out></testcase>'


def sums(*cases):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as report:
        report.write(f"<testsuite>{''.join(cases)}</testsuite>")
        report.flush()
        done = subprocess.run([sys.executable, "-B", str(SCRIPT), report.name], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout.strip()


class SumUpTest(unittest.TestCase):
    def test_rows(self):
        rows = [
            ("catch2, all passed", [case("run", "All tests passed (9 assertions in 3 test cases)")], "3 0 0"),
            ("catch2, some failed", [case("fail", "test cases: 5 | 3 passed | 2 failed")], "3 2 0"),
            ("unittest, all passed", [case("run", "Ran 4 tests in 1.2s\n\nOK")], "4 0 0"),
            ("unittest, some skipped", [case("run", "Ran 4 tests in 1s\n\nOK (skipped=1)")], "3 0 1"),
            ("unittest, failures and errors",
             [case("fail", "Ran 6 tests in 1s\n\nFAILED (failures=1, errors=2, skipped=1)")], "2 3 1"),
            ("a crash after good words", [case("fail", "All tests passed (1 assertion in 1 test case)")],
             "1 1 0"),
            ("a program that says nothing", [case("run", ""), case("fail", "")], "1 1 0"),
            ("skipped with 77", [SKIPPED], "0 0 1"),
            ("not built counts as failed", [NOT_BUILT], "0 1 0"),
        ]
        for name, cases, expected in rows:
            with self.subTest(name):
                self.assertEqual(sums(*cases), (0, expected))

    def test_a_report_without_tests_is_an_error(self):
        self.assertEqual(sums()[0], 1)


if __name__ == "__main__":
    unittest.main()
