# SPDX-License-Identifier: Apache-2.0
"""A PKI of one's own, made with the program openssl: collector, agent and people have its certificates, and neither
init nor enrolment is used (docs/runbooks/certificates.md, "Your own PKI")."""
import json
import signal
import subprocess
import unittest

import deployment
import images
import ledger
from by_hand import unpack


class OwnPkiTest(unittest.TestCase):
    def setUp(self):
        here = self.here = deployment.Deployment()
        self.addCleanup(here.close)
        self.pki = here.folder / "pki"
        self.pki.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=Root", "-keyout", "root.key", "-out", "root.pem",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        # Many companies have an issuing authority below their root.
        self.make("issuing", "root", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign")
        self.leaf("server", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth")
        self.leaf("agent", f"subjectAltName=URI:assay:node:test/{deployment.NODE}\nextendedKeyUsage=clientAuth")
        self.leaf("admin", "subjectAltName=URI:assay:admin:olga\nextendedKeyUsage=clientAuth")
        # No folder that init made: only what this PKI issued.
        data = here.folder / "data"
        data.mkdir(mode=0o700)
        config = json.loads((here.folder / "collector.yaml").read_text())
        config.update(data_dir=str(data), tls=self.files("server"))
        (here.folder / "collector.yaml").write_text(json.dumps(config))
        layer = unpack(images.busybox_layer(here.folder / "known.layer", "known"), here.folder / "layers/known")
        self.made_up = ledger.MadeUp(layer, count=100_000, rate_hz=5, life_ms=200)
        here.settings["tls"] = self.files("agent")
        client = json.loads((here.folder / "cli.yaml").read_text())
        client["tls"] = self.files("admin")
        (here.folder / "cli.yaml").write_text(json.dumps(client))
        here.start_collector()

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], cwd=self.pki, check=True, capture_output=True)

    def make(self, name, issuer, extensions):
        (self.pki / f"{name}.ext").write_text(extensions + "\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key",
                     "-CAcreateserial", "-days", "10", "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def leaf(self, name, extensions):
        """Certificate with its chain, as servers and clients show it."""
        self.make(name, "issuing", "basicConstraints=critical,CA:FALSE\n" + extensions)
        chain = (self.pki / f"{name}.pem").read_text() + (self.pki / "issuing.pem").read_text()
        (self.pki / f"{name}-chain.pem").write_text(chain)

    def files(self, name):
        return {"ca": str(self.pki / "root.pem"), "cert": str(self.pki / f"{name}-chain.pem"),
                "key": str(self.pki / f"{name}.key")}

    def state(self):
        return {node["node"]: node for node in self.here.query("nodes")["nodes"]}.get(deployment.NODE, {}).get("state")

    def connects(self):
        return self.here.metrics(self.here.agent_http)["assay_agent_collector_connects_total"]

    def test_certificates_from_elsewhere_do_all_that_is_needed(self):
        here = self.here
        here.start_agent(made_up=self.made_up)
        here.wait(lambda: self.state() == "connected", "node connected")
        # There is no key to issue with: that is said.
        _, errors = here.program("assay", "--config", here.folder / "cli.yaml", "node", "token", "create", code=2)
        self.assertIn("issues no certificates", errors)
        # Nodes can be kept out all the same.
        here.assay("node", "revoke", deployment.NODE)
        here.wait(lambda: self.state() != "connected", "node out")
        here.assay("node", "restore", deployment.NODE)
        here.wait(lambda: self.state() == "connected", "node back")
        # Another leaf, taken over by SIGHUP.
        before = self.connects()
        self.leaf("agent", f"subjectAltName=URI:assay:node:test/{deployment.NODE}\nextendedKeyUsage=clientAuth")
        here.agent.process.send_signal(signal.SIGHUP)
        here.agent.wait_for(lambda: self.connects() == before + 1, "connected with another certificate")

    def test_other_names_in_certificates_are_refused_with_the_right_ones(self):
        here = self.here
        self.leaf("agent", "subjectAltName=DNS:node-1\nextendedKeyUsage=clientAuth")
        here.start_agent(made_up=self.made_up, waits=False)
        here.agent.wait_for(lambda: "assay:node:CLUSTER/NAME" in here.agent.log.read_text(errors="replace"),
                            "the agent says which name is expected")


if __name__ == "__main__":
    deployment.main()
