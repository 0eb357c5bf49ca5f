# SPDX-License-Identifier: Apache-2.0
"""The collector's protocol as anybody with a certificate can speak it: messages made of the .proto
files, calls over mTLS, no code of ours in between."""
import importlib
import pathlib
import queue
import subprocess
import sys
import tempfile

import grpc
from google.protobuf import message_factory

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "common/wire"
DEADLINE_S = 60


class Protocol:
    """All messages and services of common/wire/assay/v1."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="assay-wire-", dir="/tmp")
        files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("assay/v1/*.proto"))
        subprocess.run(["protoc", f"--proto_path={PROTOS}", f"--python_out={self.folder.name}", *files],
                       check=True, timeout=DEADLINE_S)
        sys.path.insert(0, self.folder.name)
        self.modules = [importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
                        for name in files]

    def close(self):
        sys.path.remove(self.folder.name)
        self.folder.cleanup()

    def __getattr__(self, name):
        """A message's class by its name."""
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)

    def methods(self):
        """{"assay.v1.Query/ListRuns": method descriptor, …} of every service."""
        return {f"{service.full_name}/{method.name}": method for module in self.modules
                for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods}


def call(channel, path, method, requests=None):
    """Calls one method, whatever its kind, with its default message: the status' code and text."""
    message_of = message_factory.MessageFactory().GetPrototype
    kinds = {(False, False): channel.unary_unary, (False, True): channel.unary_stream,
             (True, False): channel.stream_unary, (True, True): channel.stream_stream}
    is_streaming = (method.client_streaming, method.server_streaming)
    stub = kinds[is_streaming](f"/{path}", request_serializer=lambda one: one.SerializeToString(),
                               response_deserializer=message_of(method.output_type).FromString)
    request = message_of(method.input_type)()
    given = iter(requests or [request]) if method.client_streaming else request
    try:
        answer = stub(given, timeout=DEADLINE_S)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def channel(address, tls=None, ca=None, options=()):
    """To `address`; `tls`: files of a certificate ({"ca", "cert", "key"}); none without one."""
    def read(path):
        return pathlib.Path(path).read_bytes()
    credentials = grpc.ssl_channel_credentials(read(tls["ca"]), read(tls["key"]), read(tls["cert"])) \
        if tls else grpc.ssl_channel_credentials(read(ca))
    return grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1), *options])


class AgentStream:
    """An AgentLink stream that sends what it is told to, byte for byte."""

    def __init__(self, protocol, through, deadline_s=DEADLINE_S):
        self.protocol = protocol
        self.sent = []  # serialized, in order
        self.outgoing = queue.SimpleQueue()
        connect = through.stream_stream("/assay.v1.AgentLink/Connect", request_serializer=bytes,
                                        response_deserializer=protocol.ToAgent.FromString)
        self.answers = connect(iter(self.outgoing.get, None), timeout=deadline_s)

    def send_bytes(self, message):
        self.sent.append(message)
        self.outgoing.put(message)

    def send(self, **fields):
        self.send_bytes(self.protocol.FromAgent(**fields).SerializeToString())

    def hello(self, node, epoch, cluster="test", **fields):
        self.send(hello=self.protocol.Hello(cluster=cluster, node=node, epoch=epoch,
                                            fingerprint_version=1, **fields))

    def events(self, *events, stacks=()):
        self.send(batch=self.protocol.EventBatch(events=events, stacks=stacks))

    def until(self, is_it):
        """The first answer that `is_it`; grpc.RpcError when the stream ends before."""
        for answer in self.answers:
            if is_it(answer):
                return answer
        raise AssertionError("the collector closed the stream without an error")

    def wait_for_welcome(self):
        return self.until(lambda answer: answer.HasField("welcome")).welcome

    def wait_for_acknowledged(self, sequence):
        return self.until(lambda answer: answer.acknowledgement.sequence >= sequence)

    def close(self):
        """Ends the stream and waits until the collector has: its code."""
        self.outgoing.put(None)
        return self.status()

    def status(self):
        """How the collector ends the stream."""
        try:
            for _ in self.answers:
                pass
        except grpc.RpcError:
            pass
        return self.answers.code()
