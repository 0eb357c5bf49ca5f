#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/lib/hardening.sh on what was built, on a program with all of it, and on one with none."""
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ["ASSAY_BIN"])
PROGRAMS = [BIN / name for name in ("assay", "assay-agent", "assay-collector")]


def check(*arguments):
    done = subprocess.run([ROOT / "deploy/lib/hardening.sh", *arguments], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


class HardeningTest(unittest.TestCase):
    def test_the_three_programs_are_hardened_as_their_build_says(self):
        for program in PROGRAMS:
            said = subprocess.run([program, "version"], text=True, check=True, stdout=subprocess.PIPE).stdout
            wanted = [] if "-fstack-protector-strong" in said else ["--linked"]
            self.assertEqual(check(*wanted, program), (0, ""))

    def test_the_flags_of_a_release_give_everything(self):
        self.assertEqual(check(os.environ["ASSAY_SAMPLE"]), (0, ""))

    def test_a_program_without_hardening_lacks_all_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            source, program = pathlib.Path(folder, "bare.c"), pathlib.Path(folder, "bare")
            source.write_text("int main(void) { return 0; }\n")
            subprocess.run(["cc", "-no-pie", "-fcf-protection=none", "-Wl,-z,norelro", "-Wl,-z,lazy",
                            "-Wl,-z,execstack", "-o", program, source], check=True, capture_output=True)
            code, said = check(program)
        self.assertEqual(code, 1)
        for what in ("PIE", "RELRO", "BIND_NOW", "stack that is not executable", "stack protector", "FORTIFY",
                     "assertions of libstdc++"):
            self.assertIn(f"no {what}", said)

    def test_version_names_commit_compiler_and_flags(self):
        for program in PROGRAMS:
            said = subprocess.run([program, "version"], text=True, check=True, stdout=subprocess.PIPE).stdout
            self.assertRegex(said, r"(?m)^commit:? +([0-9a-f]{12}(-dirty)?|unknown)$")
            self.assertRegex(said, r"(?m)^compiler:? +(gcc|clang) \d+")
            self.assertRegex(said, r"(?m)^flags:? +.*-O[12]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
