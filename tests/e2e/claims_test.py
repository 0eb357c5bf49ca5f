# SPDX-License-Identifier: Apache-2.0
"""What runtimes' own stores say of images and layers: told apart, told early, and never believed over the bytes."""
import hashlib
import json
import pathlib
import tarfile
import unittest

import deployment
import images
import runtimes

THREE = "docker.io/library/three:1"
EDITED = "docker.io/library/edited:1"
CROWDED = "docker.io/library/crowded:1"
MAX_ENTRIES = 1000


def true_ids(archive, layers):
    """What is true of an image by its archive: digests, diff IDs and chain IDs, bottom first."""
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = index["manifests"][0]["digest"]
        config = json.load(tar.extractfile("blobs/" + manifest.replace(":", "/")))["config"]["digest"]
    diff_ids = ["sha256:" + images.sha256_of(layer) for layer in layers]
    chains = diff_ids[:1]
    for diff_id in diff_ids[1:]:
        chains.append("sha256:" + hashlib.sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest())
    return {"manifest": manifest, "config": config, "diff_ids": diff_ids, "chain_ids": chains}


class Deployed:
    """A runtime with the images, a collector and an agent; a subclass names the runtime."""
    runtime_class = None

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        cls.load_images()
        cls.here.start_collector()
        cls.start_agent()

    @classmethod
    def start_agent(cls):
        config = cls.here.agent_config(cls.runtime)
        tree = json.loads(config.read_text())
        tree["identify"]["max_entries"] = MAX_ENTRIES
        config.write_text(json.dumps(tree))
        cls.here.start_agent_with(config)

    @classmethod
    def load_images(cls):
        folder = pathlib.Path(cls.here.folder, "images")
        folder.mkdir()
        bottom = images.busybox_layer(folder / "bottom", "bottom")
        layers = [bottom, images.layer(folder / "middle", {"etc/two": b"2\n"}),
                  images.layer(folder / "top", {"etc/three": b"3\n"})]
        archive = images.image_archive(folder / "three.tar", THREE, layers)
        cls.true = true_ids(archive, layers)
        cls.base = images.image_archive(folder / "base.tar", "docker.io/library/base:1", [bottom])
        edited = images.busybox_layer(folder / "edited", "to be edited on the node")
        cls.edited = images.image_archive(folder / "edited.tar", EDITED, [edited])
        # More paths than the agent is told to look at: nothing but the claim will ever be known.
        crowded = images.layer(folder / "crowded", {
            "bin/busybox": pathlib.Path(images.BUSYBOX).read_bytes(),
            **{f"srv/{number}": b"" for number in range(MAX_ENTRIES + 1)}}, {"bin/sleep": "busybox"})
        cls.crowded = images.image_archive(folder / "crowded.tar", CROWDED, [crowded])
        for reference, path in ((THREE, archive), (EDITED, cls.edited), (CROWDED, cls.crowded)):
            cls.runtime.load(path, reference)

    def approve(self, base, archive):
        if base not in [row["base"] for row in self.here.query("base", "list")["bases"]]:
            self.here.assay("base", "approve", base, "--from", archive)

    def run_container(self, name, image):
        self.runtime.run(name, image, "/bin/sleep", "600")
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def layers_of(self, run):
        return [layer for layer in self.here.query("trace", run["run_id"])["layers"]
                if not layer["is_injected"]]

    def wait_for_claims(self, run):
        """The layers' claims as soon as there are any."""
        def look():
            layers = self.layers_of(run)
            return layers and layers[0]["claimed_chain_id"] and layers
        return self.here.wait(look, f"claims of {run['container']}")


class Cases(Deployed):
    """Every case of one runtime."""
    has_manifests = True  # the store keeps them

    def check_true_claims(self, layers):
        self.assertEqual([layer["claimed_diff_id"] for layer in layers], self.true["diff_ids"])
        self.assertEqual([layer["claimed_chain_id"] for layer in layers], self.true["chain_ids"])
        self.assertEqual({layer["is_claim_for_display"] for layer in layers}, {False})

    def test_name_digests_and_ids_are_told_apart(self):
        self.approve("base:1", self.base)
        self.run_container("three", THREE)
        run = self.here.wait_for_run("three", "approved", layers=3)
        self.check_true_claims(self.wait_for_claims(run))

        def named():
            names = self.here.query("trace", "three")["run"]["names"]
            return names["config_digest"] and names
        names = self.here.wait(named, "config digest of three")
        self.assertEqual(names["image"], THREE)
        self.assertEqual(names["config_digest"], self.true["config"])
        self.assertEqual(names["manifest_digest"], self.true["manifest"] if self.has_manifests else None)
        self.check_runtimes_own_words(names)
        self.assertEqual(self.here.findings_of(run), [])
        listed = [row for row in self.here.runs() if row["run_id"] == run["run_id"]]
        self.assertEqual(listed[0]["names"], names)
        text = self.here.assay("trace", "three", "-o", "wide")
        shown = [THREE, self.true["config"], *self.true["diff_ids"], *self.true["chain_ids"]]
        for word in shown + ([self.true["manifest"]] if self.has_manifests else []):
            self.assertIn(word, text)

    def check_runtimes_own_words(self, names):
        raise NotImplementedError

    def test_a_second_start_on_the_same_layers_has_the_same_claims(self):
        self.run_container("first", THREE)
        self.wait_for_claims(self.here.wait_for_run_of("first"))
        self.run_container("second", THREE)
        run = self.here.wait_for_run_of("second")
        self.check_true_claims(self.wait_for_claims(run))
        self.assertEqual(self.here.findings_of(run, "mismatch"), [])

    def test_a_claim_names_a_base_and_brings_bad_news_but_never_approves(self):
        self.approve("crowded:1", self.crowded)
        self.run_container("crowded", CROWDED)

        def claimed():
            runs = self.here.runs("--container", "crowded")
            return runs and runs[0]["verdict"]["rung"] == "claimed" and runs[0]
        run = self.here.wait(claimed, "rung claimed")
        self.assertEqual((run["base"], run["verdict"]["status"]), ("crowded:1", "pending"))
        self.here.wait_for_finding("unverified", run)
        self.here.assay("base", "revoke", "crowded:1", "--reason", "test", "--yes")
        finding = self.here.wait_for_finding("revoked-base", run)
        self.assertIn("recognised by claimed", finding["reason"])

    def test_bytes_that_belie_the_claim_are_a_mismatch(self):
        self.approve("edited:1", self.edited)
        marker = pathlib.Path(self.runtime.bottom_folder(EDITED), "etc/marker")
        marker.write_text("edited on the node before any container stood on it")
        self.run_container("edited", EDITED)
        run = self.here.wait_for_run("edited", "unknown")
        finding = self.here.wait_for_finding("mismatch", run)
        self.assertEqual(finding["reason"], "layer 1 against edited:1: its runtime's store says that it is the "
                                            "same, but its bytes are others")
        self.assertIn("its bytes are others", self.here.assay("trace", "edited"))

    def check_mismatch(self, name, reason):
        """A container on a forged store: no claim, a mismatch, and the bytes count all the same."""
        self.approve("base:1", self.base)
        run = self.here.wait_for_run(name, "approved", layers=3)
        self.here.wait(lambda: [finding for finding in self.here.findings_of(run, "mismatch")
                                if reason in finding["reason"]], f"mismatch of {name}: {reason}")
        self.assertIn(reason, self.here.assay("findings", "--kind", "mismatch"))
        self.assertIn("mismatch", self.here.assay("trace", run["run_id"]))


class Docker(runtimes.Docker):
    @property
    def layerdb(self):
        return self.folder / "data/image/overlay2/layerdb/sha256"

    def bottom_folder(self, image):
        return self.client("image", "inspect", "--format", '{{.GraphDriver.Data.UpperDir}}', image).strip()


class Podman(runtimes.Podman):
    def bottom_folder(self, image):
        return self.client("image", "inspect", "--format", '{{.GraphDriver.Data.UpperDir}}', image).strip()

    @property
    def layers(self):
        return self.folder / "root/overlay-layers/layers.json"

    def edit_layers(self, change):
        """Lets `change` have {id: entry}, then replaces the list as containers/storage does."""
        rows = json.loads(self.layers.read_text())
        change({row["id"]: row for row in rows})
        new = self.layers.with_suffix(".new")
        new.write_text(json.dumps(rows))
        new.replace(self.layers)


class Containerd(runtimes.Containerd):
    def agent_settings(self):
        return {**super().agent_settings(), "containerd_sockets": [str(self.folder / "c.sock")]}

    def bottom_folder(self, image):
        snapshots = self.folder / "root/io.containerd.snapshotter.v1.overlayfs/snapshots"
        for marker in snapshots.glob("*/fs/etc/marker"):
            if "to be edited" in marker.read_text():
                return marker.parent.parent
        raise AssertionError(f"no snapshot of {image}")


def exchange(first, second):
    """The words of two files, each in the other's place; undo by doing it again."""
    kept = first.read_text()
    first.write_text(second.read_text())
    second.write_text(kept)


class DockerTest(Cases, unittest.TestCase):
    runtime_class = Docker
    has_manifests = False

    def check_runtimes_own_words(self, names):
        self.assertEqual(names["image_id"], self.true["config"])
        self.assertIsNone(names["repo_digest"])

    def forge(self, name, file):
        entries = [self.runtime.layerdb / chain[7:] / file for chain in self.true["chain_ids"][1:]]
        exchange(*entries)
        self.addCleanup(exchange, *entries)
        self.run_container(name, THREE)

    def test_swapped_diff_ids_are_a_mismatch(self):
        self.forge("swapped", "diff")
        self.check_mismatch("swapped", "docker's layerdb: the diff IDs of the layers up to layer 2")

    def test_swapped_directories_are_a_mismatch(self):
        self.forge("reordered", "cache-id")
        self.check_mismatch("reordered", "docker's record: its layers are in another order")

    def test_a_chain_of_another_length_is_a_mismatch(self):
        parent = self.runtime.layerdb / self.true["chain_ids"][2][7:] / "parent"
        kept = parent.read_text()
        parent.write_text(self.true["chain_ids"][0])
        self.addCleanup(parent.write_text, kept)
        self.run_container("shorter", THREE)
        self.check_mismatch("shorter", "docker's record: it names 3 layers, the container stands on 4")


class PodmanTest(Cases, unittest.TestCase):
    runtime_class = Podman

    def check_runtimes_own_words(self, names):
        self.assertEqual("sha256:" + names["image_id"], self.true["config"])

    def forge(self, change):
        kept = json.loads(self.runtime.layers.read_text())

        def undo(layers):
            for row in kept:
                layers.get(row["id"], {}).update(row)
        self.runtime.edit_layers(change)
        self.addCleanup(self.runtime.edit_layers, undo)

    def image_layers(self, layers):
        """The entries of the image's layers, bottom first."""
        by_diff_id = {row.get("diff-digest"): row for row in layers.values()}
        return [by_diff_id[diff_id] for diff_id in self.true["diff_ids"]]

    def test_swapped_diff_ids_are_a_mismatch(self):
        def swap(layers):
            _, second, third = self.image_layers(layers)
            second["diff-digest"], third["diff-digest"] = third["diff-digest"], second["diff-digest"]
        self.forge(swap)
        self.run_container("swapped", THREE)
        self.check_mismatch("swapped", "containers/storage's layers.json: the image's configuration says that layer 2")

    def test_a_chain_of_another_length_is_a_mismatch(self):
        # Made first: podman builds the container's mount from the chain.
        self.runtime.client("create", *self.runtime.run_options("shorter"), THREE, "/bin/sleep", "600")
        self.runtime.containers.append("shorter")
        self.addCleanup(self.runtime.remove, "shorter")

        def shorten(layers):
            bottom, _, top = self.image_layers(layers)
            top["parent"] = bottom["id"]
        self.forge(shorten)
        self.runtime.client("start", "shorter")
        self.check_mismatch("shorter", "containers/storage's record: it names 2 layers, the container stands on 3")


class AdditionalStore(Podman):
    """Images in one store, containers in another."""

    def client(self, *arguments, **options):
        return super().client("--storage-opt", f"additionalimagestore={self.images.folder / 'root'}",
                              *arguments, **options)

    def start(self):
        super().start()
        self.images = Podman(self.folder / "images")
        self.images.start()

    def load(self, archive, reference):
        return self.images.load(archive, reference)

    def bottom_folder(self, image):
        return self.images.bottom_folder(image)

    def agent_settings(self):
        return {"containers_storage_roots": [str(self.folder / "root"), str(self.images.folder / "root")]}


class AdditionalStoreTest(Cases, unittest.TestCase):
    runtime_class = AdditionalStore

    def check_runtimes_own_words(self, names):
        self.assertEqual("sha256:" + names["image_id"], self.true["config"])


class PodmanVfs(Podman):
    """Every container's root is one directory."""

    def client(self, *arguments, **options):
        return super().client("--storage-driver", "vfs", *arguments, **options)


class PodmanVfsTest(Deployed, unittest.TestCase):
    runtime_class = PodmanVfs

    def test_one_directory_has_the_chain_id_of_all_layers(self):
        self.run_container("vfs", THREE)
        run = self.here.wait_for_run_of("vfs")
        layers = self.wait_for_claims(run)
        self.assertEqual([(layer["name"], layer["claimed_chain_id"]) for layer in layers],
                         [("/", self.true["chain_ids"][-1])])
        self.assertIsNone(layers[0]["claimed_diff_id"])  # three layers are in it
        self.assertEqual(self.here.findings_of(run, "mismatch"), [])


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = Containerd

    def check_runtimes_own_words(self, names):
        self.assertEqual(names["image_id"], "")
        self.assertEqual(names["repo_digest"], self.true["manifest"])


if __name__ == "__main__":
    deployment.main()
