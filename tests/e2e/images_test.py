# SPDX-License-Identifier: Apache-2.0
"""The container images, built from the programs under test and run with what DaemonSet and StatefulSet give them.

The agent audits a docker host, but podman runs it: docker 20.10 knows no CAP_BPF.
"""
import hashlib
import json
import os
import pathlib
import platform
import subprocess
import tarfile
import unittest

import deployment
import images
import runtimes
import yaml
from deployment import BIN, NODE

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kustomize/base/assay.yaml"  # the chart, rendered
USER = 65532
PROGRAMS = {"agent": ["assay-agent", "assay-place"], "collector": ["assay-collector"], "client": ["assay"]}
CONFINED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"]


def build(out, *names):
    """Builds images; the digest of each."""
    done = subprocess.run([ROOT / "deploy/images/build.sh", "--bin", BIN, "--out", out, *names], capture_output=True,
                          text=True, check=False, timeout=600, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return {name: (out / f"assay-{name}.digest").read_text().strip() for name in names}


def rights_of_the_daemon_set(folder):
    """Options that give a container what the agent's container gets: user, capabilities, seccomp profile, host's pids."""
    objects = [one for one in yaml.safe_load_all(BASE.read_text()) if one]
    (pod,) = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "DaemonSet"]
    (data,) = [one["data"] for one in objects if one["kind"] == "ConfigMap" and "seccomp.json" in one["data"]]
    rights = pod["containers"][0]["securityContext"]
    assert rights["capabilities"]["drop"] == ["ALL"] and rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"] and not pod.get("hostNetwork")
    (folder / "seccomp.json").write_text(data["seccomp.json"])
    options = ["--user", str(rights["runAsUser"]), "--security-opt", f"seccomp={folder}/seccomp.json",
               "--cgroupns", "private"]  # as Kubernetes makes it on cgroup v2
    options += ["--pid", "host"] if pod["hostPID"] else []
    for capability in rights["capabilities"]["add"]:
        options += ["--cap-add", capability]
    return options


def give(*paths):
    """To the user of the images."""
    for path in paths:
        os.chown(path, USER, USER)


class Image:
    """What an OCI archive holds: manifest, config, layer (a TarFile)."""

    def __init__(self, archive):
        self.file = open(archive, "rb")
        self.tar = tarfile.open(fileobj=self.file)
        self.digest = json.load(self.tar.extractfile("index.json"))["manifests"][0]["digest"]
        self.manifest = json.load(self.blob(self.digest))
        self.config = json.load(self.blob(self.manifest["config"]["digest"]))
        (layer,) = self.manifest["layers"]
        self.layer = tarfile.open(fileobj=self.blob(layer["digest"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def contents(self):
        """What is in it: annotations, and each path with its bytes' digest."""
        return self.manifest["annotations"], {
            entry.name: (entry.mode, entry.mtime, entry.linkname, entry.isfile() and
                         hashlib.sha256(self.layer.extractfile(entry).read()).hexdigest()) for entry in self.layer}

    def blob(self, digest):
        return self.tar.extractfile(f"blobs/{digest.replace(':', '/')}")


class ImagesTest(unittest.TestCase):
    runtime_class = runtimes.Docker

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        cls.podman = runtimes.Podman(cls.here.folder)
        if cls.podman.missing():
            raise unittest.SkipTest(cls.podman.missing())
        cls.addClassCleanup(cls.podman.stop)
        cls.podman.start()
        cls.out = cls.here.folder / "images"
        cls.digests = build(cls.out, "agent", "collector", "client")
        for name in cls.digests:
            # docker 20.10 loads no OCI archives.
            archive = cls.here.folder / f"{name}.docker.tar"
            runtimes.command("skopeo", "copy", "--quiet", f"oci-archive:{cls.out}/assay-{name}.tar",
                             f"docker-archive:{archive}:assay-{name}:test")
            (cls.podman if name == "agent" else cls.runtime).load(archive, f"assay-{name}:test")
            archive.unlink()

    def image(self, name):
        return self.enterContext(Image(self.out / f"assay-{name}.tar"))

    def run_image(self, runtime, name, options, port):
        """A container of one of the images, on the host's network, once it is ready."""
        runtime.containers.append(name)
        self.addCleanup(runtime.remove, name)
        runtime.client("run", "--detach", "--name", name, *CONFINED, *options, f"assay-{name}:test", "run",
                       "--log-level", "info")
        try:
            runtimes.wait_until(lambda: not deployment.is_ready(port), f"{name} ready", 60)
        except runtimes.RuntimeFailure as failure:
            raise AssertionError(f"{failure}: {deployment.is_ready(port)}\n{runtime.logs(name)}") from failure

    def test_the_same_programs_give_the_same_digest(self):
        again = self.here.folder / "again"
        digests = build(again, "collector")
        one, other = (self.enterContext(Image(folder / "assay-collector.tar")) for folder in (self.out, again))
        self.assertEqual(one.contents(), other.contents())
        self.assertEqual(digests["collector"], self.digests["collector"])
        one, other = ((folder / "assay-collector.tar").read_bytes() for folder in (self.out, again))
        self.assertTrue(one == other)

    def test_an_image_holds_the_programs_and_what_they_need(self):
        for name in self.digests:
            with self.subTest(name):
                image = self.image(name)
                paths = {entry.name: entry for entry in image.layer}
                programs = {path for path, entry in paths.items() if entry.isfile() and entry.mode & 0o111 and
                            ".so" not in path}
                self.assertEqual(programs, {f"usr/bin/{program}" for program in PROGRAMS[name]})
                self.assertEqual([path for path, entry in paths.items() if entry.mode & 0o6000], [])
                self.assertEqual({(entry.uid, entry.gid) for entry in paths.values()}, {(0, 0)})
                self.assertIn("etc/ssl/certs/ca-certificates.crt", paths)
                sbom = json.load(image.layer.extractfile(f"usr/share/sbom/assay-{name}.spdx.json"))
                packages = {one["name"] for one in sbom["packages"][1:]}
                self.assertTrue({"libc6", "libssl3", "ca-certificates"} <= packages, packages)
                self.assertEqual({pathlib.PurePath(path).name for path in paths if "/status.d/" in path}, packages)
                self.assertEqual(image.config["config"].get("User", ""), "" if name == "agent" else f"{USER}:{USER}")

    def test_an_image_says_where_it_comes_from(self):
        image = self.image("client")
        said = image.manifest["annotations"]
        self.assertEqual(said["org.opencontainers.image.title"], "assay-client")
        self.assertEqual({key: said[key] for key in image.config["config"]["Labels"]}, image.config["config"]["Labels"])
        self.assertEqual([key for key in said if ".base." in key], [])  # from scratch: there is none to name

    def test_scanners_learn_whose_packages_it_holds(self):
        host = platform.freedesktop_os_release()
        image = self.image("client")
        lines = image.layer.extractfile("usr/lib/os-release").read().decode().splitlines()
        said = dict(line.split("=", 1) for line in lines)
        self.assertEqual((said["ID"], said["VERSION_ID"].strip('"')), (host["ID"], host["VERSION_ID"]))
        self.assertTrue(said["PRETTY_NAME"].startswith('"Assay '), said)
        self.assertEqual(image.layer.extractfile("etc/debian_version").read(), pathlib.Path("/etc/debian_version").read_bytes())
        sbom = json.load(image.layer.extractfile("usr/share/sbom/assay-client.spdx.json"))
        (purl,) = {ref["referenceLocator"].split("/")[1] + " " + ref["referenceLocator"].split("distro=")[1]
                   for one in sbom["packages"][1:] for ref in one["externalRefs"] if ref["referenceType"] == "purl"}
        self.assertEqual(purl, f"{host['ID']} {host['ID']}-{host['VERSION_ID']}")

    def test_each_library_is_of_a_package_in_the_sbom(self):
        image = self.image("collector")
        packages = {one["name"] for one in json.loads((self.out / "assay-collector.spdx.json").read_text())["packages"]}
        libraries = [entry.name for entry in image.layer if ".so" in entry.name and not entry.isdir()]
        self.assertGreater(len(libraries), 20)
        for path in libraries:
            found = subprocess.run(["dpkg-query", "--search", f"*/{pathlib.PurePath(path).name}"], check=True,
                                   capture_output=True, text=True).stdout
            self.assertTrue({line.split(":")[0] for line in found.splitlines()} & packages, path)

    def start_collector(self):
        here = self.here
        data = here.folder / "collector"
        give(data, *data.rglob("*"))
        os.chmod(here.folder, 0o755)
        self.run_image(self.runtime, "collector", [
            "--volume", f"{data}:{data}", "--volume", f"{here.folder}/collector.yaml:/etc/assay/collector.yaml:ro",
            "--volume", f"{here.folder}/operator.pub:{here.folder}/operator.pub:ro"], here.collector_http)

    def start_agent(self):
        """With the rights of the DaemonSet; its mounts are the stores, the state and what configures it."""
        here = self.here
        here.settings = {"state_dir": "/var/lib/assay-agent", "local": {"socket": ""}}
        here.agent_config(self.runtime)
        (here.folder / "agent-state").mkdir(mode=0o700)
        options = [*runtimes.LIMITS, "--ulimit", "nproc=1000:1000", *rights_of_the_daemon_set(here.folder)]
        for source, target, mode in (
                ("agent-state", "/var/lib/assay-agent", "rw"), ("agent.yaml", "/etc/assay/agent.yaml", "ro"),
                ("agent-tls", here.folder / "agent-tls", "ro"), ("operator.pub", here.folder / "operator.pub", "ro"),
                ("docker/data", self.runtime.folder / "data", "ro,rslave")):
            options += ["--volume", f"{here.folder / source}:{target}:{mode}"]
        self.run_image(self.podman, "agent", options, here.agent_http)

    def test_the_agents_image_audits_the_host_that_it_runs_on(self):
        self.start_collector()
        self.start_agent()
        here = self.here
        layer = images.busybox_layer(here.folder / "known.layer", "known")
        archive = images.image_archive(here.folder / "known.tar", "known:1", [layer])
        here.assay("base", "approve", "known:1", "--from", archive, "--reason", "test")
        self.runtime.load(archive, "known:1")
        self.runtime.run("app", "known:1", "sleep", "600")
        run = here.wait_for_run("app", "approved")
        self.assertEqual(run["names"]["name"], "app")
        self.assertEqual(here.findings_of(run), [])
        status = pathlib.Path(f"/proc/{self.podman.pid_of('agent')}/status").read_text()
        self.assertIn("Seccomp:\t2", status)
        self.assertIn("NoNewPrivs:\t1", status)
        granted = sum(1 << number for number in (39, 38, 19, 2))  # BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH
        bounding = int(status.split("CapBnd:")[1].split()[0], 16)
        self.assertEqual(bounding, granted)
        give(here.folder / "operator.key", *(here.folder / "user-tls").rglob("*"), here.folder / "user-tls")
        out = self.runtime.client("run", "--rm", *CONFINED, "--volume", f"{here.folder}:{here.folder}:ro",
                                  "assay-client:test", "--config", here.folder / "cli.yaml", "nodes", "-o", "json")
        (node,) = json.loads(out)["nodes"]
        self.assertEqual((node["node"], node["state"]), (NODE, "connected"))


if __name__ == "__main__":
    deployment.main()
