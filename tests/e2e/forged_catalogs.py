# SPDX-License-Identifier: Apache-2.0
"""Catalogs that nobody should believe, signed by openssl with real keys, and a relay that offers them to agents."""
import base64
import copy
import datetime
import hashlib
import json
import subprocess

import deployment
import ledger
from runtimes import Daemon

STATEMENT = "urn:assay:catalog:statement:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ZEROS = "sha256:" + 64 * "0"


class Key:
    """A private key as openssl uses it."""

    def __init__(self, path, public):
        self.path = path
        shown = subprocess.run([deployment.BIN / "assay", "key", "show", public, "-o", "json"], check=True,
                               capture_output=True, text=True)
        self.id = json.loads(shown.stdout)["key_id"]
        self.is_ed25519 = "ED25519" in subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                                                      capture_output=True, text=True).stdout

    def signature(self, message, folder):
        signed = folder / "to-sign"
        signed.write_bytes(message)
        how = ["pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", signed] if self.is_ed25519 else \
            ["dgst", "-sha256", "-sign", self.path, signed]
        return subprocess.run(["openssl", *how], check=True, capture_output=True).stdout


def payload_of(envelope):
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def payload_digest(envelope):
    return "sha256:" + hashlib.sha256(base64.b64decode(json.loads(envelope)["payload"])).hexdigest()


def later(days):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Forger:
    """Makes other statements and heads of real ones, and signs them."""

    def __init__(self, folder, key):
        self.folder, self.key = folder, key

    def sign(self, payload, key=None):
        key = key or self.key
        if not isinstance(payload, bytes):
            payload = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
        message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        signature = base64.b64encode(key.signature(message, self.folder)).decode()
        return json.dumps({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE,
                           "signatures": [{"keyid": key.id, "sig": signature}]})

    def statement(self, real, key=None, **changes):
        """An approval with other members, signed anew."""
        payload = payload_of(real)
        payload["predicate"][STATEMENT].update(changes)
        if "base" in changes:
            payload["subject"][0]["name"] = changes["base"]
        return self.sign(payload, key)

    def of_another_catalog(self, real, old_id, new_id, **changes):
        payload = json.loads(json.dumps(payload_of(real)).replace(old_id, new_id))
        payload["predicate"][STATEMENT].update(changes)
        return self.sign(payload)

    def head(self, real, statements, key=None, **changes):
        """A head over the last of `statements`, as `real` but for its end and `changes`."""
        payload = payload_of(real)
        last = payload_digest(statements[-1])
        payload["predicate"].update({"sequence": len(statements), "last": last, "issued_at": later(0),
                                     "expires_at": later(30), **changes})
        payload["subject"] = [{"name": payload["predicate"]["catalog_id"], "digest": {"sha256": last[7:]}}]
        return self.sign(payload, key)

    def mark(self, head, key, **changes):
        payload = copy.deepcopy(payload_of(head))
        payload["predicateType"] = "urn:assay:catalog:mark:v1"
        payload["predicate"].update({"issued_at": later(0), "expires_at": later(0.9), **changes})
        payload["subject"][0]["digest"]["sha256"] = payload["predicate"]["last"][7:]
        return self.sign(payload, key)


def to_wire(statements, head, roots=(), mark=""):
    """Bytes of a v1.CatalogLog (types.proto)."""
    def varint(number):
        out = bytearray()
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        return bytes(out) + bytes([number])

    fields = [(1, one) for one in statements] + [(2, head)] + [(3, one) for one in roots] + [(4, mark)]
    return b"".join(varint(number << 3 | 2) + varint(len(text.encode())) + text.encode()
                    for number, text in fields if text or number == 1)


class Relay:
    """Between agents and the collector, with the collector's own certificate: a hostile collector."""

    def __init__(self, here):
        self.forged = here.folder / "forged"
        data = here.folder / "collector"
        ours = here.tls("agent-tls")
        log = here.folder / "relay.log"
        self.daemon = Daemon([ledger.TESTS / "catalog_relay", f"127.0.0.1:{here.port}", data / "ca.pem",
                              data / "server.pem", data / "server-key.pem", ours["cert"], ours["key"], self.forged],
                             log)
        self.daemon.wait_for(log.read_text, "the relay's address")
        self.address = log.read_text().strip()

    def offer(self, log):
        """From now on agents get this instead of the collector's log; None: the collector's."""
        if log is None:
            self.forged.unlink(missing_ok=True)
            return
        draft = self.forged.with_suffix(".draft")
        draft.write_bytes(log)
        draft.replace(self.forged)

    def stop(self):
        self.daemon.stop()
