#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers that no kernel of this node runs: found by their runtimes' bundles, named, never called approved.

Neither gVisor nor Kata Containers is packaged where the tests run: the bundles are made by hand as containerd 1.7 and the
shims write them, the processes and the mounts in them are real.
"""
import json
import pathlib
import subprocess
import unittest

import deployment
import images
from by_hand import unpack

RUNSC = "/usr/local/bin/containerd-shim-runsc-v1"
KATA = "/opt/kata/bin/containerd-shim-kata-v2"
RUNC = "/usr/bin/containerd-shim-runc-v2"
GOLDEN = "registry.example/golden:1"


class Bundle:
    """One container in containerd's state folder, with a process of its own on the host's root."""

    def __init__(self, state, name, shim, annotations=None):
        self.name = name
        self.folder = state / "io.containerd.runtime.v2.task/k8s.io" / name
        (self.folder / "rootfs").mkdir(parents=True)
        self.process = subprocess.Popen(["/bin/sleep", "600"])
        self.is_mounted = False
        self.write("config.json", json.dumps({"ociVersion": "1.1.0", "annotations": {
            "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": name,
            "io.kubernetes.cri.image-name": GOLDEN, "io.kubernetes.cri.sandbox-name": f"{name}-0",
            "io.kubernetes.cri.sandbox-namespace": "shop", **(annotations or {})}}))
        self.write("shim-binary-path", shim)

    def start(self, pid_file):
        self.write(pid_file, str(self.process.pid))

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def mount(self, layers, scratch):
        """The root, as the shim mounts it: an overlay on `layers`, top first."""
        upper, work = scratch / f"{self.name}.upper", scratch / f"{self.name}.work"
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={':'.join(map(str, layers))},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.folder / "rootfs"], check=True)
        self.is_mounted = True

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.is_mounted:
            subprocess.run(["umount", self.folder / "rootfs"], check=True)
            self.is_mounted = False


class SandboxesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        tar = images.busybox_layer(cls.here.folder / "golden.layer", "golden")
        cls.layer = unpack(tar, cls.here.folder / "layers/golden")
        archive = images.image_archive(cls.here.folder / "golden.tar", GOLDEN, [tar])
        cls.state = cls.here.folder / "state"
        cls.state.mkdir()
        cls.here.settings = {"runtime": {"containerd_states": [str(cls.state)]}, "probe": {"sweep_interval": "1s"}}
        cls.here.start_collector()
        cls.here.assay("base", "approve", "golden:1", "--from", archive)
        cls.here.start_agent()

    def bundle(self, name, shim, pid_file, annotations=None):
        made = Bundle(self.state, name, shim, annotations)
        self.addCleanup(made.end)
        if pid_file:
            made.start(pid_file)
        return made

    def wait_for_unseen(self, name, text, kind="vm-sandbox"):
        """The run of a container that nobody can look into: told so, and named."""
        run = self.here.wait_for_run(name, "unknown")
        self.assertEqual((run["kind"], run["state"], run["is_late"]), (kind, "running", True))
        self.assertEqual((run["names"]["runtime"], run["names"]["image"], run["names"]["pod_name"]),
                         ("containerd", GOLDEN, f"{name}-0"))
        self.assertIn(text, run["verdict"]["reason"])
        finding = self.here.wait_for_finding("unsupported-root", run)
        self.assertIn(text, finding["reason"])
        return run

    def test_a_gvisor_container_is_named_and_ends_with_its_sandbox(self):
        bundle = self.bundle("web", RUNSC, "init.pid")
        run = self.wait_for_unseen("web", "its processes run in gVisor")
        self.assertEqual(run["process"]["pid"], bundle.process.pid)
        self.assertIn("gVisor", self.here.assay("trace", "web"))
        bundle.end()
        self.here.wait(lambda: next((found for found in self.here.runs("--all", "--container", "web")
                                     if found["state"] == "ended"), None), "end of web")

    def test_containers_of_a_pod_in_kata_have_one_shim(self):
        self.bundle("pod", KATA, "shim.pid", {"io.kubernetes.cri.container-type": "sandbox"})
        self.bundle("app", KATA, None, {"io.kubernetes.cri.sandbox-id": "pod"})
        for name in ("pod", "app"):
            self.wait_for_unseen(name, "its processes run in Kata Containers")

    def test_a_base_below_a_sandbox_approves_nothing_and_is_bad_news_when_revoked(self):
        bundle = self.bundle("ledger", RUNSC, None)
        bundle.mount([self.layer], self.here.folder)
        bundle.start("init.pid")
        run = self.here.wait(lambda: next((found for found in self.here.runs("--container", "ledger")
                                           if found["verdict"]["rung"] == "content"), None),
                             "the layer of ledger known by content")
        self.assertEqual(run["verdict"]["status"], "unknown")
        self.assertIn("golden:1", self.here.assay("ps"))
        self.here.wait_for_finding("unsupported-root", run)
        self.here.assay("base", "revoke", "golden:1", "--reason", "CVE", "--yes")
        self.here.wait_for_run("ledger", "revoked")

    def test_what_runc_says_to_run_and_nobody_sees_is_told_after_a_second_look(self):
        self.bundle("lost", RUNC, "init.pid")
        self.wait_for_unseen("lost", "no process of it showed a root", kind="container")

    def test_a_number_that_another_process_has_by_now_is_no_container(self):
        gone = self.bundle("gone", RUNSC, "init.pid")
        gone.write("init.pid", "1")  # older than the file: believed; younger ones are not
        later = subprocess.Popen(["/bin/sleep", "600"])
        self.addCleanup(later.wait)
        self.addCleanup(later.kill)
        stale = self.bundle("stale", RUNSC, None)
        stale.write("init.pid", str(later.pid))
        subprocess.run(["touch", "-d", "1 hour ago", stale.folder / "init.pid"], check=True)
        self.wait_for_unseen("gone", "gVisor")  # the look that finds it passes over the other one
        self.assertEqual(self.here.runs("--all", "--container", "stale"), [])

    def test_a_bundle_that_others_may_write_is_not_believed(self):
        theirs = self.bundle("theirs", RUNSC, "init.pid")
        theirs.folder.chmod(0o777)
        self.bundle("ours", RUNSC, "init.pid")
        self.wait_for_unseen("ours", "gVisor")
        self.assertEqual(self.here.runs("--all", "--container", "theirs"), [])

    def test_once_tells_of_them(self):
        self.bundle("once", RUNSC, "init.pid")
        config = pathlib.Path(self.here.folder / "agent.yaml")
        answer = json.loads(self.here.program("assay-agent", "once", "--config", config, "-o", "json", code=1)[0])
        (run,) = [run for run in answer["runs"] if run["container"] == "once"]
        self.assertEqual((run["kind"], run["verdict"]), ("vm-sandbox", "unknown"))


if __name__ == "__main__":
    deployment.main()
