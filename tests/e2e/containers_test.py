# SPDX-License-Identifier: Apache-2.0
"""The main job on each runtime: which base a container stands on, and whether it is approved."""
import pathlib
import unittest

import deployment
import images
import runtimes

GOLDEN = "docker.io/library/golden:12"
BUILT = "docker.io/library/built:1"
FOREIGN = "docker.io/library/foreign:1"
DOOMED = "docker.io/library/doomed:1"


class Cases:
    """Every case of one runtime; a subclass names it."""
    runtime_class = None

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        cls.load_images()
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.here.assay("base", "approve", "golden:12", "--from", cls.golden)
        cls.here.assay("base", "approve", "doomed:1", "--from", cls.doomed)

    @classmethod
    def load_images(cls):
        folder = pathlib.Path(cls.here.folder, "images")
        folder.mkdir()
        base = images.debian_base()
        cls.golden = images.image_archive(folder / "golden.tar", GOLDEN, [base])
        foreign = images.busybox_layer(folder / "foreign.layer", "foreign")
        doomed = images.busybox_layer(folder / "doomed.layer", "doomed")
        cls.doomed = images.image_archive(folder / "doomed.tar", DOOMED, [doomed])
        cls.runtime.load(cls.golden, GOLDEN)
        cls.runtime.load(cls.doomed, DOOMED)
        cls.runtime.load(images.image_archive(folder / "foreign.tar", FOREIGN, [foreign]), FOREIGN)
        cls.build(folder, base)

    @classmethod
    def build(cls, folder, base):
        """An image FROM the base with one layer of its own, made by the runtime's own builder."""
        cls.runtime.build(BUILT, runtimes.build_context(folder / "context", GOLDEN))

    def run_container(self, name, image, *words):
        self.runtime.run(name, image, *words)
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def test_a_container_of_the_base_itself_is_approved(self):
        self.run_container("itself", GOLDEN, "sleep", "600")
        run = self.here.wait_for_run("itself", "approved", layers=1)
        self.assertEqual(run["base"], "golden:12")
        self.assertEqual(run["verdict"]["rung"], "content")
        self.assertEqual(run["verdict"]["application_layers"], 0)
        self.assertEqual(run["names"]["runtime"], self.runtime.name)
        self.assertEqual(self.here.findings_of(run), [])

    def test_an_image_built_from_the_base_is_approved_with_its_own_layers_counted(self):
        self.run_container("built", BUILT, "/opt/app.sh")
        run = self.here.wait_for_run("built", "approved", layers=2)
        self.assertEqual(run["base"], "golden:12")
        self.assertEqual(run["verdict"]["application_layers"], 1)

    def test_a_trace_shows_what_the_layers_say_of_themselves(self):
        self.run_container("about", BUILT, "/opt/app.sh")
        run = self.here.wait_for_run("about", "approved", layers=2)
        approved = self.here.query("base", "show", "golden:12")
        for said in (self.here.query("trace", run["run_id"]), approved):
            distribution = said["claimed_distribution"]
            self.assertEqual((distribution["id"], distribution["version"]), ("debian", "12"))
            self.assertEqual(distribution["name"], "Debian GNU/Linux 12 (bookworm)")
            (packages,) = said["claimed_packages"]
            self.assertEqual((packages["manager"], packages["gap"]), ("dpkg", ""))
            self.assertEqual(packages["packages"], approved["claimed_packages"][0]["packages"])
            self.assertGreater(packages["packages"], 50)
        self.assertIn("a claim, part of no verdict", self.here.assay("trace", run["run_id"]))
        self.run_container("silent", FOREIGN, "/bin/sleep", "600")
        silent = self.here.wait_for_run("silent", "unknown")
        trace = self.here.query("trace", silent["run_id"])
        self.assertEqual((trace["claimed_distribution"], trace["claimed_packages"]), (None, []))

    def test_a_foreign_image_is_an_unknown_base(self):
        self.run_container("foreign", FOREIGN, "/bin/sleep", "600")
        run = self.here.wait_for_run("foreign", "unknown")
        self.assertEqual(run["base"], "")
        finding = self.here.wait_for_finding("unknown-base", run)
        self.assertEqual(finding["state"], "open")
        self.runtime.remove("foreign")
        self.here.wait_for_finding("unknown-base", run, state="resolved")

    def test_a_revocation_reaches_a_container_that_runs(self):
        self.run_container("doomed", DOOMED, "/bin/sleep", "600")
        run = self.here.wait_for_run("doomed", "approved")
        self.here.assay("base", "revoke", "doomed:1", "--reason", "end of life", "--yes")
        finding = self.here.wait_for_finding("revoked-base", run)
        self.assertEqual((finding["state"], finding["base"]), ("open", "doomed:1"))
        self.assertEqual(self.here.wait_for_run("doomed", "revoked")["run_id"], run["run_id"])
        self.runtime.remove("doomed")
        self.here.wait_for_finding("revoked-base", run, state="resolved")

    def test_twenty_short_containers_all_have_full_stack_and_verdict(self):
        names = [f"short-{number}" for number in range(20)]
        for name in names:
            self.runtime.run_to_end(name, GOLDEN, "true")
        for name in names:
            run = self.here.wait_for_run(name, "approved", ended=True, layers=1)
            self.assertEqual(run["base"], "golden:12", name)

    def test_a_container_from_before_the_agent_is_found(self):
        self.here.stop_agent()
        self.run_container("early", GOLDEN, "sleep", "600")
        self.here.start_agent(self.runtime)
        run = self.here.wait_for_run("early", "approved")
        self.assertTrue(run["is_late"])
        self.assertEqual(run["base"], "golden:12")

    def test_a_command_in_a_running_container_is_no_new_start(self):
        self.run_container("busy", GOLDEN, "sleep", "600")
        run = self.here.wait_for_run("busy", "approved")
        self.runtime.exec("busy", "true")
        self.runtime.run_to_end("after", GOLDEN, "true")
        self.here.wait_for_run("after", "approved", ended=True)
        runs = [other["run_id"] for other in self.here.runs("--all", "--container", "busy")]
        self.assertEqual(runs, [run["run_id"]])


class DockerTest(Cases, unittest.TestCase):
    runtime_class = runtimes.Docker


class PodmanTest(Cases, unittest.TestCase):
    runtime_class = runtimes.Podman


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = runtimes.Containerd

    @classmethod
    def build(cls, folder, base):
        """containerd has no builder of its own: the layer is written here."""
        app = images.layer(folder / "app.layer", {"opt/app.sh": b"#!/bin/sh\nexec sleep 600\n"})
        cls.runtime.load(images.image_archive(folder / "built.tar", BUILT, [base, app]), BUILT)


if __name__ == "__main__":
    deployment.main()
