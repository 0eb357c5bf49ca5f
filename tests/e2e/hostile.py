# SPDX-License-Identifier: Apache-2.0
"""A peer that speaks TLS and HTTP/2 as badly as it is told to: frames made by hand, from an address of its own."""
import select
import socket
import ssl
import time

import hpack
import hyperframe.frame as frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40  # cut in the middle
SOURCE = "127.0.0.66"


class Peer:
    """One connection. It is closed at the end of a with block, whatever the server did."""

    def __init__(self, port, ca=None, tls=None, source=SOURCE):
        """`ca`: TLS with that authority; `tls`: and a client's certificate (deployment.Deployment.tls())."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_closed = False
        self.received = bytearray()
        if ca or tls:
            context = ssl.create_default_context(cafile=(tls or {}).get("ca", ca))
            context.check_hostname = False
            context.set_alpn_protocols(["h2"])
            if tls:
                context.load_cert_chain(tls["cert"], tls["key"])
            self.socket = context.wrap_socket(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False once the server has closed or taken nothing for a while."""
        if self.is_closed:
            return False
        try:
            self.socket.settimeout(2)
            self.socket.sendall(data)
            return True
        except TimeoutError:
            return False  # it does not read: that is a defence, too
        except (OSError, ssl.SSLError):
            self.is_closed = True
            return False

    def drain(self, wait_s=0.0):
        """Reads what is there, or comes within `wait_s`."""
        while not self.is_closed:
            is_buffered = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            if not is_buffered and not poll.poll(wait_s * 1000):
                return
            try:
                self.socket.settimeout(2)
                data = self.socket.recv(65536)
            except TimeoutError:
                return
            except (OSError, ssl.SSLError):
                data = b""
            self.is_closed = not data
            self.received = (self.received + data)[-65536:]

    def is_ended_within(self, seconds):
        """Whether the server ends the connection."""
        end = time.monotonic() + seconds
        while not self.is_closed and time.monotonic() < end:
            self.drain(0.1)
        return self.is_closed

    # HTTP/2

    def start(self, settings=None):
        return self.send(PREFACE + frame.SettingsFrame(settings=settings or {}).serialize())

    def headers(self, stream, path, extra=(), ends=True, **options):
        """A HEADERS frame of a gRPC call; `ends`: the headers, not the stream."""
        block = hpack.Encoder().encode(call_headers(path) + list(extra))
        flags = ["END_HEADERS"] if ends else []
        return frame.HeadersFrame(stream, data=block, flags=flags, **options).serialize()

    def flood(self, chunk, seconds, reads=True):
        """Sends `chunk(n)` again and again until the time is over, the server closes, or reads no more."""
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            count += 1
            if not self.send(chunk(count - 1)):
                break
            if reads:
                self.drain()
        return count


def call_headers(path):
    return [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
            ("te", "trailers"), ("content-type", "application/grpc")]


def message(data, length=None):
    """A gRPC message: not compressed, of `length` bytes by its own word."""
    return b"\0" + (len(data) if length is None else length).to_bytes(4, "big") + data
