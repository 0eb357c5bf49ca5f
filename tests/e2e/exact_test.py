# SPDX-License-Identifier: Apache-2.0
"""The rung exact: layers that are proven by the tar stream that their store keeps, and those that are not what it says.

The policy asks for exact, so an approval is a proof of every layer of the base.
"""
import base64
import gzip
import json
import os
import pathlib
import unittest

import deployment
import images
import runtimes
import store_runtimes

INTERVAL_S = 5


def write_in_place(path):
    """The same inode, size and time, other bytes."""
    status = path.stat()
    with open(path, "r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Deployed:
    """A runtime, a collector and an agent that proves; a subclass names the runtime."""
    runtime_class = None

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        cls.proving = {"identify": {"exact": "on", "exact_interval": f"{INTERVAL_S}s", "rewalk_interval": "1h"}}
        cls.here.settings = cls.proving
        cls.here.start_collector()
        policy = cls.here.folder / "policy.yaml"
        policy.write_text("required_rung: exact\n")
        cls.here.query("policy", "set", policy, "--yes", "--reason", "test")
        cls.here.start_agent(cls.runtime)
        cls.archives = pathlib.Path(cls.here.folder, "images")
        cls.archives.mkdir()

    def load(self, name):
        """An approved image of two layers in the runtime's store; its layers' tars, bottom first."""
        self.reference = f"docker.io/library/{name}:1"
        layers = [images.busybox_layer(self.archives / f"{name}-layer", f"the layer of {name}"),
                  images.layer(self.archives / f"{name}-top", {"etc/top": f"the top of {name}".encode()})]
        archive = images.image_archive(self.archives / f"{name}.tar", self.reference, layers)
        self.here.assay("base", "approve", f"{name}:1", "--from", archive)
        self.runtime.load(archive, self.reference)
        return layers

    def run_container(self, name):
        self.runtime.run(name, self.reference, "/bin/sleep", "600")
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def layers_of(self, run):
        return [layer for layer in self.here.query("trace", run["run_id"])["layers"] if not layer["is_injected"]]

    def marker_of(self, name):
        """etc/marker in the one directory that has it with the image's words."""
        words = f"the layer of {name}".encode()
        found = [path for path in self.markers() if path.read_bytes() == words]
        self.assertEqual(len(found), 1)
        return found[0]

    def mismatches(self, run):
        """With the tar stream: that a base's layer only looks the same is one of its own."""
        return [finding for finding in self.here.findings_of(run, "mismatch")
                if finding["subject"] == "layer 1's tar stream"]

    def wait_for_mismatch(self, run):
        return self.here.wait(lambda: self.mismatches(run), "finding mismatch with the tar stream")[0]

    def check_no_stream(self, name, why):
        """It stays pending, and its reason says why it was not proven."""
        def reason():
            run = self.here.wait_for_run(name, "pending")
            return "no tar stream: " in run["verdict"]["reason"] and run
        run = self.here.wait(reason, "a reason that says so")
        self.assertIn(why, run["verdict"]["reason"])
        self.assertEqual(run["verdict"]["rung"], "content")
        self.assertEqual(self.here.findings_of(run, "mismatch"), [])

    def restart(self, settings):
        self.here.stop_agent()
        self.here.settings = settings
        self.here.start_agent(self.runtime)


class Cases(Deployed):
    """Every case of a runtime."""

    def test_a_layer_that_is_proven_is_approved_and_says_so(self):
        layers = self.load("proven")
        self.run_container("proven")
        run = self.here.wait_for_run("proven", "approved")
        self.assertEqual(run["verdict"]["rung"], "exact")
        self.assertEqual([layer["exact_diff_id"] for layer in self.layers_of(run)],
                         ["sha256:" + images.sha256_of(layer) for layer in layers])
        self.assertEqual(self.here.findings_of(run), [])
        # What was proven is known to the next agent, which proves nothing itself.
        self.addCleanup(self.restart, self.proving)
        self.restart({"identify": {"exact": "off"}})
        self.run_container("later")
        self.assertEqual(self.here.wait_for_run("later", "approved")["verdict"]["rung"], "exact")

    def test_one_byte_that_was_changed_is_a_mismatch_and_tampering(self):
        self.load("changed")
        self.run_container("changed")
        run = self.here.wait_for_run("changed", "approved")
        write_in_place(self.marker_of("changed"))
        finding = self.wait_for_mismatch(run)
        self.assertIn("/etc/marker (content)", finding["reason"])
        # The node's own record is asked at once, long before its turn.
        self.assertIn("/etc/marker (content)", self.here.wait_for_finding("tampered", run)["reason"])
        self.here.wait_for_run("changed", "pending")
        self.assertIsNone(self.layers_of(run)[0]["exact_diff_id"] or None)
        self.run_container("changed-later")
        later = self.here.wait_for_run("changed-later", "pending")
        self.wait_for_mismatch(later)
        # Nothing of it resolves by itself.
        write_in_place(self.marker_of_changed())
        self.restart(self.proving)
        self.run_container("changed-last")
        last = self.here.wait_for_run("changed-last", "pending")
        self.here.wait_for_finding("tampered", last)
        self.assertEqual(len(self.mismatches(run)), 1)

    def marker_of_changed(self):
        words = b"the layer of changed"
        found = [path for path in self.markers() if path.read_bytes()[1:] == words[1:]]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_without_a_tar_stream_nothing_is_proven_and_the_reason_is_said(self):
        self.load("bare")
        self.lose_streams()
        self.run_container("bare")
        self.check_no_stream("bare", "there is no ")


class TarSplits:
    """Runtimes whose stores keep tar-splits."""

    def lose_streams(self):
        for path in self.tar_splits("bare"):
            path.unlink()

    def test_a_forged_tar_split_that_carries_the_bytes_proves_nothing(self):
        layers = self.load("counterfeit")
        path = self.tar_splits("counterfeit")[0]
        write_in_place(self.marker_of("counterfeit"))
        whole = base64.b64encode(layers[0].read_bytes()).decode()
        path.write_bytes(gzip.compress(json.dumps({"type": 2, "payload": whole, "position": 0}).encode() + b"\n"))
        self.run_container("counterfeit")
        run = self.here.wait_for_run_of("counterfeit")
        finding = self.wait_for_mismatch(run)
        self.assertIn("itself", finding["reason"])
        run = self.here.wait_for_run_of("counterfeit")
        self.assertNotEqual(run["verdict"]["status"], "approved")
        self.assertFalse(self.layers_of(run)[0]["exact_diff_id"])


class DockerTest(TarSplits, Cases, unittest.TestCase):
    runtime_class = runtimes.Docker

    def markers(self):
        return self.runtime.folder.glob("data/overlay2/*/diff/etc/marker")

    def tar_splits(self, name):
        """Of the image's layers, bottom first."""
        layerdb = self.runtime.folder / "data/image/overlay2/layerdb/sha256"
        diff_ids = json.loads(self.runtime.client("inspect", "--format", "{{json .RootFS.Layers}}", f"{name}:1"))
        return [next(layerdb / entry / "tar-split.json.gz" for entry in os.listdir(layerdb)
                     if (layerdb / entry / "diff").read_text() == diff_id) for diff_id in diff_ids]


class PodmanTest(TarSplits, Cases, unittest.TestCase):
    runtime_class = runtimes.Podman

    def markers(self):
        return self.runtime.folder.glob("root/overlay/*/diff/etc/marker")

    def tar_splits(self, name):
        listed = json.loads((self.runtime.folder / "root/overlay-layers/layers.json").read_text())
        diff_ids = json.loads(self.runtime.client("inspect", "--type", "image", "--format", "{{json .RootFS.Layers}}",
                                                  f"docker.io/library/{name}:1"))
        return [next(self.runtime.folder / f"root/overlay-layers/{layer['id']}.tar-split.gz" for layer in listed
                     if layer.get("diff-digest") == diff_id) for diff_id in diff_ids]


class PodmanIdMappedTest(Deployed, unittest.TestCase):
    """Users of a user namespace own folders on the way to its layers: what the store says is for display."""
    runtime_class = store_runtimes.PodmanShifted

    def test_what_others_may_write_proves_nothing_and_the_reason_is_said(self):
        self.load("shifted")
        self.run_container("shifted")
        self.check_no_stream("shifted", "someone but root may write its store")


class AskedContainerd(runtimes.Containerd):
    def agent_settings(self):
        return {**super().agent_settings(), "containerd_sockets": [str(self.folder / "c.sock")]}


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = AskedContainerd

    def markers(self):
        return self.runtime.folder.glob("root/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/etc/marker")

    def lose_streams(self):
        """As a containerd that discards the layers that it unpacked."""
        for name in ("bare-layer", "bare-top"):
            digest = "sha256:" + images.sha256_of(self.archives / name)
            self.runtime.client("content", "rm", digest)


if __name__ == "__main__":
    deployment.main()
