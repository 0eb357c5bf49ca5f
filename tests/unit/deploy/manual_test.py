#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completion scripts of the three programs, read by the tools that will read them."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BIN = pathlib.Path(os.environ["ASSAY_BIN"])
PROGRAMS = ("assay", "assay-agent", "assay-collector")
BASH = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$FUNCTION"
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*argv, **options):
    return subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def script(program, shell):
    return subprocess.run([BIN / program, "completion", shell], text=True, check=True, stdout=subprocess.PIPE).stdout


def commands_in_help(program):
    """The commands that --help lists."""
    said = subprocess.run([BIN / program, "--help"], text=True, check=True, stdout=subprocess.PIPE).stdout
    indented = [line.split() for line in said.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    return [words[0] for words in indented if words and words[0].islower()]


class ManualTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def test_manual_pages_are_well_formed_and_name_every_command(self):
        for program in PROGRAMS:
            page = subprocess.run([BIN / program, "man", "--date", "2026-11-27"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout
            file = self.folder / (program + (".1" if program == "assay" else ".8"))
            file.write_text(page)
            lint = run("mandoc", "-T", "lint", "-W", "warning", file)
            self.assertEqual((lint.returncode, lint.stdout), (0, ""), program)
            names = commands_in_help(program)
            self.assertGreater(len(names), 4)
            for name in names:
                self.assertIn(f".SS {program} {name}".replace("-", "\\-"), page)
            self.assertIn(f"{program} - ", run("lexgrog", file).stdout)

    def bash(self, program, *words):
        file = self.folder / program
        file.write_text(script(program, "bash"))
        environment = dict(os.environ, FUNCTION="_" + program.replace("-", "_"))
        done = run("bash", "-u", "-c", BASH, "bash", file, *words, env=environment)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.split()

    def test_bash_offers_commands_options_and_words(self):
        self.assertTrue(set(commands_in_help("assay")) <= set(self.bash("assay", "assay", "")))
        self.assertEqual(self.bash("assay", "assay", "base", "app"), ["approve"])
        self.assertEqual(self.bash("assay", "assay", "ps", "-o", "w"), ["wide"])
        self.assertIn("--collector-address", self.bash("assay", "assay", "base", "list", "--"))
        self.assertEqual(self.bash("assay", "assay", "--config", "x"), [])
        self.assertIn("--state-dir", self.bash("assay-agent", "assay-agent", "run", "--"))
        self.assertIn("rotate", self.bash("assay-collector", "assay-collector", "ca", ""))
        self.assertNotIn("man", self.bash("assay", "assay", ""))

    def test_fish_offers_commands_options_and_words(self):
        file = self.folder / "assay.fish"
        file.write_text(script("assay", "fish"))

        def offered(line):
            done = run("fish", "--no-config", "-c", f"source {file}; complete -C '{line}'",
                       env=dict(os.environ, HOME=str(self.folder)))
            return [words.split("\t")[0] for words in done.stdout.splitlines()]
        self.assertTrue(set(commands_in_help("assay")) <= set(offered("assay ")))
        self.assertEqual(offered("assay base app"), ["approve"])
        self.assertEqual(offered("assay ps -o w"), ["wide"])
        self.assertIn("--collector-address", offered("assay base list --coll"))

    def test_zsh_parses_every_script(self):
        for program in PROGRAMS:
            file = self.folder / f"_{program}"
            file.write_text(script(program, "zsh"))
            done = run("zsh", "-f", "-n", file)
            self.assertEqual((done.returncode, done.stdout), (0, ""), program)

    def test_zsh_offers_what_its_function_adds(self):
        """The real function in a real shell; only the last step, zsh's own display, is read instead of shown."""
        file = self.folder / "_assay"
        file.write_text(script("assay", "zsh"))
        code = ("compdef() {}; _files() { print FILES }; compadd() { shift; print -l -- $@ };"
                "_describe() { print -l -- ${(P)${@[-1]}} };"
                f"source {file}; PREFIX=$1; shift; words=($@); CURRENT=$(($#words + 1)); _assay")

        def offered(*words, prefix=""):
            done = run("zsh", "-f", "-c", code, "zsh", prefix, *words)
            return [line.split(":")[0] for line in done.stdout.splitlines()]
        self.assertTrue(set(commands_in_help("assay")) <= set(offered("assay")))
        self.assertIn("approve", offered("assay", "base"))
        self.assertIn("wide", offered("assay", "ps", "-o"))
        self.assertIn("--collector-address", offered("assay", "base", "list", prefix="--"))
        self.assertEqual(offered("assay", "--config"), ["FILES"])

    def test_an_unknown_shell_is_refused_with_the_known_ones(self):
        done = run(BIN / "assay", "completion", "tcsh")
        self.assertEqual(done.returncode, 2)
        self.assertIn("bash", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
