#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exemptions on real containers: whom they cover, until when, and that nobody gets one by a borrowed name."""
import calendar
import time
import unittest

import deployment
import images
import runtimes
from by_hand import Started, run_of, unpack

DOOMED = "docker.io/library/doomed:1"
OWNER, REASON = "payments@example.org", "moves with release 4.2"
LATE = "2099-01-01T00:00:00Z"
UNCONFIRMED = "nothing confirms its names"


def seconds_of(text):
    """Whole seconds since 1970 of a time that `assay` wrote."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


class Cases:
    """Every case of one runtime; a subclass says how a container there gets what the exemption asks for."""
    runtime_class = None
    selectors = {}
    covered_options = ()
    beside_options = ()

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        tar = images.busybox_layer(cls.here.folder / "doomed.layer", "doomed")
        cls.layer = unpack(tar, cls.here.folder / "layers/doomed")
        archive = images.image_archive(cls.here.folder / "doomed.tar", DOOMED, [tar])
        cls.runtime.load(archive, DOOMED)
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.here.assay("base", "approve", "doomed:1", "--from", archive)
        cls.here.assay("base", "revoke", "doomed:1", "--reason", "CVE", "--yes")

    def setUp(self):
        self.exempt_until(LATE)

    def exempt_until(self, until):
        lines = [f"{key}: {value}" for key, value in
                 {"base": "doomed", **self.selectors, "owner": OWNER, "reason": REASON, "until": until}.items()]
        policy = self.here.folder / "policy.yaml"
        policy.write_text("exemptions:\n  - " + "\n    ".join(lines) + "\n")
        self.here.assay("policy", "set", policy, "--yes", "--reason", "test")

    def run_container(self, name, options):
        self.runtime.run(name, DOOMED, "/bin/sleep", "600", options=options)
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def wait_for_exempt(self, name, until=LATE):
        """The revoked run of a container that is exempt; its finding is closed, and says why."""
        text = f"exempt until {until} by {OWNER}: {REASON}"

        def look():
            return next((run for run in self.here.runs("--container", name) if run["exemption"] == text), None)
        run = self.here.wait(look, f"{name} {text}")
        self.assertEqual(run["verdict"]["status"], "revoked")  # the base is what it is
        self.assertTrue(run["names"]["are_confirmed"])
        closed = self.here.wait_for_finding("revoked-base", run, state="resolved")
        self.assertEqual(closed["resolved_reason"], text)
        self.assertEqual(self.here.findings_of(run), [])
        self.assertIn(text, self.here.assay("ps", "-o", "wide"))
        self.assertIn(text, self.here.assay("trace", run["run_id"]))
        self.assertIn(text, self.here.assay("findings", "--all", "-o", "wide"))
        return run

    def wait_for_unconfirmed(self, run):
        """The finding of a run that has the name, and nothing that makes it its own."""
        def look():
            return [finding for finding in self.here.findings_of(run, "revoked-base")
                    if UNCONFIRMED in finding["reason"]]
        self.here.wait(look, f"finding that says: {UNCONFIRMED}")
        trace = self.here.query("trace", run["run_id"])["run"]
        self.assertEqual((trace["exemption"], trace["names"]["are_confirmed"]), ("", False))

    def test_it_covers_whom_it_names_until_its_end(self):
        self.run_container("covered", self.covered_options)
        self.run_container("beside", self.beside_options)
        covered = self.wait_for_exempt("covered")
        beside = self.here.wait_for_run("beside", "revoked")
        finding = self.here.wait_for_finding("revoked-base", beside)
        self.assertNotIn(UNCONFIRMED, finding["reason"])
        self.assertEqual(self.here.query("trace", beside["run_id"])["run"]["exemption"], "")
        end = int(time.time()) + 30
        self.exempt_until(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
        # No command from here on: only questions.
        opened = self.here.wait_for_finding("revoked-base", covered)
        self.assertGreaterEqual(seconds_of(opened["opened_at"]), end)
        self.assertEqual(self.here.query("trace", covered["run_id"])["run"]["exemption"], "")

    def test_who_sits_in_its_cgroup_has_its_name_and_no_exemption(self):
        self.run_container("covered", self.covered_options)
        covered = self.wait_for_exempt("covered")
        thief = Started([self.layer], "/bin/sleep", "600", beside=self.runtime.pid_of("covered"))
        self.addCleanup(thief.stop)
        (report,) = thief.reports()
        run = run_of(self.here, report, verdict="revoked")
        self.assertEqual(run["names"]["container_id"], covered["names"]["container_id"])
        self.wait_for_unconfirmed(run)
        self.assertEqual(self.wait_for_exempt("covered")["run_id"], covered["run_id"])

    def test_a_record_that_others_may_write_is_not_believed(self):
        self.runtime.folder.chmod(0o777)
        self.addCleanup(self.runtime.folder.chmod, 0o755)
        self.run_container("covered", self.covered_options)
        self.wait_for_unconfirmed(self.here.wait_for_run("covered", "revoked"))


class DockerTest(Cases, unittest.TestCase):
    """A workload: compose's project and service."""
    runtime_class = runtimes.Docker
    selectors = {"workload": "shop/ledger"}
    covered_options = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=ledger")
    beside_options = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")

    def test_a_cgroup_below_anothers_gives_its_name_and_no_exemption(self):
        """Who may start containers may choose their parent."""
        self.run_container("covered", self.covered_options)
        covered = self.wait_for_exempt("covered")
        container = covered["names"]["container_id"]
        self.run_container("thief", ("--cgroup-parent", f"/docker/{container}"))
        pid = self.runtime.pid_of("thief")
        run = self.here.wait(lambda: next((run for run in self.here.runs() if run["process"]["pid"] == pid), None),
                             "run of the thief")
        self.assertEqual(run["names"]["container_id"], container)
        self.wait_for_unconfirmed(run)


class ContainerdTest(Cases, unittest.TestCase):
    """A pod's namespace and an image, by the annotations that containerd's CRI writes."""
    runtime_class = runtimes.Containerd
    selectors = {"namespace": "payments", "image": "docker.io/library/doomed"}
    covered_options = ("--annotation", "io.kubernetes.cri.sandbox-namespace=payments",
                       "--annotation", f"io.kubernetes.cri.image-name={DOOMED}")
    beside_options = ("--annotation", "io.kubernetes.cri.sandbox-namespace=shop",
                      "--annotation", f"io.kubernetes.cri.image-name={DOOMED}")


class PodmanTest(Cases, unittest.TestCase):
    """A container's name and an annotation, which counts as a label."""
    runtime_class = runtimes.Podman
    selectors = {"container": "cover*", "labels": "{tier: batch}"}
    covered_options = ("--annotation", "tier=batch")
    beside_options = ("--annotation", "tier=batch")


if __name__ == "__main__":
    deployment.main()
