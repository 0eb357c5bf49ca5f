# SPDX-License-Identifier: Apache-2.0
"""One base in every kind of store: containers on it are judged alike, whatever their root is made of."""
import pathlib
import shutil
import tempfile
import unittest

import deployment
import images
import store_runtimes
from by_hand import Started, run_of, unpack
from runtimes import command

GOLDEN = "docker.io/library/golden:12"
BUILT = "docker.io/library/built:1"


def make_images(folder, bottom):
    """A base of two layers, the upper of which deletes from the lower, and an image built on it."""
    base = bottom or images.busybox_layer(folder / "bottom.layer", "bottom")
    second = images.layer(folder / "second.layer", {
        "etc/.wh.motd": b"", "etc/.wh.marker": b"", "usr/share/doc/.wh..wh..opq": b"",
        "usr/share/doc/README": b"none\n", "usr/local/bin/tool": b"#!/bin/sh\n"})
    app = images.layer(folder / "app.layer", {"opt/app.sh": b"#!/bin/sh\nexec sleep 600\n"})
    return {GOLDEN: images.image_archive(folder / "golden.tar", GOLDEN, [base, second]),
            BUILT: images.image_archive(folder / "built.tar", BUILT, [base, second, app])}


class Cases:
    """Every case of one kind of store; a subclass names it."""
    runtime_class = None

    @classmethod
    def bottom_layer(cls):
        """A tar to build the base on; None for a few files."""
        return None

    @classmethod
    def setUpClass(cls):
        missing = cls.runtime_class.missing()
        if missing:
            raise unittest.SkipTest(missing)
        # Not in the deployment's folder: the root of another user namespace must get through.
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-store-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.folder.chmod(0o711)
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.images = make_images(cls.folder, cls.bottom_layer())
        cls.runtime = cls.runtime_class(cls.folder)
        cls.addClassCleanup(cls.runtime.stop)
        cls.runtime.start()
        for reference, archive in cls.images.items():
            cls.runtime.load(archive, reference)
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.here.assay("base", "approve", "golden:12", "--from", cls.images[GOLDEN])

    def run_container(self, name, image, *words):
        self.runtime.run(name, image, *words)
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def check_approved(self, name, layers):
        run = self.here.wait_for_run(name, "approved", layers=layers)
        self.assertEqual(run["base"], "golden:12")
        self.assertEqual(run["verdict"]["rung"], "content")
        self.assertEqual(self.here.findings_of(run), [])
        return run


class RootCases(Cases):
    """Stores that keep an image as one directory: a root is all of it, or it is unknown."""

    def test_a_container_of_the_base_itself_is_approved(self):
        self.run_container("itself", GOLDEN, "sleep", "600")
        run = self.check_approved("itself", layers=1)
        layer = self.here.query("trace", run["run_id"])["layers"][0]
        self.assertEqual(layer["name"], "/")
        self.assertTrue(layer["is_mutable"])

    def test_a_root_that_holds_more_than_the_base_is_unknown(self):
        self.run_container("built", BUILT, "/opt/app.sh")
        run = self.here.wait_for_run("built", "unknown")
        self.here.wait_for_finding("unknown-base", run)


class LayerCases(Cases):
    """Stores whose layers are shifted or copied for a user namespace."""
    own_layers = 0  # that the runtime makes besides the image's

    def check(self, name, layers, image, *words):
        """The agent tells of a new container as approved, on so many layers of its image. The layer that
        docker injects counts until it was read."""
        self.run_container(name, image, *words)
        layers += self.own_layers
        if isinstance(self.runtime, store_runtimes.PodmanRootless):
            run = run_of(self.here, (self.runtime.pid_of(name), 0), verdict="approved", layers=layers)
        else:
            run = self.here.wait_for_run(name, "approved", layers=layers)
        self.assertEqual((run["base"], run["verdict"]["rung"]), ("golden:12", "content"))
        self.assertEqual(run["verdict"]["application_layers"], layers - 2)
        self.assertEqual(self.here.findings_of(run), [])

    def test_a_container_of_the_base_itself_is_approved(self):
        self.check("itself", 2, GOLDEN, "sleep", "600")

    def test_an_image_built_from_the_base_is_approved(self):
        self.check("built", 3, BUILT, "/opt/app.sh")


class DockerVfsTest(RootCases, unittest.TestCase):
    runtime_class = store_runtimes.DockerVfs

    @classmethod
    def bottom_layer(cls):
        return images.debian_base()


class ContainerdNativeTest(RootCases, unittest.TestCase):
    runtime_class = store_runtimes.ContainerdNative


class PodmanVfsShiftedTest(RootCases, unittest.TestCase):
    runtime_class = store_runtimes.PodmanVfsShifted


class PodmanIdMappedTest(LayerCases, unittest.TestCase):
    """Lower directories are id-mapped mounts, which are gone when the container runs."""
    runtime_class = store_runtimes.PodmanShifted


class DockerRemappedTest(LayerCases, unittest.TestCase):
    runtime_class = store_runtimes.DockerRemapped


class DockerContainerdTest(LayerCases, unittest.TestCase):
    """docker's own layer lies above the image's in this store as well, and is not compared."""
    runtime_class = store_runtimes.DockerContainerd


class ContainerdChownedTest(LayerCases, unittest.TestCase):
    """containerd 1.6 puts a chowned copy of everything above the image's layers."""
    runtime_class = store_runtimes.ContainerdShifted
    own_layers = 1


class PodmanRootlessTest(LayerCases, unittest.TestCase):
    """Nobody can make the base's device nodes in a user namespace."""
    runtime_class = store_runtimes.PodmanRootless

    @classmethod
    def bottom_layer(cls):
        return images.debian_base()


class PodmanKeepIdTest(LayerCases, unittest.TestCase):
    """The layers were unpacked in another user namespace than the container's; above them lie the
    top layer once more and a chowned copy of everything."""
    runtime_class = store_runtimes.PodmanKeepId
    own_layers = 2


class FuseOverlayTest(Cases, unittest.TestCase):
    """What a program serves is recognised, and never enough for an approval."""
    runtime_class = store_runtimes.PodmanFuse

    def test_a_root_that_a_program_serves_stays_at_shape(self):
        self.run_container("served", GOLDEN, "sleep", "600")
        run = self.here.wait_for_run("served", "pending", layers=2)
        finding = self.here.wait_for_finding("unverified", run)
        self.assertIn("fuse-overlayfs serves this root", finding["reason"])
        run = self.here.wait_for_run("served", "pending")
        self.assertEqual((run["base"], run["verdict"]["rung"]), ("golden:12", "shape"))
        # Whose layers these are the kernel does not say: names, but no claims, and nothing to disagree on.
        self.assertEqual(run["names"]["image"], GOLDEN)
        for layer in self.here.query("trace", run["run_id"])["layers"]:
            self.assertIsNone(layer["claimed_diff_id"])
        self.assertEqual(self.here.findings_of(run, "mismatch"), [])


class RedirectTest(unittest.TestCase):
    """Layers in which overlayfs left marks of its own, by hand."""

    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.layers = {}
        for name in ("redirect_dir", "metacopy"):
            cls.layers[name] = cls.make_layer(name)
        cls.here.start_collector()
        cls.here.start_agent()
        for name, layer in cls.layers.items():
            cls.here.assay("base", "approve", f"{name.replace('_', '-')}:1", "--from", f"dir:{layer}")

    @classmethod
    def make_layer(cls, option):
        """The upper of an overlay mounted with `option` in which a folder moved and a mode changed."""
        folder = cls.here.folder / option
        tar = images.busybox_layer(cls.here.folder / f"{option}.layer", option)
        upper = unpack(tar, folder / "upper")
        lower = folder / "lower"
        for path in (lower / "moved", folder / "work", folder / "merged"):
            path.mkdir(parents=True)
        (lower / "moved/file").write_text("below")
        (lower / "mode").write_text("x" * 10000)
        command("mount", "-t", "overlay", "overlay", "-o",
                f"{option}=on,lowerdir={lower},upperdir={upper},workdir={folder / 'work'}",
                folder / "merged")
        try:
            if option == "redirect_dir":
                (folder / "merged/moved").rename(folder / "merged/here")
            else:
                (folder / "merged/mode").chmod(0o700)
        finally:
            command("umount", folder / "merged")
        for whiteout in upper.glob("moved"):  # it would be content to who approves a directory
            whiteout.unlink()
        return upper

    def start(self, name):
        started = Started([self.layers[name]], "sleep", "600")
        self.addCleanup(started.stop)
        (report,) = started.reports()
        return report

    def test_a_layer_whose_bytes_overlayfs_redirects_stays_at_shape(self):
        run = run_of(self.here, self.start("metacopy"), verdict="pending")

        def is_capped():
            verdict = self.here.query("trace", run["run_id"])["run"]["verdict"]
            return "redirects that hide its bytes" in verdict["reason"] and verdict
        verdict = self.here.wait(is_capped, "a reason that names redirects")
        self.assertEqual((verdict["status"], verdict["rung"]), ("pending", "shape"))

    def test_a_redirect_that_hides_nothing_is_lifted_by_what_the_container_sees(self):
        """Its target is in no layer below. tests/e2e/view_test.py has one that leads elsewhere."""
        run = run_of(self.here, self.start("redirect_dir"), verdict="approved")
        trace = self.here.query("trace", run["run_id"])
        self.assertTrue(trace["layers"][0]["is_capped_at_shape"])
        self.assertEqual(trace["view"]["state"], "agrees")


if __name__ == "__main__":
    deployment.main()
