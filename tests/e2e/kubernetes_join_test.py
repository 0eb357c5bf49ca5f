# SPDX-License-Identifier: Apache-2.0
"""Nodes that join with a projected service account token: the collector asks an API server that plays recorded
answers over HTTPS, good ones and all kinds of bad ones."""
import json
import shutil
import unittest

import deployment
import images
import ledger
from by_hand import unpack
from kubernetes_api import Api

REFUSALS = {
    "refused": "is refused by Kubernetes: [invalid bearer token",
    "other_audience": "is not made for the audience assay-collector",
    "other_account": "is of default/default, which is not in kubernetes.accounts",
    "no_account": "is not of a service account",
    "unbound": "names neither a node nor a pod",
    "other_node": "is for node test/node-2, not for test/node-1",
}


class KubernetesJoinTest(unittest.TestCase):
    def setUp(self):
        here = self.here = deployment.Deployment()
        self.addCleanup(here.close)
        layer = unpack(images.busybox_layer(here.folder / "known.layer", "known"), here.folder / "layers/known")
        self.made_up = ledger.MadeUp(layer, count=100_000, rate_hz=5, life_ms=200)
        shutil.rmtree(here.folder / "agent-tls")
        # The API server's certificate is of an authority of its own.
        cluster = here.write("cluster.yaml", {"data_dir": str(here.folder / "cluster")})
        here.program("assay-collector", "init", "--config", cluster)
        self.api = Api(here.folder / "cluster/server.pem", here.folder / "cluster/server-key.pem")
        self.addCleanup(self.api.close)
        (here.folder / "own-token").write_text("the-collectors-own\n")
        self.token = here.folder / "projected-token"
        self.token.write_text("eyJ.agent.1\n")
        self.configure_collector(here.folder / "cluster/ca.pem")
        here.start_collector()
        here.settings["enrol"] = {"service_account_file": str(self.token),
                                  "ca": str(here.folder / "collector/ca.pem")}

    def configure_collector(self, ca):
        path = self.here.folder / "collector.yaml"
        tree = json.loads(path.read_text())
        tree["kubernetes"] = {"api_server": self.api.url, "ca": str(ca), "token": str(self.here.folder / "own-token"),
                              "accounts": ["assay/assay-agent"]}
        path.write_text(json.dumps(tree))

    def start_agent(self):
        self.here.start_agent(made_up=self.made_up, waits=False)

    def wait_until_connected(self):
        self.here.wait(lambda: [node for node in self.here.query("nodes")["nodes"]
                                if node["node"] == deployment.NODE and node["state"] == "connected"],
                       "node connected")

    def try_to_join(self, words):
        """The agent is refused, and says so."""
        self.start_agent()
        self.here.agent.wait_for(lambda: words in self.here.agent.log.read_text(errors="replace"), words)
        self.here.stop_agent()

    def refused(self):
        store = ledger.Store(self.here.store)
        try:
            return [row["detail"] for row in store.rows("SELECT detail FROM audit_log WHERE action = 'node.enrol'"
                                                        " AND outcome = 'refused' ORDER BY audit_key")]
        finally:
            store.close()

    def test_a_node_joins_as_the_node_that_its_token_names(self):
        self.start_agent()
        self.wait_until_connected()
        path, authorization, body = self.api.asked[0]
        self.assertEqual((path, authorization), ("/apis/authentication.k8s.io/v1/tokenreviews",
                                                 "Bearer the-collectors-own"))
        self.assertEqual(body["spec"], {"token": "eyJ.agent.1", "audiences": ["assay-collector"]})

    def test_an_older_api_server_is_asked_for_the_pod(self):
        self.api.plays = "older_server"
        self.start_agent()
        self.wait_until_connected()
        self.assertEqual(self.api.asked[-1][0], "/api/v1/namespaces/assay/pods/assay-agent-x7k2p")

    def test_what_kubernetes_does_not_vouch_for_is_refused(self):
        for answer, words in REFUSALS.items():
            with self.subTest(answer):
                self.api.plays = answer
                self.try_to_join(words)
        self.api.plays, self.api.pod = "older_server", "pod_of_the_same_name"
        self.try_to_join("that is gone")
        self.assertGreaterEqual(len(self.refused()), len(REFUSALS))
        for path in (self.here.store, self.here.collector.log, self.here.folder / "agent.log"):
            self.assertNotIn(b"eyJ.agent", path.read_bytes())
        # And the next good answer lets it in: the file is read anew each time.
        self.api.plays = "authenticated"
        self.token.write_text("eyJ.agent.2\n")
        self.start_agent()
        self.wait_until_connected()
        self.assertEqual(self.api.asked[-1][2]["spec"]["token"], "eyJ.agent.2")

    def test_an_api_server_that_is_ill_stops_nothing_but_enrolment(self):
        ill = {
            "too large": (lambda to: to.answer(201, b'{"kind": "' + b"x" * (1 << 20) + b'"}'), "is too large"),
            "too deep": (lambda to: to.answer(201, b'{"a":' * 5000 + b"1" + b"}" * 5000), "is too deep"),
            "garbage": (lambda to: to.answer(201, b"\xff\x00<html>"), "is no JSON object"),
            "another kind": (lambda to: to.answer(200, b'{"kind": "Pod"}'), "is no TokenReview"),
            "forbidden": (lambda to: to.answer(403, b"{}"), "must be allowed to create tokenreviews"),
            "broken": (lambda to: to.answer(500, b"{}"), "it answers with 500"),
            "a redirect": (lambda to: redirect(to, self.api.url), "it answers with 307"),
            "slow": (lambda to: self.api.release.wait(deployment.DEADLINE_S), "imed out"),
        }
        for what, (plays, words) in ill.items():
            with self.subTest(what):
                self.api.plays = plays
                self.try_to_join(words)
                self.here.runs()

    def test_a_node_of_another_cluster_is_not_vouched_for(self):
        self.here.settings["cluster"] = "elsewhere"
        self.try_to_join("is for node test/node-1, not for elsewhere/node-1")

    def test_an_api_server_of_another_authority_is_not_believed(self):
        self.here.stop_collector()
        self.configure_collector(self.here.folder / "collector/ca.pem")
        self.here.start_collector()
        self.try_to_join("Kubernetes' API server: ")
        self.assertEqual(self.api.asked, [])

    def test_a_node_object_made_anew_may_come_with_another_key(self):
        self.start_agent()
        self.wait_until_connected()
        self.here.stop_agent()
        shutil.rmtree(self.here.folder / "agent/identity")
        self.try_to_join("is known by another key")
        self.api.plays = "node_made_anew"
        self.start_agent()
        self.wait_until_connected()


def redirect(to, url):
    to.send_response(307)
    to.send_header("Location", url + "/apis/authentication.k8s.io/v1/tokenreviews")
    to.send_header("Content-Length", "0")
    to.end_headers()


if __name__ == "__main__":
    deployment.main()
