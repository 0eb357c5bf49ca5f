# SPDX-License-Identifier: Apache-2.0
"""Text that means harm, from containers, images and agents: through probe, wire, store and every output without
harm, and still to be found."""
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import unittest

import deployment
import grpc
import images
import runtimes
import wire

# Clears the screen, sets the title, begins a new log line, writes from right to left, hides, is C1's CSI.
HOSTILE = "x\x1b[2J\x1b]0;pwn\x07\r\nFAKE level=error\t\x7f\u202egnp.exe\u200b\u2066\u061c\ufeff\u009b31m\\"
BYTES = HOSTILE.encode() + b"\xff\xfe\xc0\x80"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
IMAGE = "docker.io/library/hostile:1"


def shell(text):
    """`text` for a shell, byte for byte, between double quotes."""
    return "$(/bin/busybox printf '" + "".join(f"\\{byte:03o}" for byte in text) + "')"


SCRIPT = f"""#!/bin/sh
name="/tmp/busybox{shell(BYTES)}"
/bin/busybox cp /bin/busybox "$name"
"$name" sleep 600 &
big=$(/bin/busybox printf '%0100000d' 0)
/bin/busybox true "{shell(BYTES)}" $big $big $big $big $big $big $big $big $big $big
/bin/busybox rm "/usr/bin/{shell(HOSTILE.encode())}tool"
exec /bin/busybox sleep 600
"""


class Outputs(unittest.TestCase):
    """What must hold of everything that is printed."""
    here = None

    def questions(self, run_id):
        for words in (["ps", "--all"], ["findings", "--all"], ["nodes"], ["trace", run_id], ["base", "discover"],
                      ["base", "list"]):
            for form in ("table", "wide", "json"):
                yield (*words, "-o", form)

    def assert_harmless_everywhere(self, run_id):
        for words in self.questions(run_id):
            with self.subTest(" ".join(words)):
                text = self.assay_bytes(*words).decode()  # all of it is UTF-8
                self.assertIsNone(UNSAFE.search(text), repr(text[max(0, (UNSAFE.search(text) or re.search("$", text)
                                                                         ).start() - 80):][:160]))
                if words[-1] == "json":
                    json.loads(text)
                self.assertFalse([line for line in text.splitlines() if line.startswith("FAKE")])

    def assay_bytes(self, *words):
        return self.here.assay(*words).encode()

    def assert_logs_are_lines(self, *daemons):
        for daemon in daemons:
            for line in daemon.log.read_bytes().decode().splitlines():  # UTF-8
                self.assertIsNone(UNSAFE.search(line), repr(line))
                self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[0-9:.]+Z (debug|info|warn|error) ")


class AgentsInjectionTest(Outputs):
    """An agent that puts harm into every text of its messages."""

    @classmethod
    def setUpClass(cls):
        cls.protocol = wire.Protocol()
        cls.addClassCleanup(cls.protocol.close)
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.start_collector()

    def fill(self, message, text, depth=0):
        """Puts `text` into every text field of `message` that is not set, and of those below it."""
        for field in message.DESCRIPTOR.fields:
            is_list = field.label == field.LABEL_REPEATED
            if field.message_type and field.message_type.GetOptions().map_entry:
                getattr(message, field.name)[text] = text
            elif field.type == field.TYPE_STRING and is_list:
                getattr(message, field.name).extend([text, text])
            elif field.type == field.TYPE_STRING and not getattr(message, field.name):
                setattr(message, field.name, text)
            elif field.type == field.TYPE_MESSAGE and depth < 4 and not is_list:
                if field.containing_oneof is None or message.WhichOneof(field.containing_oneof.name) == field.name:
                    self.fill(getattr(message, field.name), text, depth + 1)
            elif field.type == field.TYPE_MESSAGE and depth < 4:
                self.fill(getattr(message, field.name).add(), text, depth + 1)
        return message

    def send_everything(self, text):
        """A run with `text` in all that can be said of it; its id."""
        make, run_id = self.protocol, os.urandom(16).hex()
        through = wire.channel(f"127.0.0.1:{self.here.port}", self.here.tls("agent-tls"))
        self.addCleanup(through.close)
        stream = wire.AgentStream(make, through)
        stream.send(hello=self.fill(make.Hello(cluster="test", node="node-1", epoch=os.urandom(16), commands=["verify"]),
                                    text))
        stream.wait_for_welcome()
        start = self.fill(make.RunStarted(run_id=run_id, kind="container", started_ns=10**18), text)
        bodies = [{"run_started": start}, {"run_named": make.RunNamed(run_id=run_id)},
                  {"exec_seen": make.ExecSeen(run_id=run_id)}, {"evidence_gap": make.EvidenceGap(from_ns=1, until_ns=2)},
                  {"run_noisy": make.RunNoisy(run_id=run_id)},
                  {"run_viewed": make.RunViewed(run_id=run_id, view=make.View(state="differs", masked=1))}]
        for number, body in enumerate(bodies, 1):
            stream.events(self.fill(make.Event(sequence=number, time_ns=10**18, **body), text))
        stack = self.fill(make.Stack(), text)
        stream.send(stacks=make.StackDescriptions(stacks=[stack]))
        stream.send(heartbeat=self.fill(make.Heartbeat(number=1), text))
        stream.send(catalog_refused=make.CatalogRefused(sequence=9, reason=text))
        stream.wait_for_acknowledged(len(bodies))
        stream.close()
        return run_id

    def test_hostile_text_in_every_field(self):
        run_id = self.send_everything(HOSTILE)
        self.assert_harmless_everywhere(run_id)
        self.assert_logs_are_lines(self.here.collector)
        with contextlib.closing(sqlite3.connect(self.here.store)) as store:
            self.assertEqual(store.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        # The exact text finds it, and JSON says it as it is.
        (found,) = self.here.runs("--all", "--container", HOSTILE)
        self.assertEqual(found["run_id"], run_id)
        self.assertEqual(found["names"]["name"], HOSTILE)
        self.assertEqual(self.here.query("trace", HOSTILE)["run"]["run_id"], run_id)
        self.assertIn("\\x1b[2J", self.here.assay("trace", run_id))

    def test_a_megabyte_in_every_field_is_cut(self):
        run_id = self.send_everything("\x1b" * 30_000 + "m" * 70_000)
        self.assert_harmless_everywhere(run_id)
        self.assertLess(len(self.here.assay("trace", run_id, "-o", "json")), 2_000_000)
        self.send_everything("\u202e" * 20_000)

    def test_text_that_is_not_utf_8_ends_the_stream(self):
        hello = self.protocol.FromAgent(hello=self.protocol.Hello(
            cluster="test", node="node-1", epoch=b"u" * 16, version="PLACE")).SerializeToString()
        through = wire.channel(f"127.0.0.1:{self.here.port}", self.here.tls("agent-tls"))
        self.addCleanup(through.close)
        stream = wire.AgentStream(self.protocol, through)
        stream.send_bytes(hello.replace(b"PLACE", b"\xff\xfe\xc0\x80x"))
        with self.assertRaises((grpc.RpcError, AssertionError)):
            stream.wait_for_welcome()
        self.assertTrue(self.here.collector.is_alive())

    def test_metrics_are_lines_of_metrics(self):
        self.send_everything(HOSTILE)
        for line in self.here.metrics_text(self.here.collector_http).splitlines():
            self.assertRegex(line, r"^(# |[a-z_]+(\{[a-z_]+=\"[a-z_]+\"\})? [0-9.e+-]+$)")

    def test_people_who_ask_with_hostile_words_get_one_harmless_line(self):
        for words in (("ps", "--container", HOSTILE), ("trace", HOSTILE), ("ps", "--node", HOSTILE),
                      ("findings", "--kind", HOSTILE), ("base", "show", HOSTILE), ("where", HOSTILE)):
            with self.subTest(words[:2]):
                done = deployment.subprocess.run(
                    [deployment.BIN / "assay", "--config", self.here.folder / "cli.yaml", *words], capture_output=True,
                    timeout=deployment.DEADLINE_S, check=False,
                    env={**os.environ, "XDG_STATE_HOME": str(self.here.folder / "state")})
                self.assertIsNone(UNSAFE.search(done.stdout.decode()))
                self.assertIsNone(UNSAFE.search(done.stderr.decode()))
                self.assertLessEqual(len(done.stderr.decode().splitlines()), 2)


class ContainersInjectionTest(Outputs):
    """A real container of a hostile image."""
    runtime_class = runtimes.Docker

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        cls.here.agent_settings["exec"] = {"level": "all"}
        folder = pathlib.Path(cls.here.folder, "images")
        folder.mkdir()
        release = f'ID="{HOSTILE}"\nNAME="\x1b[31mEvil"\nVERSION_ID="1\x07"\n'.replace("\r\n", "\r")
        base = images.busybox_layer(folder / "base.layer", "hostile", {
            "opt/go.sh": SCRIPT.encode(), "usr/bin/" + HOSTILE + "tool": b"#!/bin/sh\n", "tmp/keep": b"",
            "etc/os-release": release.encode(errors="surrogateescape")})
        cls.image = images.image_archive(folder / "hostile.tar", IMAGE, [base], labels={
            "hostile": HOSTILE, HOSTILE: "v", "io.kubernetes.pod.name": HOSTILE, "big": "b" * 1_000_000})
        cls.runtime.load(cls.image, IMAGE)
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.here.assay("base", "approve", "hostile:1", "--from", cls.image)

    def test_a_hostile_container(self):
        self.runtime.run("hostile", IMAGE, "/bin/sh", "/opt/go.sh", HOSTILE, options=(
            "--label", f"given={HOSTILE}", "--label", "\x1b[31mname\u202e=given", "--cgroup-parent", "/evil-\x1b[31m"))
        self.addCleanup(lambda: self.runtime.remove("hostile"))
        run = self.here.wait_for_run_of("hostile")

        def names_of_no_text():
            return any("\\xff" in json.dumps(one) for one in self.here.query("trace", run["run_id"])["execs"])
        self.here.wait(names_of_no_text, "execs of hostile names")
        self.here.agent.process.send_signal(signal.SIGUSR1)  # looks into the root again
        finding = self.here.wait_for_finding("masked-base", run)
        self.assert_harmless_everywhere(run["run_id"])
        self.assert_logs_are_lines(self.here.collector, self.here.agent)
        self.assertIn("\\x1b[2J", finding["reason"])
        trace = self.here.query("trace", run["run_id"])
        self.assertEqual(trace["run"]["names"]["labels"]["given"], HOSTILE)
        self.assertLess(len(json.dumps(trace)), 2_000_000)
        self.assertEqual(self.here.query("trace", "hostile")["run"]["run_id"], run["run_id"])


if __name__ == "__main__":
    deployment.main()
