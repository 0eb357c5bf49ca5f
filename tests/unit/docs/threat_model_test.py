#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each claim of docs/threat-model.md names the tests that show it, and these are there."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/threat-model.md"
TABLE = "## Which test shows what"
NOT_SHOWN = "not shown:"  # what stands there instead of a test, with why


def claims_of(text):
    """The claims in the order of the page: the words in italics that begin a point; of a part without such points its
    heading. What comes before "What an attacker can do" claims nothing."""
    text = text[text.index("## What an attacker can do"):text.index(TABLE)]
    claims = []
    for part in re.split(r"^(?=##)", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        points = re.findall(r"^- \*+([^*]+?)[.:,]?\*+", body, flags=re.MULTILINE)
        name = heading.lstrip("# ").strip()
        if name in ("What an attacker can do", "State of this version"):
            continue
        claims += [" ".join(point.split()) for point in points] or [name]
    return claims


def rows_of(text):
    """claim → what the table says shows it."""
    rows = {}
    for line in text[text.index(TABLE):].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and set(cells[0]) != {"-"} and cells[0] != "claim":
            assert cells[0] not in rows, f"two rows for: {cells[0]}"
            rows[cells[0]] = cells[1]
    return rows


def is_test(name):
    """Whether CTest knows a test of this name."""
    script = re.fullmatch(r"e2e_(.+)", name)
    if script and (ROOT / f"tests/e2e/{script[1]}.py").exists():
        return True
    if (ROOT / f"tests/fuzz/{name}.cpp").exists():
        return True
    declared = re.compile(rf"(assay_test|assay_script_test|add_test)\((NAME )?{re.escape(name)}\s")
    return any(declared.search(file.read_text()) for file in (ROOT / "tests").rglob("CMakeLists.txt"))


class ThreatModelTest(unittest.TestCase):
    def setUp(self):
        self.text = PAGE.read_text()
        self.rows = rows_of(self.text)

    def test_every_claim_has_a_row_and_every_row_a_claim(self):
        claims = claims_of(self.text)
        self.assertGreater(len(claims), 30)
        self.assertEqual(sorted(claims), sorted(self.rows))

    def test_every_row_names_tests_that_are_there(self):
        for claim, shown in self.rows.items():
            with self.subTest(claim):
                if shown.startswith(NOT_SHOWN):
                    self.assertGreater(len(shown), len(NOT_SHOWN) + 10)
                    continue
                names = re.findall(r"`([^`]+)`", shown)
                self.assertTrue(names)
                for name in names:
                    self.assertTrue(is_test(name), f"no test is called {name}")

    def test_the_check_can_fail(self):
        self.assertFalse(is_test("e2e_nothing_test"))
        self.assertFalse(is_test("base"))
        page = "## What an attacker can do\n### One\n- *A claim*: no.\n### Two\nText.\n" + TABLE + "\n| A claim | `x` |\n"
        self.assertEqual(claims_of(page), ["A claim", "Two"])
        self.assertEqual(rows_of(page), {"A claim": "`x`"})


if __name__ == "__main__":
    unittest.main()
