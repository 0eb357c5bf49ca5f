# SPDX-License-Identifier: Apache-2.0
"""Runtimes of a later Debian suite: each container is one whole run, and what they do before it is none."""
import shutil
import unittest

import cri
import deployment
import later
import runtimes
import seen
from bundles import Bundle


class Case(seen.Case):
    """The suite's tree is held, and a runtime runs on it, before the agent starts."""
    is_unified = True  # the cgroups that the runtime sees

    @classmethod
    def start_runtime(cls):
        if later.LaterSuite.missing():
            raise unittest.SkipTest(later.LaterSuite.missing())
        cls.suite = later.LaterSuite(cls.node.here.folder / "later", cls.is_unified)
        cls.addClassCleanup(cls.suite.close)
        runtime = cls.runtime_class(cls.suite.folder)
        runtime.wrapper = cls.suite.wrapper
        cls.addClassCleanup(runtime.stop)
        runtime.start()
        runtime.load(shutil.copy(cls.node.archive, cls.suite.folder), seen.IMAGE)
        return runtime

    def check_short_ones(self, image=seen.IMAGE):
        """Containers that end at once; `image`: as they are named."""
        for number in range(3):
            name = f"later-{number}"
            with self.subTest(name=name):
                self.check_started(lambda: self.runtime.run_to_end(name, seen.IMAGE, "true"), names={
                    "runtime": self.runtime.name, "name": name, "image": image})


class Podman(runtimes.Podman):
    """Without a limit on processes: the hierarchy of version 2 has no controller for it here."""
    programs = ()
    user_options = ("--pids-limit", "0")


class CrunPodman(Podman):
    oci_runtime = "crun"


class Containerd(runtimes.Containerd):
    programs = ()


class Bundles(runtimes.Runtime):
    """No engine; the layers of the image lie in the suite's folder."""
    name = "bundles"

    def load(self, archive, reference):
        """The layers are unpacked by the test."""

    def agent_settings(self):
        return {}


class LaterPodmanTest(Case):
    runtime_class = Podman

    def test_podman_with_runc(self):
        self.check_short_ones()


class LaterCrunPodmanTest(Case):
    runtime_class = CrunPodman

    def test_podman_with_crun(self):
        self.check_short_ones()


class LaterContainerdTest(Case):
    runtime_class = Containerd
    is_unified = False

    def test_containerd_through_ctr(self):
        self.check_short_ones(image="")  # only containerd's socket would tell it


class LaterBundlesTest(Case):
    """runc executes itself from a private overlay, crun from a sealed copy."""
    runtime_class = Bundles

    def check_runtime(self, name):
        layers = self.node.unpack_layers(self.suite.folder / "layers")
        bundle = Bundle(self.suite.folder / name, layers, self.suite.wrapper)
        self.addCleanup(shutil.rmtree, self.suite.folder / "layers")
        self.addCleanup(bundle.close)
        self.check_started(lambda: bundle.run(name, "later", "true"))

    def test_runc_from_a_bundle(self):
        self.check_runtime("runc")

    def test_crun_from_a_bundle(self):
        self.check_runtime("crun")


class Cri(cri.ContainerdCri):
    programs = ()


class LaterCriTest(Case):
    """Pods have limits, which want controllers."""
    runtime_class = Cri
    is_unified = False

    def test_a_pod_is_a_sandbox_and_a_container(self):
        before = self.node.all_runs()
        pod = self.runtime.pod("later", "market", "2c1f2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f")
        (sandbox,) = self.node.runs_since(before)
        self.assertEqual((sandbox["kind"], sandbox["names"]["pod_name"]), ("sandbox", "later"))
        run = self.check_started(lambda: self.runtime.container(pod, "till", seen.IMAGE, "true"), names={
            "runtime": "containerd", "name": "till", "image": seen.IMAGE, "pod_name": "later"})
        self.runtime.remove_pod(pod)
        for one in (sandbox, run):
            self.node.wait_until_ended(one)


if __name__ == "__main__":
    deployment.main()
