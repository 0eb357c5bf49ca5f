# SPDX-License-Identifier: Apache-2.0
"""What ran in a container and where it came from, and what it could do when it started: from the kernel to `assay`."""
import unittest

import by_hand
import deployment
import images
import runtimes

IMAGE = "docker.io/library/golden:12"
DROP = ("/bin/busybox mkdir -p /tmp; /bin/busybox cp /bin/busybox /tmp/busybox-dropped; "
        "/tmp/busybox-dropped true; /tmp/busybox-dropped true; ")


class Questions:
    """What both kinds of containers are asked."""
    here = None

    def trace(self, run):
        return self.here.query("trace", run["run_id"])

    def assert_dropped_file(self, run):
        finding = self.here.wait_for_finding("foreign-executable", run)
        self.assertEqual(finding["subject"], "upper:/tmp/busybox-dropped")
        self.assertIn("written in this container", finding["reason"])
        foreign = [exec for exec in self.trace(run)["execs"] if exec["origin"] == "upper"]
        self.assertEqual([(exec["path"], exec["is_interpreter"]) for exec in foreign], [("/tmp/busybox-dropped", False)])


class DockerTest(Questions, unittest.TestCase):
    runtime_class = runtimes.Docker

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        tar = images.busybox_layer(cls.here.folder / "golden.layer", "golden")
        cls.runtime.load(images.image_archive(cls.here.folder / "golden.tar", IMAGE, [tar]), IMAGE)
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)

    def run_container(self, name, *command, options=()):
        self.runtime.run(name, IMAGE, *command, options=options)
        self.addCleanup(self.runtime.remove, name)
        return self.here.wait_for_run_of(name)

    def test_a_dropped_file_is_a_finding_and_the_images_own_are_none(self):
        run = self.run_container("dropper", "/bin/sh", "-c", DROP + "exec /bin/sleep 600")
        self.assert_dropped_file(run)
        self.assertEqual(len(self.here.findings_of(run, "foreign-executable")), 1)
        self.assertIn("Posture at its start", self.here.assay("trace", run["run_id"]))

    def test_posture_is_told_and_filters(self):
        bare = self.run_container("bare", "/bin/sleep", "600",
                                  options=("--security-opt", "seccomp=unconfined", "--pid", "host", "--user", "0"))
        bound = self.run_container("bound", "/bin/sleep", "600", options=(
            "--read-only", "--cap-drop", "ALL", "--user", "1000", "--security-opt", "no-new-privileges"))
        posture = self.trace(bare)["origin"]["posture"]
        self.assertLessEqual({"root", "no-seccomp", "new-privileges", "host-pid", "writable-root"},
                             set(posture["traits"]))
        self.assertIn("cap_chown", posture["capabilities"])
        posture = self.trace(bound)["origin"]["posture"]
        self.assertEqual(set(posture["traits"]) & {"root", "privileged", "new-privileges", "host-pid", "writable-root"},
                         set())
        self.assertEqual(posture["capabilities"], [])
        found = {run["run_id"] for run in self.here.runs("--posture", "root,host-pid")}
        self.assertIn(bare["run_id"], found)
        self.assertNotIn(bound["run_id"], found)
        self.here.assay("ps", "--posture", "nonsense", code=2)


class ByHandTest(Questions, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        tar = images.busybox_layer(cls.here.folder / "golden.layer", "golden")
        cls.layer = by_hand.unpack(tar, cls.here.folder / "l/golden")
        cls.here.start_collector()
        cls.here.start_agent()

    def test_a_container_that_is_gone_at_once_has_its_posture_and_its_foreign_file(self):
        started = by_hand.Started([self.layer], "/bin/sh", "-c", DROP)
        pid = started.reports()[0][0]
        self.assertEqual(started.wait(), 0)
        run = self.here.wait(lambda: next((run for run in self.here.runs("--all") if run["process"]["pid"] == pid),
                                          None), "the run")
        self.assert_dropped_file(run)
        self.assertLessEqual({"root", "writable-root", "host-user", "host-net"},
                             set(self.trace(run)["origin"]["posture"]["traits"]))


if __name__ == "__main__":
    deployment.main()
