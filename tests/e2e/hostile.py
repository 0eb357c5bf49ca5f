# SPDX-License-Identifier: Apache-2.0
"""A peer that speaks TLS and HTTP/2 as badly as it is told to: frames made by hand, from an address of its own."""
import select
import socket
import ssl
import time
import zlib

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

    def frames(self):
        """Of what was received last, up to 64 KiB, without what is not whole yet."""
        left, found = memoryview(bytes(self.received)), []
        while len(left) >= 9:
            one, length = frame.Frame.parse_frame_header(left[:9])
            if len(left) < 9 + length:
                break
            one.parse_body(left[9:9 + length])
            found.append(one)
            left = left[9 + length:]
        return found

    def ending(self, stream):
        """Status and message of a call that the server has ended; a reset is the status "reset"."""
        decoder, ending = hpack.Decoder(), {}
        for one in self.frames():
            if isinstance(one, frame.HeadersFrame):
                fields = dict(decoder.decode(one.data))
                if one.stream_id == stream:
                    ending.update(fields)
            if isinstance(one, frame.RstStreamFrame) and one.stream_id == stream:
                ending.setdefault("grpc-status", "reset")
        return ending.get("grpc-status"), ending.get("grpc-message", "")

    def leave(self, stream):
        """How many bytes of DATA the server has let the peer send until now, on its only stream."""
        initial, more = 65_535, {0: 0, stream: 0}
        for one in self.frames():
            if isinstance(one, frame.SettingsFrame):
                initial = one.settings.get(frame.SettingsFrame.INITIAL_WINDOW_SIZE, initial)
            if isinstance(one, frame.WindowUpdateFrame) and one.stream_id in more:
                more[one.stream_id] += one.window_increment
        return min(65_535 + more[0], initial + more[stream])

    def send_data(self, stream, data, seconds):
        """Sends DATA as the server gives leave, until all is sent, the call is over or the time is."""
        end, sent = time.monotonic() + seconds, 0
        while sent < len(data) and not self.is_closed and time.monotonic() < end and not self.ending(stream)[0]:
            room = min(self.leave(stream) - sent, len(data) - sent, 16_000)
            if room > 0:
                self.send(frame.DataFrame(stream, data=data[sent:sent + room]).serialize())
                sent += room
            self.drain(0 if room > 0 else 0.1)
        return sent

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


def message(data, length=None, is_compressed=False):
    """A gRPC message: of `length` bytes by its own word."""
    return bytes([is_compressed]) + (len(data) if length is None else length).to_bytes(4, "big") + data


def bomb(encoding, size):
    """`size` zeros as gRPC compresses them by that name: a thousandth of it."""
    packer = zlib.compressobj(wbits={"gzip": 31, "deflate": 15}[encoding])
    zeros = bytes(1 << 20)
    return b"".join([packer.compress(zeros) for _ in range(size >> 20)] + [packer.flush()])
