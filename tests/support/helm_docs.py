#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the page of the chart's values: a row for each "# --" comment of values.yaml, with the key and default below it."""
import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "deploy/helm/assay"
HEAD = """# Values of the chart

Made from the comments of `deploy/helm/assay/values.yaml` by `tests/support/helm_docs.py`; a test fails when this page is stale.
What to set on which platform: [kubernetes.md](kubernetes.md).

| key | default | what |
| --- | --- | --- |
"""


def rows(text):
    values, above, comment = yaml.safe_load(text), [], ""
    for line in text.splitlines():
        found = re.match(r"( *)# -- (.*)", line)
        if found:
            comment = found[2]
            continue
        found = re.match(r"( *)([A-Za-z]+):", line)
        if not found:
            continue
        above = [*above[:len(found[1]) // 2], found[2]]
        if comment:
            value = values
            for key in above:
                value = value[key]
            yield ".".join(above), json.dumps(value), comment
            comment = ""


def page():
    return HEAD + "".join(f"| `{key}` | `{value}` | {comment} |\n"
                          for key, value, comment in rows((CHART / "values.yaml").read_text()))


if __name__ == "__main__":
    sys.stdout.write(page())
