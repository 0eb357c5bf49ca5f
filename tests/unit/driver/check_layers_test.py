# SPDX-License-Identifier: Apache-2.0
"""tests/check_layers.py finds each kind of forbidden include and lets the allowed ones pass."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "check_layers.py"
TABLE = """```layers
common/base:
common/wire:
agent/core: common/base
agent/probe: agent/core common/base
agent/uplink: agent/core common/wire
agent/app: agent common
```
"""


def check(files, table=TABLE):
    """Runs the script over a tree of {path: text}: (exit code, messages)."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"docs/architecture.md": table, "common/base/result.h": "",
                 "agent/core/ports.h": "", "agent/probe/probe.h": "", **files}
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", str(SCRIPT), folder], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stderr


class CheckLayersTest(unittest.TestCase):
    def assert_refused(self, files, words):
        code, messages = check(files)
        self.assertEqual(code, 1, messages)
        self.assertIn(words, messages)

    def test_downward_includes_pass(self):
        code, messages = check({
            "agent/probe/probe.cpp": '#include "agent/probe/probe.h"\n#include "agent/core/ports.h"\n'
                                     '#include "common/base/result.h"\n#include <vector>\n',
            "agent/app/agent.cpp": '#include "agent/probe/probe.h"\n',
            "agent/uplink/uplink.cpp": '#include "assay/v1/agent.pb.h"\n'})
        self.assertEqual((code, messages), (0, ""))

    def test_a_sibling_is_refused(self):
        self.assert_refused({"agent/uplink/uplink.cpp": '\n#include "agent/probe/probe.h"\n'},
                            "agent/uplink/uplink.cpp:2: includes agent/probe/probe.h")

    def test_core_may_not_look_up(self):
        self.assert_refused({"agent/core/run.cpp": '#include "agent/probe/probe.h"\n'}, "agent/core")

    def test_generated_headers_stay_where_they_are_allowed(self):
        for mark in ('"assay/v1/agent.pb.h"', "<assay/v1/agent.pb.h>"):
            self.assert_refused({"agent/probe/probe.cpp": f"#include {mark}\n"}, "assay/v1")

    def test_an_unlisted_folder_is_refused(self):
        self.assert_refused({"agent/extra/x.cpp": '#include "common/base/result.h"\n'},
                            "no folder of the layers block")

    def test_common_headers_hide_their_libraries(self):
        self.assert_refused({"common/base/key.h": "#include <openssl/evp.h>\n"}, "hide their libraries")
        self.assertEqual(check({"common/base/key.cpp": "#include <openssl/evp.h>\n"})[0], 0)

    def test_a_test_framework_in_shipped_code_is_refused(self):
        self.assert_refused({"agent/core/run.h": "#include <catch2/catch.hpp>\n"}, "test frameworks")

    def test_a_page_without_the_table_is_an_error(self):
        code, messages = check({}, table="no block")
        self.assertEqual(code, 2)
        self.assertIn("layers block", messages)


if __name__ == "__main__":
    unittest.main()
