# SPDX-License-Identifier: Apache-2.0
"""A valid agent certificate opens nothing but its own node's stream and the catalog: everything else
that the protocol has is tried with it, and what other nodes reported stays as it was."""
import contextlib
import os
import sqlite3
import unittest

import deployment
import grpc
import wire

Code = grpc.StatusCode

# Every RPC of the protocol, with what an agent's certificate gets. A new one needs a row: read docs/threat-model.md,
# "With an agent's certificate", first.
FOR_AGENTS = {"assay.v1.AgentLink/Connect", "assay.v1.Enrolment/Renew"}
# Whoever calls, and what an empty request of theirs gets: these decide by what is in it.
FOR_ANYBODY = {"assay.v1.Enrolment/GetAuthorities": Code.OK, "assay.v1.Enrolment/Enrol": Code.INVALID_ARGUMENT}
ON_THE_AGENTS_SOCKET_ONLY = {"assay.v1.LocalAgent/Verify"}
FOR_PEOPLE = {
    "assay.v1.Access/CreateToken", "assay.v1.Access/ListAudit", "assay.v1.Access/ListTokens",
    "assay.v1.Access/RevokeToken", "assay.v1.Access/WhoAmI", "assay.v1.Triage/ChangeFinding",
    "assay.v1.Triage/GetFinding",
    "assay.v1.CatalogService/GetFileSets", "assay.v1.CatalogService/GetImpact", "assay.v1.CatalogService/GetLog",
    "assay.v1.CatalogService/Submit", "assay.v1.NodeAccess/CreateJoinToken", "assay.v1.NodeAccess/ForgetNode",
    "assay.v1.NodeAccess/ListJoinTokens", "assay.v1.NodeAccess/RestoreNode", "assay.v1.NodeAccess/RevokeJoinToken",
    "assay.v1.NodeAccess/RevokeNode", "assay.v1.NodeCommands/Verify", "assay.v1.Planning/Discover",
    "assay.v1.Planning/TestPolicy", "assay.v1.Query/GetTrace", "assay.v1.Query/ListFindings",
    "assay.v1.Query/ListNodes", "assay.v1.Query/ListRuns", "assay.v1.ScanService/ImportScan",
    "assay.v1.ScanService/ListScans", "assay.v1.ScanService/WhereVulnerability",
}

NOW_NS = 1_700_000_000 * 10**9
RUNNING, ENDED = "a" * 32, "b" * 32
# Of the store, what tells of runs; the other columns of `nodes` say when it was heard of.
OF_A_NODE = {"runs", "stacks", "findings", "layers"}
OF_A_RUN = {"execs"}
OF_A_STACK = {"stack_layers", "stack_file_sets", "stack_matches", "stack_containments"}


class AgentRightsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.protocol = wire.Protocol()
        cls.addClassCleanup(cls.protocol.close)
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.start_collector()
        cls.here.program("assay-collector", "issue", "--config", cls.here.folder / "collector.yaml",
                         "--node", "test/node-2", "--out", cls.here.folder / "node-2-tls")
        cls.victim = cls.make_victim()

    @classmethod
    def channel(cls, certificate):
        made = wire.channel(f"127.0.0.1:{cls.here.port}", cls.here.tls(certificate))
        cls.addClassCleanup(made.close)
        return made

    @classmethod
    def open(cls, certificate, node, epoch, **fields):
        """A welcomed stream; closed by its own test."""
        stream = wire.AgentStream(cls.protocol, cls.channel(certificate))
        stream.hello(node, epoch, **fields)
        stream.welcome = stream.wait_for_welcome()
        return stream

    # What node-1 has reported

    @classmethod
    def make_victim(cls):
        """node-1 with a run that goes on and one that has ended, on described stacks; its stream's bytes."""
        make = cls.protocol
        layer = make.StackLayer(instance=make.LayerInstance(file_system="ext4:x", inode=5, generation=1,
                                                            birth_ns=1), shape=b"s" * 32, name="/layers/1")
        stream = cls.open("agent-tls", "node-1", b"1" * 16, boot_id="boot-1", instance=b"i" * 16)
        stream.send(stacks=make.StackDescriptions(stacks=[make.Stack(layers=[layer])]))
        with contextlib.closing(sqlite3.connect(cls.here.store)) as store:
            def look():
                return store.execute("SELECT digest FROM stacks").fetchone()
            (digest,) = cls.here.wait(look, "the stack's digest")
        stream.events(*(make.Event(sequence=n, time_ns=NOW_NS + n, run_started=make.RunStarted(
            run_id=run, kind="container", cause="exec", started_ns=NOW_NS + n, stack=digest,
            names=make.ContainerNames(container_id=run, name=f"web-{n}")))
            for n, run in ((1, RUNNING), (2, ENDED))))
        stream.events(make.Event(sequence=3, time_ns=NOW_NS, run_ended=make.RunEnded(run_id=ENDED, ended_ns=NOW_NS)),
                      make.Event(sequence=4, time_ns=NOW_NS, exec_seen=make.ExecSeen(run_id=RUNNING, executable="/x")))
        stream.wait_for_acknowledged(4)
        stream.close()
        return {"stream": stream.sent, "digest": digest}

    def rows_of(self, node):
        """All that the store holds of one node, but when it was heard of and its outboxes."""
        with contextlib.closing(sqlite3.connect(self.here.store)) as store:
            tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            self.assertLessEqual(OF_A_NODE | OF_A_RUN | OF_A_STACK, tables)
            (node_id,), = store.execute("SELECT node_id FROM nodes WHERE node = ?", (node,))
            questions = {table: f"SELECT * FROM {table} WHERE node_id = ?" for table in OF_A_NODE}
            questions.update({table: f"SELECT * FROM {table} WHERE run_key IN (SELECT run_key FROM runs "
                                     "WHERE node_id = ?)" for table in OF_A_RUN})
            questions.update({table: f"SELECT * FROM {table} WHERE stack_id IN (SELECT stack_id FROM stacks "
                                     "WHERE node_id = ?)" for table in OF_A_STACK})
            return {table: sorted(store.execute(text, (node_id,)).fetchall(), key=repr)
                    for table, text in questions.items()}

    @contextlib.contextmanager
    def node_1_stays_as_it_is(self):
        before = self.rows_of("node-1")
        self.assertEqual(len(before["runs"]), 2)
        yield
        self.assertEqual(self.rows_of("node-1"), before)

    # Calls

    def test_every_rpc_has_its_row(self):
        self.assertEqual(set(self.protocol.methods()), FOR_AGENTS | ON_THE_AGENTS_SOCKET_ONLY | FOR_PEOPLE
                         | set(FOR_ANYBODY))

    def test_an_agent_can_call_nothing_that_is_for_people(self):
        through = self.channel("node-2-tls")
        for path, method in self.protocol.methods().items():
            if path in FOR_AGENTS:
                continue
            with self.subTest(path):
                code, text = wire.call(through, path, method)
                expected = Code.UNIMPLEMENTED if path in ON_THE_AGENTS_SOCKET_ONLY else Code.PERMISSION_DENIED
                self.assertEqual(code, FOR_ANYBODY.get(path, expected), text)
        self.assert_audited("node:test/node-2", "Query.ListRuns")
        self.assert_audited("node:test/node-2", "CatalogService.Submit")

    def assert_audited(self, actor, action):
        def look():
            with contextlib.closing(sqlite3.connect(self.here.store)) as store:
                return store.execute("SELECT 1 FROM audit_log WHERE actor = ? AND action = ? AND outcome = 'refused'",
                                     (actor, action)).fetchall()
        self.here.wait(look, f"{action} of {actor} in the audit log")

    def test_without_a_certificate_nothing_is_answered(self):
        through = wire.channel(f"127.0.0.1:{self.here.port}", ca=self.here.tls("agent-tls")["ca"])
        self.addClassCleanup(through.close)
        for path, method in self.protocol.methods().items():
            with self.subTest(path):
                code, text = wire.call(through, path, method)
                expected = Code.UNIMPLEMENTED if path in ON_THE_AGENTS_SOCKET_ONLY else Code.UNAUTHENTICATED
                self.assertEqual(code, FOR_ANYBODY.get(path, expected), text)

    def test_a_flood_of_denied_calls_is_few_rows(self):
        through = self.channel("node-2-tls")
        method = self.protocol.methods()["assay.v1.Planning/Discover"]
        for _ in range(200):
            wire.call(through, "assay.v1.Planning/Discover", method)
        self.assert_audited("node:test/node-2", "Planning.Discover")
        with contextlib.closing(sqlite3.connect(self.here.store)) as store:
            (rows,), = store.execute("SELECT count(*) FROM audit_log WHERE action = 'Planning.Discover'").fetchall()
        self.assertLessEqual(rows, 30)

    def test_a_person_can_open_no_agent_stream(self):
        stream = wire.AgentStream(self.protocol, self.channel("user-tls"))
        stream.hello("node-1", b"p" * 16)
        self.assertEqual(stream.status(), Code.PERMISSION_DENIED)
        self.assertIn("node certificates", stream.answers.details())
        self.assert_audited("user:operator", "agent.connect")

    def test_hello_names_the_certificates_own_node(self):
        rows = [("another node", {"node": "node-1"}, Code.PERMISSION_DENIED),
                ("another cluster", {"node": "node-2", "cluster": "other"}, Code.PERMISSION_DENIED),
                ("no node", {"node": ""}, Code.PERMISSION_DENIED),
                ("the same in capitals", {"node": "NODE-2"}, Code.PERMISSION_DENIED),
                ("a path to another", {"node": "../test/node-1"}, Code.PERMISSION_DENIED),
                ("a NUL at its end", {"node": "node-2\0"}, Code.PERMISSION_DENIED),
                ("1 MB", {"node": "n" * 1_000_000}, Code.PERMISSION_DENIED),
                ("a short epoch", {"node": "node-2", "epoch": b"e"}, Code.INVALID_ARGUMENT),
                ("a long epoch", {"node": "node-2", "epoch": b"e" * 1_000_000}, Code.INVALID_ARGUMENT)]
        through = self.channel("node-2-tls")
        with self.node_1_stays_as_it_is():
            for name, fields, code in rows:
                with self.subTest(name):
                    stream = wire.AgentStream(self.protocol, through)
                    stream.hello(**{"epoch": b"h" * 16, **fields})
                    self.assertEqual(stream.status(), code)
                    self.assertLess(len(stream.answers.details()), 1000)

    def test_what_is_not_hello_comes_after_it_and_hello_once(self):
        through = self.channel("node-2-tls")
        early = wire.AgentStream(self.protocol, through)
        early.events(self.protocol.Event(sequence=1))
        self.assertEqual(early.status(), Code.FAILED_PRECONDITION)
        twice = self.open("node-2-tls", "node-2", b"t" * 16)
        twice.hello("node-2", b"t" * 16)
        self.assertEqual(twice.status(), Code.FAILED_PRECONDITION)

    def test_made_up_refusals_of_the_catalog_stay_few(self):
        stream = self.open("node-2-tls", "node-2", os.urandom(16))
        for sequence in range(2**64 - 300, 2**64):
            stream.send(catalog_refused=self.protocol.CatalogRefused(sequence=sequence, reason="\x1b[31m\n" * 10_000))
        stream.events(self.protocol.Event(sequence=1))
        stream.wait_for_acknowledged(1)
        stream.close()
        found = self.here.findings("--kind", "catalog-refused")
        self.assertLessEqual(len(found), 16)
        for finding in found:
            self.assertLess(len(finding["reason"]), 5000)
            self.assertNotRegex(finding["reason"], r"[\x00-\x1f]")

    # Another node's runs

    def foreign_events(self, run, digest):
        """Every event that names a run or a stack, naming node-1's."""
        make = self.protocol
        start = make.RunStarted(run_id=run, kind="container", started_ns=NOW_NS, stack=digest)
        names = make.ContainerNames(container_id="stolen", name="stolen")
        view = make.View(state="differs", masked=1, masked_paths=["/bin/sh (covered)"], checked_ns=NOW_NS)
        return [{"run_ended": make.RunEnded(run_id=run, ended_ns=NOW_NS + 5)},
                {"run_named": make.RunNamed(run_id=run, names=names, claim_conflicts=["image: stolen"])},
                {"run_viewed": make.RunViewed(run_id=run, view=view, stack=b"z" * 32)},
                {"exec_seen": make.ExecSeen(run_id=run, executable="/stolen")},
                {"run_noisy": make.RunNoisy(run_id=run, budget="execs", dropped=1)},
                {"stack_advanced": make.StackAdvanced(**{"from": digest, "to": b"y" * 32})},
                {"stack_advanced": make.StackAdvanced(**{"from": b"y" * 32, "to": digest, "is_of_running": True})},
                {"state_begun": make.StateBegun()},
                {"run_present": make.RunPresent(run=start, claim_conflicts=["image: stolen"], view=view)},
                {"run_started": start},
                {"state_completed": make.StateCompleted(runs=1)},
                {"state_completed": make.StateCompleted(runs=2**64 - 1, lost_starts=2**64 - 1)}]

    def test_another_nodes_runs_cannot_be_touched(self):
        with self.node_1_stays_as_it_is():
            stream = self.open("node-2-tls", "node-2", os.urandom(16))
            sequence = 0
            for run in (RUNNING, ENDED):
                for fields in self.foreign_events(run, self.victim["digest"]):
                    sequence += 1
                    stream.events(self.protocol.Event(sequence=sequence, time_ns=NOW_NS, **fields))
            stream.send(stacks=self.protocol.StackDescriptions(stacks=[self.protocol.Stack(unsupported="stolen")]))
            stream.send(file_set=self.protocol.FileSetAnswer(stack=self.victim["digest"], gap="stolen"))
            stream.send(file_set=self.protocol.FileSetAnswer(stack=self.victim["digest"], files=b"ASSAY\x01"))
            stream.send(verified=self.protocol.VerifyAnswer(command=1))
            stream.send(catalog_refused=self.protocol.CatalogRefused(sequence=2**64 - 1, reason="x" * 1_000_000))
            stream.wait_for_acknowledged(sequence)
            stream.close()
        runs = self.here.runs("--all", "--node", "node-2")
        self.assertEqual({run["node"] for run in runs}, {"node-2"})

    # Replays

    def test_a_recording_of_another_node_is_refused_as_it_is(self):
        with self.node_1_stays_as_it_is():
            stream = wire.AgentStream(self.protocol, self.channel("node-2-tls"))
            for message in self.victim["stream"]:
                stream.send_bytes(message)
            self.assertEqual(stream.status(), Code.PERMISSION_DENIED)

    def test_a_recording_of_another_node_with_its_own_hello_touches_only_itself(self):
        with self.node_1_stays_as_it_is():
            stream = self.open("node-2-tls", "node-2", b"1" * 16, boot_id="boot-1", instance=b"i" * 16)
            for message in self.victim["stream"][1:]:
                stream.send_bytes(message)
            stream.wait_for_acknowledged(4)
            stream.close()

    def test_an_old_outbox_of_the_same_node_changes_nothing_after_a_newer_one(self):
        make = self.protocol
        newer = self.open("agent-tls", "node-1", b"2" * 16, boot_id="boot-2", instance=b"j" * 16)
        newer.events(make.Event(sequence=1, time_ns=NOW_NS + 9, state_begun=make.StateBegun()),
                     make.Event(sequence=2, time_ns=NOW_NS + 9, run_present=make.RunPresent(run=make.RunStarted(
                         run_id=RUNNING, kind="container", started_ns=NOW_NS, stack=self.victim["digest"]))),
                     make.Event(sequence=3, time_ns=NOW_NS + 9, state_completed=make.StateCompleted(runs=1)))
        newer.wait_for_acknowledged(3)
        newer.close()
        with self.node_1_stays_as_it_is():
            for _ in range(2):
                replay = wire.AgentStream(make, self.channel("agent-tls"))
                for message in self.victim["stream"]:
                    replay.send_bytes(message)
                self.assertEqual(replay.wait_for_welcome().acknowledged, 4)
                replay.wait_for_acknowledged(4)
                replay.close()
            again = self.open("agent-tls", "node-1", b"2" * 16, boot_id="boot-2", instance=b"k" * 16)
            self.assertEqual(again.welcome.acknowledged, 3)
            for message in newer.sent[1:]:
                again.send_bytes(message)
            again.wait_for_acknowledged(3)
            again.close()

    # Sequences

    def test_sequences_that_make_no_sense_hurt_nobody_else(self):
        big = 2**64 - 1
        rows = [("a hole", [(1, 0), (3, 0)], Code.OUT_OF_RANGE),
                ("a hole that is owned", [(1, 0), (10, 8)], Code.OK),
                ("zero", [(0, 0), (0, big)], Code.OK),
                ("the highest", [(big, big)], Code.OK),
                ("beyond what is signed", [(2**63, 2**63), (2**63 + 1, 0)], Code.OK),
                ("backwards", [(1, 0), (2, 0), (1, 0), (2, 0)], Code.OK),
                ("the same ten thousand times", [(1, 0)] * 10_000, Code.OK)]
        with self.node_1_stays_as_it_is():
            for name, sequences, code in rows:
                with self.subTest(name):
                    stream = self.open("node-2-tls", "node-2", os.urandom(16))
                    stream.events(*(self.protocol.Event(sequence=sequence, skipped=skipped, time_ns=-2**63,
                                                        run_ended=self.protocol.RunEnded(run_id=RUNNING, ended_ns=2**63 - 1))
                                    for sequence, skipped in sequences))
                    if code == Code.OK:
                        stream.wait_for_acknowledged(max(sequence for sequence, _ in sequences))
                        stream.outgoing.put(None)
                    self.assertEqual(stream.status(), code)
            for acknowledged in (1, 2**63, big):
                stream = self.open("node-2-tls", "node-2", os.urandom(16), acknowledged=acknowledged)
                self.assertEqual(stream.welcome.acknowledged, acknowledged)
                stream.close()
        # All that is kept and told as it was.
        self.here.query("nodes")
        self.here.findings("--all", "--node", "node-2")


if __name__ == "__main__":
    deployment.main()
