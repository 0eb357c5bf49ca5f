# SPDX-License-Identifier: Apache-2.0
"""An API server of Kubernetes that plays recorded answers over HTTPS, and remembers what it was asked."""
import http.server
import json
import pathlib
import ssl
import threading

ANSWERS = pathlib.Path(__file__).resolve().parents[1] / "golden" / "kubernetes"


class Api:
    """`plays`: name of the answer to a TokenReview (tests/golden/kubernetes/NAME.json), or a function of the request
    handler that answers by itself."""

    def __init__(self, certificate, key):
        self.plays, self.pod, self.asked = "authenticated", "pod", []
        self.release = threading.Event()  # of answers that are slow
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.asked.append((self.path, self.headers["Authorization"], body))
                self.play(api.plays, 201)

            def do_GET(self):
                api.asked.append((self.path, self.headers["Authorization"], None))
                self.play(api.pod, 200)

            def play(self, what, status):
                if callable(what):
                    return what(self)
                return self.answer(status, (ANSWERS / f"{what}.json").read_bytes())

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
