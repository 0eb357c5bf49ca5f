# SPDX-License-Identifier: Apache-2.0
"""The daily work on golden bases, from a vendor's rootfs to the last container on a revoked one.

Typed as people type it: lines for a shell, in which podman, docker, buildah and assay reach this test's own
servers. With ASSAY_TRANSCRIPT=FILE the lines and what they print go to FILE, for docs/runbooks/golden-base.md.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import deployment
import images
import runtimes
from runtimes import command
from scan_reports import trivy

SECONDS = 300


class Shell:
    """A shell whose programs are wrapped so that a line reads as it would on anybody's machine."""

    def __init__(self, folder, programs):
        self.folder, self.transcript = folder, os.environ.get("ASSAY_TRANSCRIPT")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, words in programs.items():
            quoted = " ".join(f"'{word}'" for word in words)
            (self.bin / name).write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
            (self.bin / name).chmod(0o755)

    def __call__(self, line):
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}",
                       "XDG_STATE_HOME": str(self.folder / "state")}
        done = subprocess.run(["/bin/bash", "-c", line], cwd=self.folder, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
        if self.transcript:
            with open(self.transcript, "a", encoding="utf-8") as file:
                file.write(f"$ {line}\n{done.stdout}")
        if done.returncode != 0:
            raise AssertionError(f"{line}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout


def make_rootfs(folder, version):
    """A vendor's next release: a real Debian base with two files of its own."""
    tree = folder / f"tree-{version}"
    tree.mkdir()
    command("tar", "-C", tree, "--numeric-owner", "-xpf", images.debian_base())
    (tree / "etc/golden-release").write_text(f"golden {version}\n")
    (tree / "usr/lib/golden").write_text(f"patched in {version}\n")
    command("tar", "-C", tree, "--numeric-owner", "-cf", folder / f"rootfs-{version}.tar", ".")
    shutil.rmtree(tree)


class GoldenPathTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for runtime in (runtimes.Podman, runtimes.Docker):
            if runtime.missing():
                raise unittest.SkipTest(runtime.missing())
        if not shutil.which("buildah"):
            raise unittest.SkipTest("needs buildah")
        cls.work = tempfile.TemporaryDirectory(prefix="assay-golden-", dir="/tmp")
        cls.addClassCleanup(cls.work.cleanup)
        cls.rootfs = pathlib.Path(cls.work.name)
        for version in (1, 2):
            make_rootfs(cls.rootfs, version)

    def start(self, runtime_class):
        self.here = deployment.Deployment()
        self.addCleanup(self.here.close)
        self.runtime = runtime_class(self.here.folder)
        self.addCleanup(self.runtime.stop)
        self.runtime.start()
        self.here.start_collector()
        self.here.start_agent(self.runtime)
        for version in (1, 2):
            (self.here.folder / f"rootfs-{version}.tar").symlink_to(self.rootfs / f"rootfs-{version}.tar")
        self.shell = Shell(self.here.folder, {
            "assay": [deployment.BIN / "assay", "--config", self.here.folder / "cli.yaml"], **self.programs()})

    def programs(self):
        folder = self.runtime.folder
        if isinstance(self.runtime, runtimes.Docker):
            return {"docker": ["/usr/bin/docker", "--host", f"unix://{folder}/d.sock"]}
        # What this host allows no container to exceed.
        settings = self.here.folder / "containers.conf"
        settings.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n')
        podman = ["/usr/bin/env", f"CONTAINERS_CONF={settings}", "/usr/bin/podman"]
        storage = ["--root", folder / "root", "--runroot", folder / "run", "--storage-driver", "overlay"]
        return {"podman": [*podman, *storage, "--tmpdir", folder / "tmp", "--cgroup-manager",
                           "cgroupfs", "--events-backend", "none", "--runtime", "runc"],
                "buildah": ["/usr/bin/buildah", *storage]}

    def run_container(self, tool, name, image):
        self.runtime.containers.append(name)
        self.shell(f"{tool} run --detach --network none --name {name} {image} sleep 600")

    def scan(self, base, *findings):
        """A scanner's report about the image that was approved, attached without naming the base."""
        layer = self.here.query("base", "show", base)["stacks"][0]["layers"][0]["diff_id"]
        report = self.here.folder / f"trivy-{base[-1]}.json"
        report.write_text(json.dumps(trivy([layer], [(name, severity, "libc6", layer)
                                                     for name, severity in findings])))
        self.assertIn(base, self.shell(f"assay scan import {report.name}"))

    def verdicts(self):
        return {run["container"]: run["verdict"]["status"] for run in self.here.runs()}

    def wait_for_verdicts(self, **wanted):
        self.here.wait(lambda: self.verdicts() == wanted, f"the verdicts {wanted}")

    def live(self, tool, publish):
        """`publish(version)` makes golden-VERSION.tar.gz and the image golden:VERSION."""
        shell = self.shell
        publish(1)
        # The first day: all is unknown.
        self.run_container(tool, "shop", "localhost/golden:1")
        self.wait_for_verdicts(shop="unknown")
        self.here.wait(lambda: self.here.query("base", "discover")["proposals"], "a proposal once layers are read")
        self.assertIn("localhost/golden:1", shell("assay base discover"))
        shell("assay base approve golden:1 --from golden-1.tar.gz --expires 90d --reason 'first release'")
        self.scan("golden:1", ("CVE-2026-1", "HIGH"), ("CVE-2026-2", "LOW"))
        self.wait_for_verdicts(shop="approved")
        shell("assay ps")
        publish(2)
        shell("assay base approve golden:2 --from golden-2.tar.gz --expires 90d --reason 'monthly release'")
        self.scan("golden:2", ("CVE-2026-2", "LOW"))
        shell("assay base list")
        shell("assay base compare golden:1 golden:2")
        self.assertIn("shop", shell("assay where CVE-2026-1"))
        shell("assay base deprecate golden:1 --until 30d --successor golden:2 --reason 'golden:2 is out'")
        self.run_container(tool, "news", "localhost/golden:2")
        self.wait_for_verdicts(shop="deprecated", news="approved")
        shell("assay base impact golden:1")
        self.assertIn("shop", shell("assay base revoke golden:1 --reason 'a hole in libc' --dry-run"))
        self.wait_for_verdicts(shop="deprecated", news="approved")
        shell("assay base revoke golden:1 --reason 'a hole in libc' --yes")
        self.wait_for_verdicts(shop="revoked", news="approved")
        self.assertIn("a hole in libc", shell("assay findings"))
        # Whoever starts one now is seen at once; whoever moves is done.
        self.run_container(tool, "late", "localhost/golden:1")
        self.wait_for_verdicts(shop="revoked", news="approved", late="revoked")
        shell("assay ps")
        for name in ("shop", "late"):
            self.runtime.remove(name)
        self.here.wait(lambda: not self.here.findings("--kind", "revoked-base"), "nobody on golden:1")
        shell("assay findings")
        shell("assay log")
        shell("assay log verify")

    def test_podman(self):
        self.start(runtimes.Podman)

        def publish(version):
            self.shell(f"podman import --quiet rootfs-{version}.tar localhost/golden:{version}")
            self.shell(f"podman save --quiet --format oci-archive -o golden-{version}.tar localhost/golden:{version}")
            self.shell(f"gzip -1 golden-{version}.tar")
        self.live("podman", publish)

    def test_docker(self):
        self.start(runtimes.Docker)

        def publish(version):
            self.shell(f"docker import rootfs-{version}.tar localhost/golden:{version}")
            self.shell(f"docker save -o golden-{version}.tar localhost/golden:{version}")
            self.shell(f"gzip -1 golden-{version}.tar")
        self.live("docker", publish)

    def test_an_image_built_by_buildah(self):
        self.start(runtimes.Podman)

        def publish(version):
            (self.here.folder / f"Containerfile-{version}").write_text(
                f"FROM scratch\nADD rootfs-{version}.tar /\nLABEL version={version}\n")
            # A context holds files, not links to them.
            (self.here.folder / f"rootfs-{version}.tar").unlink()
            os.link(self.rootfs / f"rootfs-{version}.tar", self.here.folder / f"rootfs-{version}.tar")
            self.shell(f"buildah build --quiet --isolation chroot -f Containerfile-{version} "
                       f"-t localhost/golden:{version} .")
            self.shell(f"buildah push --quiet localhost/golden:{version} oci-archive:golden-{version}.tar")
            self.shell(f"gzip -1 golden-{version}.tar")
        self.live("podman", publish)


if __name__ == "__main__":
    deployment.main()
