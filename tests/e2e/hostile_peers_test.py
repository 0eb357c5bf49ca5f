# SPDX-License-Identifier: Apache-2.0
"""Peers that mean harm against the real port: the collector lives, stays below limits.memory, serves
another client meanwhile, and ends or refuses the peer."""
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time
import unittest

import deployment
import grpc
import hostile
import hyperframe.frame as frame
import wire

MEMORY = 256 << 20
HANDSHAKE_S, UNPROVEN_S, IDLE_S = 2, 4, 6
GENEROUS_S = 60
LIST_NODES = "/assay.v1.Query/ListNodes"
AUTHORITIES = "/assay.v1.Enrolment/GetAuthorities"
CONNECT = "/assay.v1.AgentLink/Connect"
BOMB = 1 << 30  # bytes that a message inflates to
OK, UNIMPLEMENTED = "0", "12"


class Bystander(threading.Thread):
    """An agent that reports all the time and comes back when it is sent away, as agents do; how long an event of
    its waited for its acknowledgement at most."""

    def __init__(self, protocol, address, tls):
        super().__init__()
        self.protocol, self.tls, self.address = protocol, tls, address
        self.longest_s, self.acknowledged, self.returns, self.failure = 0.0, 0, -1, None
        self.is_over = threading.Event()
        self.epoch = os.urandom(16)
        self.start()

    def run(self):
        began = time.monotonic()
        while not self.is_over.is_set() and not self.failure:
            self.returns += 1
            try:
                with wire.channel(self.address, self.tls) as through:
                    began = self.report(through, began)
            except grpc.RpcError as error:
                if time.monotonic() - began > GENEROUS_S:
                    self.failure = error
                self.is_over.wait(0.2)

    def report(self, through, began):
        stream = wire.AgentStream(self.protocol, through, deadline_s=600)
        stream.hello("node-1", self.epoch, instance=b"bystander")
        self.acknowledged = stream.wait_for_welcome().acknowledged
        while not self.is_over.wait(0.02):
            stream.events(self.protocol.Event(sequence=self.acknowledged + 1, time_ns=1,
                                              run_ended=self.protocol.RunEnded(run_id="0" * 32)))
            try:
                stream.wait_for_acknowledged(self.acknowledged + 1)
            except grpc.RpcError:
                return began
            self.acknowledged += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            began = time.monotonic()
        stream.close()
        return began


class HostilePeersTest(unittest.TestCase):
    limits = {"memory": MEMORY, "handshake": f"{HANDSHAKE_S}s", "unproven": f"{UNPROVEN_S}s", "idle": f"{IDLE_S}s",
              "connections": 600, "address_connections": 400, "address_rate": 0}

    def setUp(self):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        path = self.here.folder / "collector.yaml"
        tree = json.loads(path.read_text())
        path.write_text(json.dumps({**tree, "limits": self.limits}))
        self.here.start_collector(environment=self.environment())
        self.ca = self.here.tls("agent-tls")["ca"]
        self.here.program("assay-collector", "issue", "--config", path, "--node", "test/node-2",
                          "--out", self.here.folder / "node-2-tls")

    def environment(self):
        return {}

    @classmethod
    def setUpClass(cls):
        cls.protocol = wire.Protocol()
        cls.addClassCleanup(cls.protocol.close)

    # What must hold whatever happens

    @contextlib.contextmanager
    def others_are_served(self):
        bystander = self.bystander = Bystander(self.protocol, f"127.0.0.1:{self.here.port}", self.here.tls("agent-tls"))
        pathlib.Path(f"/proc/{self.here.collector.process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        try:
            self.here.wait(lambda: bystander.acknowledged > 0 or bystander.failure, "a first acknowledgement")
            yield
            # Somebody who was not there before is let in, too.
            self.here.wait(self.is_newcomer_served, "a newcomer's answer", GENEROUS_S)
            done = bystander.acknowledged
            self.here.wait(lambda: bystander.acknowledged > done or bystander.failure, "one more acknowledgement")
        finally:
            bystander.is_over.set()
            bystander.join(GENEROUS_S)
        self.assertIsNone(bystander.failure)
        self.assertLess(bystander.longest_s, GENEROUS_S)
        self.assertTrue(self.here.collector.is_alive(), self.here.collector.tail())
        self.assertLess(self.peak_memory(), MEMORY)

    def is_newcomer_served(self):
        try:
            return len(self.here.query("nodes")["nodes"]) == 1
        except AssertionError:
            return False  # behind those who came before: not yet

    def peak_memory(self):
        status = pathlib.Path(f"/proc/{self.here.collector.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10

    def figures(self):
        return self.here.metrics(self.here.collector_http)

    def peer(self, tls=None, **options):
        return hostile.Peer(self.here.port, ca=self.ca, tls=tls, **options)

    def http2(self, tls=None, settings=None):
        peer = self.peer(tls)
        peer.start(settings)
        return peer

    def bare(self):
        return hostile.Peer(self.here.port)

    # Before HTTP/2

    def test_stalled_and_trickled_handshakes_end_in_time(self):
        def stall(count, first):
            peers = [self.bare() for _ in range(count)]
            for peer in peers:
                peer.send(first)
            return peers
        with contextlib.ExitStack() as stack, self.others_are_served():
            silent = stall(100, b"") + stall(100, hostile.CLIENT_HELLO[:20])
            tls = [self.peer() for _ in range(50)]  # no preface
            half = [self.peer() for _ in range(50)]
            for peer in half:
                peer.send(hostile.PREFACE)  # and no SETTINGS
            trickling = self.bare()
            for peer in (*silent, *tls, *half, trickling):
                stack.enter_context(peer)
            for byte in hostile.CLIENT_HELLO:
                if not trickling.send(bytes([byte])) or trickling.is_ended_within(0.1):
                    break
            for peer in (trickling, *silent, *tls, *half):
                self.assertTrue(peer.is_ended_within(GENEROUS_S))

    def test_what_is_not_tls_or_not_http2_is_ended(self):
        garbage = os.urandom(100_000)
        rows = [("garbage", self.bare, garbage), ("plain HTTP", self.bare, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                ("HTTP/2 without TLS", self.bare, hostile.PREFACE + frame.SettingsFrame().serialize()),
                ("a TLS record of 64 KiB", self.bare, b"\x16\x03\x01\xff\xff" + b"\0" * 70_000),
                ("garbage in TLS", self.peer, garbage),
                ("HTTP/1.1 in TLS", self.peer, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                ("a preface that changes its mind", self.peer, hostile.PREFACE[:20] + b"XX\r\n\r\n"),
                ("a frame of 16 MB", self.http2, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"\0" * 1000)]
        with self.others_are_served():
            for name, opens, data in rows:
                with self.subTest(name), opens() as peer:
                    peer.send(data)
                    self.assertTrue(peer.is_ended_within(GENEROUS_S))

    def test_connections_without_an_identity_end(self):
        with self.others_are_served():
            with self.http2() as quiet, self.http2() as asking, self.http2() as slow:
                asking.send(asking.headers(1, LIST_NODES)
                            + frame.DataFrame(1, data=hostile.message(b""), flags=["END_STREAM"]).serialize())
                slow.send(slow.headers(1, LIST_NODES))
                body = hostile.message(b"\0" * 100_000)
                for byte in body:
                    if not slow.send(frame.DataFrame(1, data=bytes([byte])).serialize()) or slow.is_ended_within(0.1):
                        break
                for peer in (quiet, asking, slow):
                    self.assertTrue(peer.is_ended_within(GENEROUS_S))
            before = self.cut_as_unproven()
            self.assertGreater(before, 0)
            with self.http2() as answered:
                self.assertTrue(self.is_ended_while_answered(answered))
            self.assertGreater(self.cut_as_unproven(), before)  # and not by the keepalive, much later

    def cut_as_unproven(self):
        text = self.here.metrics_text(self.here.collector_http)
        return int(re.search(r'cut_connections_total{limit="unproven"} (\d+)', text)[1])

    def is_ended_while_answered(self, peer):
        """Asks again and again what everybody is told."""
        end = time.monotonic() + GENEROUS_S
        for stream in range(1, 10_000, 2):
            if peer.is_closed or time.monotonic() > end:
                break
            peer.send(peer.headers(stream, AUTHORITIES)
                      + frame.DataFrame(stream, data=hostile.message(b""), flags=["END_STREAM"]).serialize())
            if stream == 1:
                self.here.wait(lambda: peer.drain(0.1) or peer.ending(1)[0] or peer.is_closed, "an answer")
                self.assertEqual(peer.ending(1)[0], OK)
            peer.drain(0.1)
        return peer.is_closed

    def test_an_idle_connection_of_a_node_ends(self):
        with self.others_are_served(), self.http2(self.here.tls("node-2-tls")) as peer:
            self.assertTrue(peer.is_ended_within(GENEROUS_S))

    # Connections

    def test_thousands_of_connections_leave_room_for_others(self):
        with contextlib.ExitStack() as stack, self.others_are_served():
            peers = [stack.enter_context(hostile.Peer(self.here.port, source=source))
                     for source in ("127.0.0.66", "127.0.0.77", "127.0.0.88") for _ in range(700)]
            self.here.wait(lambda: self.figures()["assay_collector_refused_connections_total"] > 1000, "refusals")
            self.assertLessEqual(self.figures()["assay_collector_connections"], self.limits["connections"])
            for peer in peers:
                self.assertTrue(peer.is_ended_within(GENEROUS_S))
        text = self.here.metrics_text(self.here.collector_http)
        for limit in ("connections", "address_connections"):
            self.assertRegex(text, rf'refused_connections_total{{limit="{limit}"}} [1-9]')
        self.assertIn("a connection was refused", self.here.collector.log.read_text())

    def test_without_descriptors_it_waits_and_goes_on(self):
        process = self.here.collector.process.pid
        with contextlib.ExitStack() as stack, self.others_are_served():
            room = len(os.listdir(f"/proc/{process}/fd")) + 20
            resource.prlimit(process, resource.RLIMIT_NOFILE, (room, room))
            for _ in range(100):
                stack.enter_context(self.bare())
            self.here.wait(lambda: self.figures_when_there()["assay_collector_port_starved_total"] > 0, "starvation")

    def figures_when_there(self):
        """The health port needs descriptors, too."""
        try:
            return self.figures()
        except OSError:
            return {"assay_collector_port_starved_total": 0}

    def test_an_address_that_comes_too_often_is_refused(self):
        path = self.here.folder / "collector.yaml"
        tree = json.loads(path.read_text())
        tree["limits"]["address_rate"] = 5
        path.write_text(json.dumps(tree))
        self.here.collector.process.send_signal(signal.SIGHUP)
        self.here.wait(lambda: self.figures()["assay_collector_config_reloads_total"] == 1, "reload")
        with self.others_are_served():
            for _ in range(100):
                with self.bare():
                    pass
            self.here.wait(lambda: self.figures()["assay_collector_refused_connections_total"] > 0, "refusals")

    # TLS

    def handshake(self, *options):
        """What `openssl s_client` agrees on with the port: "TLSv1.3 SUITE", or ""."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.here.port}", "-alpn", "h2", *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
                              timeout=GENEROUS_S, env={**os.environ, "OPENSSL_CONF": "/dev/null"})
        found = re.search(r"New, (TLSv1\.[0-9]), Cipher is (\S+)", done.stdout)
        version = re.search(r"Protocol *: (TLSv1\.[0-9])", done.stdout)
        return f"{(version or found)[1]} {found[2]}" if found else ""

    def test_tls_is_1_2_at_least_with_forward_secrecy_and_authenticated_encryption(self):
        self.assertRegex(self.handshake(), "^TLSv1.3 TLS_AES_")
        old = ["-tls1_2", "-cipher"]
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"):
            self.assertEqual(self.handshake(*old, suite), f"TLSv1.2 {suite}")
        weak = ":@SECLEVEL=0"
        refused = [("-ssl3",), ("-tls1", "-cipher", "ALL" + weak), ("-tls1_1", "-cipher", "ALL" + weak),
                   *((*old, suite + weak) for suite in (
                       "AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                       "DHE-RSA-AES128-GCM-SHA256", "aNULL", "eNULL", "CAMELLIA", "PSK", "ECDHE-ECDSA-AES128-CCM8"))]
        for options in refused:
            with self.subTest(options):
                self.assertEqual(self.handshake(*options), "")
        # With the same words the client gets in when a good suite is among them.
        self.assertIn("TLSv1.2", self.handshake(*old, "ALL" + weak))

    # HTTP/2 by those who have a certificate and those who have none

    def floods(self):
        """Name, and what is sent again and again; `n` counts."""
        big = [("x-pad", "v" * 4000)] * 60  # 240 kB of one header block
        encoder = hostile.hpack.Encoder()
        bomb = encoder.encode(hostile.call_headers(LIST_NODES) + [("x-bomb", "b" * 3800)])
        bomb += b"\xbe" * 16_000  # the newest entry of the table, again and again: 60 MB of headers
        data = frame.DataFrame

        def rapid_reset(n):
            return b"".join(self.call(stream) + frame.RstStreamFrame(stream, error_code=8).serialize()
                            for stream in range(1 + 200 * n, 1 + 200 * (n + 1), 2))

        def streams(n):
            return b"".join(self.call(stream) for stream in range(1 + 200 * n, 1 + 200 * (n + 1), 2))

        def agent_streams(n):
            return b"".join(self.call(stream, CONNECT) + data(stream, data=hostile.message(b"\x0a\x00")).serialize()
                            for stream in range(1 + 200 * n, 1 + 200 * (n + 1), 2))

        def one_stream_then(what):
            return lambda n: (self.call(1) if n == 0 else b"") + what

        def header_block_then(what):
            """HEADERS without an end, then CONTINUATION for ever."""
            first = frame.HeadersFrame(1, data=encoder.encode(hostile.call_headers(LIST_NODES))).serialize()
            return lambda n: (first if n == 0 else b"") + what
        literal = b"\x00\x01a\x7f\x81\x7d" + b"x" * 16_000  # a header of 16,000 bytes, not indexed
        return [
            ("headers over the limit", lambda n: self.split_headers(1 + 2 * n, big)),
            ("CONTINUATION", header_block_then(frame.ContinuationFrame(1, data=literal).serialize() * 16)),
            ("empty CONTINUATION", header_block_then(frame.ContinuationFrame(1, data=b"").serialize() * 1000)),
            ("HPACK bombs", lambda n: frame.HeadersFrame(1 + 2 * n, data=bomb, flags=["END_HEADERS"]).serialize()),
            ("rapid reset", rapid_reset),
            ("thousands of streams", streams),
            ("thousands of agent streams", agent_streams),
            ("PING", lambda n: frame.PingFrame(opaque_data=b"12345678").serialize() * 1000),
            ("SETTINGS", lambda n: frame.SettingsFrame(settings={4: n & 0xffff}).serialize() * 1000),
            ("WINDOW_UPDATE", one_stream_then(frame.WindowUpdateFrame(0, window_increment=1).serialize() * 1000)),
            ("windows beyond 2^31", one_stream_then(frame.WindowUpdateFrame(1, window_increment=2**31 - 1).serialize() * 2)),
            ("PRIORITY", lambda n: frame.PriorityFrame(1, depends_on=3, stream_weight=1).serialize() * 1000),
            ("frames that nobody knows", lambda n: b"\x00\x40\x00\xee\x00\x00\x00\x00\x01" + b"u" * 16_384),
            ("empty DATA", one_stream_then(data(1, data=b"").serialize() * 1000)),
            ("DATA of no stream", lambda n: data(77, data=b"d" * 16_000).serialize() * 4),
            ("DATA without leave", one_stream_then(data(1, data=b"\0" * 16_000).serialize() * 16)),
            ("a message of 4 GiB", one_stream_then(data(1, data=hostile.message(b"m" * 16_000, 2**32 - 1)).serialize())),
            ("RST_STREAM of no stream", lambda n: frame.RstStreamFrame(99, error_code=8).serialize() * 1000),
            ("GOAWAY", lambda n: frame.GoAwayFrame(last_stream_id=0, error_code=0).serialize() * 1000),
        ]

    def call(self, stream, path=LIST_NODES):
        block = hostile.hpack.Encoder().encode(hostile.call_headers(path))
        return frame.HeadersFrame(stream, data=block, flags=["END_HEADERS"]).serialize()

    def split_headers(self, stream, extra):
        block = hostile.hpack.Encoder().encode(hostile.call_headers(LIST_NODES) + extra, huffman=False)
        parts = [block[i:i + 16_000] for i in range(0, len(block), 16_000)]
        frames = [frame.HeadersFrame(stream, data=parts[0])]
        frames += [frame.ContinuationFrame(stream, data=part) for part in parts[1:]]
        frames[-1].flags.add("END_HEADERS")
        return b"".join(one.serialize() for one in frames)

    def flood_with(self, tls, seconds, must_end):
        for name, chunk in self.floods():
            for reads in (True, False):
                with self.subTest(name, reads=reads), self.others_are_served(), self.http2(tls) as peer:
                    sent = peer.flood(chunk, seconds, reads)
                    self.assertGreater(sent, 0)
                    if must_end:
                        self.assertTrue(peer.is_ended_within(GENEROUS_S))
                    print(f"  {name}, {'reading' if reads else 'not reading'}: {sent} times, "
                          f"{'ended' if peer.is_closed else 'open'}, {self.peak_memory() >> 20} MiB, the bystander "
                          f"waited {self.bystander.longest_s:.1f} s, back {self.bystander.returns} times", flush=True)

    def test_compressed_messages_are_refused_before_they_are_inflated(self):
        for encoding in ("gzip", "deflate"):
            body = hostile.message(hostile.bomb(encoding, BOMB), is_compressed=True)
            for tls in (None, self.here.tls("node-2-tls")):
                for says in (encoding, "identity"):
                    with self.subTest(encoding, says=says, has_identity=bool(tls)), self.others_are_served():
                        with self.http2(tls) as peer:
                            peer.send(peer.headers(1, LIST_NODES, [("grpc-encoding", says)]))
                            sent = peer.send_data(1, body, GENEROUS_S)
                            self.here.wait(lambda: peer.drain(0.1) or peer.ending(1)[0] or peer.is_closed, "an end")
                            status, why = peer.ending(1)
                        print(f"  {encoding} that says {says}: {sent} of {len(body)} bytes, status {status} {why}, "
                              f"{self.peak_memory() >> 20} MiB", flush=True)
                        if says == encoding:
                            self.assertEqual(status, UNIMPLEMENTED, why)
                        self.assertNotIn(status, (None, OK))

    def test_floods_of_those_without_an_identity(self):
        self.flood_with(None, UNPROVEN_S, must_end=True)

    def test_floods_of_a_node(self):
        self.flood_with(self.here.tls("node-2-tls"), 2, must_end=False)


if __name__ == "__main__":
    deployment.main()
