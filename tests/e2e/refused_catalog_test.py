#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Catalogs that an agent must refuse: told as a finding, and the last good one goes on, also after a restart.

Collector, agent, command line, keys and TLS are real. What a collector that obeys its own rules would never send
comes from a relay in front of it that holds its certificate (forged_catalogs.py).
"""
import json
import os
import shutil
import sqlite3
import time
import unittest

import deployment
import images
import ledger
from by_hand import unpack
from clock_test import LIBRARY
from forged_catalogs import ZEROS, Forger, Key, Relay, later, payload_digest, payload_of, to_wire

HELD = 2  # the last entry of the good catalog
TOO_MANY = 1_000_001


class RefusedCatalogTest(unittest.TestCase):
    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.folder = self.here.folder
        self.layer = unpack(images.busybox_layer(self.folder / "good.layer", "good"), self.folder / "layers/good")
        self.here.start_collector()

    def approve(self, name, *words):
        self.here.assay("base", "approve", name, "--from", self.layer, *words)

    def export(self):
        self.here.assay("base", "export", self.folder / "catalog.json")
        tree = json.loads((self.folder / "catalog.json").read_text())
        (self.folder / "catalog.json").unlink()
        return tree

    def start_agent(self, **options):
        """An agent that is shown one container on the good base, which lives as long as the test."""
        self.here.start_agent(made_up=ledger.MadeUp(self.layer, 1, 1, 3_600_000, begin_in_s=0.1), **options)

    def restart_agent(self, **options):
        self.here.stop_agent()
        self.start_agent(**options)

    def node(self):
        return (self.here.query("nodes")["nodes"] or [None])[0]

    def wait_for_sequence(self, sequence):
        def look():
            node = self.node()
            return node and node["is_connected"] and node["catalog_sequence"] == sequence
        self.here.wait(look, f"agent on catalog {sequence}")

    def wait_for_agents_verdict(self, verdict):
        """The agent's own, by the catalog that it holds."""
        def look():
            try:
                return f'verdict="{verdict}"}} 1' in self.here.metrics_text(self.here.agent_http)
            except OSError:
                return False
        self.here.wait(look, f"the agent's own verdict {verdict}")

    def wait_for_refusal(self, *words, after=""):
        """`after`: the finding as it was; it has to be told again."""
        def look():
            return next((one for one in self.here.findings("--kind", "catalog-refused")
                         if all(word in one["reason"] for word in words) and one["changed_at"] > after), None)
        finding = self.here.wait(look, f"a finding catalog-refused that says {words}")
        self.assertEqual(finding["node"], deployment.NODE)
        return finding

    def wait_for_no_refusal(self):
        self.here.wait(lambda: not self.here.findings("--kind", "catalog-refused"), "no refusal left")

    # What a hostile collector offers

    def prepare(self):
        """Two bases approved, a root with the collector's mark key, and an agent that holds it all."""
        self.approve("good:1")
        root = self.folder / "root.json"
        self.here.program("assay", "root", "init", root, "--add", self.folder / "operator.pub", "--add-mark-key",
                          self.folder / "collector/mark-key.pem.pub", "--key", self.folder / "operator.key")
        self.here.assay("root", "submit", root)
        self.approve("good:2")
        self.here.program("assay", "key", "new", "--out", self.folder / "stranger")
        self.operator = Key(self.folder / "operator.key", self.folder / "operator.pub")
        self.stranger = Key(self.folder / "stranger.key", self.folder / "stranger.pub")
        self.marker = Key(self.folder / "collector/mark-key.pem", self.folder / "collector/mark-key.pem.pub")
        self.forger = Forger(self.folder, self.operator)
        self.relay = Relay(self.here)
        self.addCleanup(self.relay.stop)
        self.here.settings = {"collector": {"address": self.relay.address}}
        self.start_agent()
        self.wait_for_sequence(HELD)
        self.wait_for_agents_verdict("approved")

    def strangers_roots(self):
        """The roots with one more, which its own key has signed and none of those before."""
        evil = self.folder / "evil.json"
        shutil.copy(self.folder / "root.json", evil)
        self.here.program("assay", "root", "rotate", evil, "--add", f"{self.folder}/stranger.pub=Eve",
                          "--key", self.folder / "stranger.key")
        return json.loads(evil.read_text())["roots"]

    def rows(self):
        """(what is offered, words of the refusal, the log)."""
        log, forger = self.export(), self.forger
        first, second = log["statements"]
        real, roots = log["head"], log["roots"]
        held = payload_of(real)["predicate"]
        third = forger.statement(second, base="good:3", sequence=3, previous=payload_digest(second))
        other = forger.statement(second, reason="another history")
        other_third = forger.statement(other, base="good:3", sequence=3, previous=payload_digest(other))
        new_id = "0123456789abcdef" * 2
        strange = [forger.of_another_catalog(first, held["catalog_id"], new_id)]
        strange.append(forger.of_another_catalog(second, held["catalog_id"], new_id,
                                                 previous=payload_digest(strange[0])))
        strange.append(forger.of_another_catalog(third, held["catalog_id"], new_id,
                                                 previous=payload_digest(strange[1])))
        loose = forger.statement(third, previous=ZEROS)
        altered = second.replace(second[60], "A" if second[60] != "A" else "B", 1)
        strangers = forger.statement(third, key=self.stranger)

        def wire(statements, head=None, **options):
            return to_wire(statements, forger.head(real, statements) if head is None else head,
                           options.pop("roots", roots), **options)

        def marked(key=self.marker, head=real, **changes):
            return to_wire([first, second], real, roots, forger.mark(head, key, **changes))

        self.accepted = wire([first, second, third])
        return [
            ("an earlier end", ["lower sequence"], wire([first])),
            ("a fork at the end", ["fork"], wire([first, other])),
            ("a longer fork", ["fork"], wire([first, other, other_third])),
            ("another catalog", ["another catalog"],
             to_wire(strange, forger.head(real, strange, catalog_id=new_id), roots)),
            ("nothing at all", ["another catalog"], to_wire([], "", roots)),
            ("an older head", ["older head"], wire([first, second], forger.head(
                real, [first, second], issued_at=later(-1)))),
            ("an expired head", ["its head expired on"], wire([first, second, third], forger.head(
                real, [first, second, third], issued_at=later(-40), expires_at=later(-10)))),
            ("no head", ["head", "missing"], wire([first, second, third], "")),
            ("a head of fewer entries", ["the head is old"], wire([first, second, third],
                                                                      forger.head(real, [first, second]))),
            ("an entry less than its head", ["the log was shortened"], wire([first], forger.head(
                real, [first, second]))),
            ("a head by a stranger", ["head", "trusted keys"], wire([first, second, third], forger.head(
                real, [first, second, third], key=self.stranger))),
            ("an entry by a stranger", ["entry 3", "trusted keys"], wire([first, second, strangers])),
            ("a root by strangers", ["catalog log, root"], wire([first, second, third], roots=self.strangers_roots())),
            ("a broken chain", ["entry 3", "the chain is broken"], wire([first, second, loose])),
            ("a missing entry", ["entry 2", "missing or out of order"], wire([first, third])),
            ("an altered entry", ["entry 2"], wire([first, altered, third])),
            ("half an entry", ["entry 3"], wire([first, second, third[:len(third) // 2]],
                                                forger.head(real, [first, second, third]))),
            ("too many entries", ["more than 1000000 entries"], to_wire(
                ["{}"] * TOO_MANY, forger.head(real, [first, second, third]), roots)),
            ("an older mark", ["freshness mark", "older than the one held"], marked(
                issued_at=later(-2), expires_at=later(-1.5))),
            ("a mark that is over", ["freshness mark", "it was over on"], marked(expires_at=later(0))),
            ("a mark by the operator's key", ["freshness mark", "no collector's key"], marked(key=self.operator)),
            ("a mark of another end", ["freshness mark", "is the last one held here"], marked(
                head=forger.head(real, [first]))),
            ("a mark for two days", ["freshness mark", "longer than a day"], marked(expires_at=later(2)))]

    def test_what_a_hostile_collector_offers_is_refused(self):
        self.prepare()
        for name, words, offered in self.rows():
            with self.subTest(name):
                self.relay.offer(offered)
                self.restart_agent()
                refusal = self.wait_for_refusal(*words)
                self.wait_for_sequence(HELD)
                self.restart_agent()  # goes on with what its disk has: the relay lets nothing else pass
                self.wait_for_refusal(*words, after=refusal["changed_at"])
                self.wait_for_sequence(HELD)
                self.wait_for_agents_verdict("approved")
                self.relay.offer(None)
                self.restart_agent()
                self.wait_for_no_refusal()
                self.wait_for_sequence(HELD)
        # The same hand makes a good one: what was refused above was refused for its own fault.
        self.relay.offer(self.accepted)
        self.restart_agent()
        self.wait_for_sequence(HELD + 1)
        self.assertEqual(self.here.findings("--kind", "catalog-refused"), [])

    def test_a_collector_that_forked_is_refused(self):
        """Two collectors that one copy made, each with a signed history of its own."""
        self.approve("good:1")
        self.here.stop_collector()
        shutil.copytree(self.folder / "collector", self.folder / "copy")
        shutil.copytree(self.folder / "state", self.folder / "state-copy")
        self.here.start_collector()
        self.approve("good:2")
        self.start_agent()
        self.wait_for_sequence(HELD)
        self.swap_collectors()
        self.approve("other:2")
        self.approve("other:3")
        self.wait_for_refusal("fork")
        self.wait_for_sequence(HELD)
        self.restart_agent()
        self.wait_for_agents_verdict("approved")
        self.wait_for_refusal("fork")
        self.swap_collectors()
        self.wait_for_no_refusal()
        self.wait_for_sequence(HELD)

    def swap_collectors(self):
        self.here.stop_collector()
        for name in ("collector", "state"):
            other = "copy" if name == "collector" else "state-copy"
            os.rename(self.folder / name, self.folder / "swap")
            os.rename(self.folder / other, self.folder / name)
            os.rename(self.folder / "swap", self.folder / other)
        self.here.start_collector()

    # What the agent's own disk holds

    def edit_state(self, *commands):
        with sqlite3.connect(self.folder / "agent/state.db") as state:
            for command in commands:
                state.execute(*command)

    def test_a_half_written_catalog_on_the_agents_disk_is_not_used(self):
        self.approve("good:1")
        self.approve("good:2")
        self.start_agent()
        self.wait_for_sequence(HELD)
        half = "UPDATE catalog_{0} SET envelope = substr(envelope, 1, length(envelope) / 2)"
        rows = [("half an entry", half.format("statements") + " WHERE sequence = 2", "entry 2"),
                ("an entry less", "DELETE FROM catalog_statements WHERE sequence = 2", "shortened"),
                ("half a head", half.format("head"), "head")]
        for name, damage, word in rows:
            with self.subTest(name):
                self.here.stop_agent()
                self.edit_state((damage,))
                self.here.stop_collector()
                self.start_agent()
                self.wait_for_agents_verdict("unknown")  # nothing is believed until the collector is back
                self.here.start_collector()
                self.wait_for_sequence(HELD)
                self.wait_for_agents_verdict("approved")
                told = self.here.wait(lambda: [one for one in self.here.findings("--all", "--kind", "catalog-refused")
                                               if word in one["reason"]], f"a finding that says {word}")
                self.assertIn("stored", told[0]["reason"])
                self.wait_for_no_refusal()

    def test_half_a_state_file_is_set_aside(self):
        self.approve("good:1")
        self.approve("good:2")
        self.start_agent()
        self.wait_for_sequence(HELD)
        self.here.stop_agent()
        state = self.folder / "agent/state.db"
        os.truncate(state, state.stat().st_size // 2)
        self.start_agent()
        self.wait_for_sequence(HELD)
        self.wait_for_agents_verdict("approved")
        self.assertTrue(list((self.folder / "agent").glob("state.db.corrupt-*")))

    # Clocks

    def test_a_clock_that_is_set_back_makes_no_expired_head_good(self):
        """libfaketime (Debian's package) tells the agent alone another time of day."""
        if not LIBRARY.exists():
            self.skipTest("needs libfaketime")
        self.approve("good:1")
        self.start_agent()
        self.wait_for_sequence(1)
        self.here.stop_agent()
        self.approve("good:2")
        # The node's clock is 40 days ahead: the head that is offered is over by it.
        self.start_agent(environment={
            "LD_PRELOAD": str(LIBRARY), "FAKETIME": "+40d", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})
        self.wait_for_refusal("its head expired on")
        self.wait_for_sequence(1)
        self.here.stop_agent()
        # What a node writes down after ten minutes of such a clock.
        self.edit_state(("INSERT OR REPLACE INTO time_floor (id, time_ns) VALUES (1, ?)",
                         [time.time_ns() + 40 * 86400 * 10**9]))
        self.start_agent()
        self.wait_for_refusal("its head expired on")
        self.wait_for_sequence(1)
        self.assertTrue(self.node()["catalog_is_stale"])


if __name__ == "__main__":
    deployment.main()
