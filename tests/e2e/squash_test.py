# SPDX-License-Identifier: Apache-2.0
"""Bases found in images that lost their layers: squashed, exported and imported, copied, rebuilt."""
import pathlib
import shutil
import tempfile
import unittest

import deployment
import images
import runtimes
from runtimes import command

OLD, NEW = "docker.io/library/golden:1", "docker.io/library/golden:2"


def golden_layers(folder, version):
    """A base of two layers: what both versions share, and 60 files that differ in each."""
    shared = folder / "shared.layer"
    if not shared.exists():
        names = {f"bin/{name}": "busybox" for name in ("sh", "true", "sleep", "cat")}
        files = {f"usr/share/golden/{n}": f"shared {n}\n".encode() for n in range(500)}
        files.update({f"etc/golden/{n}": f"setting {n}\n".encode() for n in range(80)})
        files["bin/busybox"] = pathlib.Path(images.BUSYBOX).read_bytes()
        images.layer(shared, files, names)
    own = images.layer(folder / f"version-{version}.layer", {
        f"usr/lib/golden/{n}": f"version {version} {n}\n".encode() for n in range(60)})
    return [shared, own]


class Flattened:
    """The same two bases in podman and docker, and every way to lose their layers."""

    def __init__(self, folder, podman, docker):
        self.folder, self.podman, self.docker = folder, podman, docker
        self.contexts = 0

    def start(self, runtime, name, image):
        runtime.run(name, image, "sleep", "600")

    def exported(self, runtime, name, base):
        """export | import of a container that runs."""
        source = f"{name}-source"
        self.start(runtime, source, base)
        tar = self.folder / f"{name}.tar"
        runtime.client("export", "--output", tar, source)
        runtime.remove(source)
        runtime.client("import", tar, f"localhost/{name}:1")
        self.start(runtime, name, f"localhost/{name}:1")

    def context(self, text, **files):
        self.contexts += 1
        folder = self.folder / f"context-{self.contexts}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(text)
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    def built(self, name, text):
        self.podman.build(f"localhost/{name}:1", self.context(text))
        self.start(self.podman, name, f"localhost/{name}:1")

    def squashed(self, name, base):
        context = self.context(f"FROM {base}\nCOPY app /opt/app\n", app="an application\n")
        folder = self.podman.folder
        command("buildah", "--root", folder / "root", "--runroot", folder / "run", "--storage-driver",
                "overlay", "build", "--quiet", "--squash", "--isolation", "chroot", "--tag",
                f"localhost/{name}:1", context)
        self.start(self.podman, name, f"localhost/{name}:1")

    def loaded(self, name, layers):
        """An image of these layers."""
        reference = f"docker.io/library/{name}:1"
        self.podman.load(images.image_archive(self.folder / f"{name}.tar", reference, layers), reference)
        self.start(self.podman, name, reference)

    def rebased(self, name, base):
        """An application's own layers put on another base without building them again, as crane does."""
        own = images.layer(self.folder / f"{name}.layer", {"opt/app/run": b"an application\n"})
        self.loaded(name, [*base, own])

    def rebuilt(self, name, layers):
        """The same files from a new build: one layer, every time another."""
        tree = self.folder / name
        tree.mkdir()
        for layer in layers:
            command("tar", "-C", tree, "--numeric-owner", "-xpf", layer)
        layer = self.folder / f"{name}.layer"
        command("tar", "-C", tree, "--numeric-owner", "--mtime", "2026-05-05", "-cf", layer, ".")
        self.loaded(name, [layer])


def load_recompressed(podman, archive, kind, reference):
    """podman's layers are unpacked from other blobs than those that were approved."""
    # podman makes a reference of the layout's path: a temporary folder's name may be none.
    here = {"cwd": podman.folder}
    command("skopeo", "copy", "--quiet", "--dest-compress", "--dest-compress-format", kind,
            f"oci-archive:{archive}", f"oci:{kind}:image", **here)
    podman.client("tag", podman.client("pull", "--quiet", f"oci:{kind}:image", **here).strip(), reference)


class SquashTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for runtime in (runtimes.Podman, runtimes.Docker):
            if runtime.missing():
                raise unittest.SkipTest(runtime.missing())
        for program in ("buildah", "skopeo"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"needs {program}")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-squash-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.archives, cls.layers = {}, {}
        for version, reference in ((1, OLD), (2, NEW)):
            cls.layers[reference] = golden_layers(cls.folder, version)
            cls.archives[reference] = images.image_archive(
                cls.folder / f"golden-{version}.tar", reference, cls.layers[reference])
        cls.podman, cls.docker = runtimes.Podman(cls.folder), runtimes.Docker(cls.folder)
        for runtime in (cls.podman, cls.docker):
            cls.addClassCleanup(runtime.stop)
            runtime.start()
        for kind, reference in (("gzip", OLD), ("zstd", NEW)):
            load_recompressed(cls.podman, cls.archives[reference], kind, reference)
        cls.docker.load(cls.archives[OLD], OLD)
        cls.here.start_collector()
        cls.here.settings = {"runtime": {**cls.podman.agent_settings(), **cls.docker.agent_settings()}}
        cls.here.start_agent()
        for reference, archive in cls.archives.items():
            cls.here.assay("base", "approve", f"golden:{reference[-1]}", "--from", archive)

    def contained(self, name, base):
        """The trace of a container in whose files this base was found."""
        def look():
            run = self.here.wait_for_run_of(name)
            return run["base"] == base and run["verdict"]["rung"] == "contained" and run
        run = self.here.wait(look, f"{base} contained in {name}")
        self.assertEqual(run["verdict"]["status"], "unknown")  # never approved
        self.assertEqual([f["kind"] for f in self.here.findings_of(run)], ["unknown-base"])
        return self.here.query("trace", run["run_id"])

    def found(self, trace, version):
        return next(base for base in trace["containment"]["bases"] if base["base"] == f"golden:{version}")

    def test_flattened_bases_are_named_and_a_revocation_reaches_them(self):
        flat = Flattened(self.folder, self.podman, self.docker)
        flat.exported(self.docker, "docker-export", OLD)
        flat.exported(self.podman, "podman-export", OLD)
        flat.exported(self.podman, "newer", NEW)
        flat.squashed("squashed", OLD)
        flat.built("copied", f"FROM {OLD} AS base\nFROM scratch\nCOPY --from=base / /\n")
        flat.built("usr-only", f"FROM {OLD} AS base\nFROM scratch\nCOPY --from=base /usr /usr\n"
                               "COPY --from=base /bin /bin\n")
        flat.rebuilt("rebuilt", self.layers[OLD])
        flat.rebased("before", self.layers[OLD])
        flat.rebased("rebased", self.layers[NEW])
        flat.built("over", f"FROM {OLD} AS old\nFROM {NEW}\nCOPY --from=old / /\n")
        flat.start(self.podman, "gzip", OLD)
        flat.start(self.podman, "zstd", NEW)

        whole = ("docker-export", "podman-export", "squashed", "copied", "rebuilt")
        for name in whole:
            with self.subTest(name):
                base = self.found(self.contained(name, "golden:1"), 1)
                self.assertEqual((base["share_percent"], base["missing"]), ("100.0", 0))
                self.assertEqual((base["rival"], base["own_present"]), ("golden:2", base["own_files"]))
        with self.subTest("the other version"):
            trace = self.contained("newer", "golden:2")
            self.assertEqual(self.found(trace, 1)["is_contained"], False)
            self.assertIn("of 60 files that tell it from golden:2", self.found(trace, 1)["why"])
        with self.subTest("a part"):
            base = self.found(self.contained("usr-only", "golden:1"), 1)
            self.assertEqual(base["missing"], 80)
        for name, base in (("gzip", "golden:1"), ("zstd", "golden:2"), ("before", "golden:1"),
                           ("rebased", "golden:2")):
            with self.subTest(name):
                run = self.here.wait_for_run(name, "approved")
                self.assertEqual((run["base"], run["verdict"]["rung"]), (base, "content"))
        over = self.here.wait_for_run("over", "approved")
        self.here.wait(lambda: not self.here.query("trace", over["run_id"])["containment"]["is_awaited"],
                       "files of the layers above a base")

        self.here.assay("base", "revoke", "golden:1", "--yes", "--reason", "a hole")
        for name in (*whole, "usr-only", "over"):
            with self.subTest(f"{name} after the revocation"):
                run = self.here.wait_for_run(name, "revoked")
                finding = self.here.wait_for_finding("revoked-base", run)
                self.assertIn("golden:1", finding["reason"])
                self.assertIn("contained", finding["reason"])
        self.here.wait_for_run("before", "revoked")
        self.here.wait_for_run("rebased", "approved")
        self.assertEqual(self.here.wait_for_run("newer", "unknown")["base"], "golden:2")
        self.assertEqual(self.here.wait_for_run("over", "revoked")["base"], "golden:2")
        with self.subTest("other thresholds are tried on the files that are here"):
            policy = self.folder / "policy.yaml"
            policy.write_text("contained: {min_files: 200000}\n")  # more than any base has
            tried = self.here.query("policy", "test", policy)
            self.assertEqual({(run["container"], run["before"], run["after"]) for run in tried["runs"]},
                             {(name, "revoked", "unknown") for name in (*whole, "usr-only")}
                             | {("over", "revoked", "approved")})
            self.assertEqual(tried["not_searched"], 0)
            self.here.wait_for_run("copied", "revoked")


if __name__ == "__main__":
    deployment.main()
