# SPDX-License-Identifier: Apache-2.0
"""Ten times the load that one collector is planned for: its memory stays below its limit, agents are
asked to come back later, and everything arrives once.

ASSAY_LOAD_SECONDS (5) and ASSAY_LOAD_AGENTS (50) make it longer and wider.
"""
import os
import unittest

import deployment
import load

SECONDS = int(os.environ.get("ASSAY_LOAD_SECONDS", "5"))
AGENTS = int(os.environ.get("ASSAY_LOAD_AGENTS", "50"))
LIMIT_MIB = 192


class LoadTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)

    def test_ten_times_the_planned_load_stays_below_the_memory_limit(self):
        load.set_limits(self.here, memory=f"{LIMIT_MIB}MiB")
        self.here.start_collector()
        report = load.put_load_on(self.here, AGENTS, 10 * load.PLANNED_EVENTS_PER_S, SECONDS)
        print(report)
        self.assertLess(report["peak_mib"], LIMIT_MIB)
        self.assertEqual(report["acknowledged"], report["made"])
        self.assert_store_holds(report)

    def test_a_collector_with_little_room_refuses_and_loses_nothing(self):
        load.set_limits(self.here, memory="128MiB", queued_bytes="1MiB", agent_bytes="64KiB")
        self.here.start_collector()
        report = load.put_load_on(self.here, AGENTS, 10 * load.PLANNED_EVENTS_PER_S, SECONDS)
        print(report)
        self.assertLess(report["peak_mib"], 128)
        self.assertEqual(report["acknowledged"], report["made"])
        self.assert_store_holds(report)

    def assert_store_holds(self, report):
        """Every container once, open or ended as its agent says, and no gap anywhere."""
        count = lambda sql: load.count_rows(self.here, sql)
        self.assertEqual(count("SELECT count(*) FROM runs"), report["runs"])
        self.assertEqual(count("SELECT count(DISTINCT node_id || run_id) FROM runs"), report["runs"])
        self.assertEqual(count("SELECT count(*) FROM runs WHERE ended_ns = 0"), report["open_runs"])
        self.assertEqual(count("SELECT sum(acknowledged) FROM epochs"), report["made"])
        self.assertEqual(count("SELECT count(*) FROM findings WHERE kind = 'evidence-gap'"), 0)


if __name__ == "__main__":
    deployment.main()
