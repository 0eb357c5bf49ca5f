#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who it is: containers that no runtime knows, those that go by another's identity, and pods' sandboxes."""
import json
import pathlib
import shutil
import subprocess
import unittest

import deployment
import images
import runtimes
from by_hand import Started, run_of, unpack

IMAGE = "docker.io/library/golden:1"
SLEEP = ("/bin/sleep", "600")
PAUSE = "io.kubernetes.cri.container-type=sandbox"
SHORT = 50


def children_of(pid):
    """Process ids, the newest last."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


class IdentityTest(unittest.TestCase):
    """docker, containerd and podman with one agent that knows them all."""

    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        folder = cls.here.folder / "images"
        folder.mkdir()
        tar = images.busybox_layer(folder / "golden.layer", "golden")
        cls.layer = unpack(tar, cls.here.folder / "layers/golden")
        cls.archive = images.image_archive(folder / "golden.tar", IMAGE, [tar])
        cls.runtimes, settings = {}, {}
        for runtime_class in runtimes.RUNTIMES:
            if missing := runtime_class.missing():
                raise unittest.SkipTest(missing)
            runtime = runtime_class(cls.here.folder)
            cls.addClassCleanup(runtime.stop)
            runtime.start()
            runtime.load(cls.archive, IMAGE)
            cls.runtimes[runtime.name] = runtime
            settings.update(runtime.agent_settings())
        cls.here.settings = {"runtime": settings}
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "golden:1", "--from", cls.archive)

    def start(self, *words, **options):
        """A container by hand; its report."""
        started = Started([self.layer], *(words or SLEEP), **options)
        self.addCleanup(started.stop)
        (report,) = started.reports()
        return report

    def run_container(self, runtime, name, options=()):
        self.runtimes[runtime].run(name, IMAGE, *SLEEP, options=options)
        self.addCleanup(lambda: name in self.runtimes[runtime].containers and self.runtimes[runtime].remove(name))
        return self.here.wait_for_run(name, "approved")

    def trace(self, run):
        return self.here.query("trace", run["run_id"])

    def wait_until_known(self, run):
        return self.here.wait(lambda: self.trace(run)["recognition"]["state"] == "known",
                              f"{run['container']} known")

    def set_policy(self, text):
        file = self.here.folder / "policy.yaml"
        file.write_text(text)
        self.here.assay("policy", "set", file, "--yes", "--reason", "test")
        self.addCleanup(self.reset_policy)

    def reset_policy(self):
        file = self.here.folder / "policy.yaml"
        file.write_text("{}\n")
        self.here.assay("policy", "set", file, "--yes", "--reason", "test")

    def run_of_pid(self, pid):
        return self.here.wait(lambda: next((run for run in self.here.runs() if run["process"]["pid"] == pid), None),
                              f"run of process {pid}")

    # Nobody knows it

    def test_a_container_by_hand_is_rogue_with_its_lineage(self):
        report = self.start()
        run = run_of(self.here, report, verdict="approved")
        finding = self.here.wait_for_finding("rogue", run)
        self.assertIn("no runtime on this node has a record of it; it was started by assay-starter (pid ",
                      finding["reason"])
        trace = self.trace(run)
        self.assertEqual(trace["recognition"]["state"], "unknown")
        self.assertEqual(trace["recognition"]["reason"], finding["reason"])
        login = trace["origin"]["login"]
        self.assertEqual(login["starter_uid"], 0)
        stat = pathlib.Path(f"/proc/{report[0]}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        self.assertEqual(login["session"], int(stat[3]) or None)
        self.assertIn("assay-starter", [one["name"] for one in trace["origin"]["ancestors"]])

    def test_the_policy_may_leave_rogue_containers_alone(self):
        run = run_of(self.here, self.start(), verdict="approved")
        self.here.wait_for_finding("rogue", run)
        self.set_policy("rogue: ignore\n")
        self.here.wait_for_finding("rogue", run, state="resolved")
        self.assertEqual(self.trace(run)["recognition"]["state"], "unknown")  # who knows it is told all the same
        self.reset_policy()
        self.here.wait_for_finding("rogue", run)

    def test_unshare_and_bubblewrap_are_rogue_and_their_terminal_is_told(self):
        merged = self.here.folder / "merged"
        for name in ("upper", "work", "merged"):
            (self.here.folder / name).mkdir()
        script = (f"mount -t overlay none -o lowerdir={self.layer},upperdir={self.here.folder}/upper,"
                  f"workdir={self.here.folder}/work {merged} && cd {merged} && mkdir -p old && pivot_root . old"
                  " && exec /bin/sleep 600")
        # script(1) gives it a session and a terminal of its own.
        commands = {"unshare": ["script", "-qc", f"unshare -mpf --propagation private sh -c '{script}'", "/dev/null"]}
        if shutil.which("bwrap"):
            commands["bwrap"] = ["bwrap", "--unshare-pid", "--bind", str(self.layer), "/", *SLEEP]
        for name, words in commands.items():
            with self.subTest(starter=name):
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)

                def started(top=process.pid):
                    below = [top]
                    for pid in below:
                        below.extend(children_of(pid))
                    return next((run for run in self.here.runs() if run["process"]["pid"] in below
                                 and run["kind"] in ("container", "inner")), None)
                run = self.here.wait(started, f"run of {name}")
                finding = self.here.wait_for_finding("rogue", run)
                self.assertIn(name, finding["reason"])
                if name == "unshare":
                    self.assertRegex(self.trace(run)["origin"]["login"]["terminal"], r"^pts/\d+$")
                    self.assertRegex(finding["reason"], r"session \d+, terminal pts/\d+")
                subprocess.run(["kill", "-9", str(run["process"]["pid"])], check=True)

    def test_what_a_runtime_runs_is_not(self):
        known = [self.run_container(name, f"known-{name}") for name in self.runtimes]
        bundle = self.here.folder / "bundle"
        bundle.mkdir()
        runtimes.command("runc", "spec", "--bundle", bundle)
        spec = json.loads((bundle / "config.json").read_text())
        spec["root"] = {"path": str(self.layer), "readonly": True}
        spec["process"].update(terminal=False, args=list(SLEEP), rlimits=[])
        (bundle / "config.json").write_text(json.dumps(spec))
        with open(self.here.folder / "runc.log", "wb") as log:  # its container keeps what it inherits
            subprocess.run(["runc", "run", "--detach", "--bundle", bundle, "assay-raw"], check=True,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(runtimes.command, "runc", "delete", "--force", "assay-raw")
        raw = self.here.wait_for_run_of("assay-raw")
        self.assertEqual(raw["names"]["runtime"], "runc")
        self.assertTrue(raw["names"]["are_confirmed"])
        self.assertEqual(self.trace(raw)["recognition"]["reason"], "runc's note /run/runc/assay-raw")
        # One that is told after all of them is the proof that they were looked at.
        self.here.wait_for_finding("rogue", run_of(self.here, self.start()))
        for run in [*known, raw]:
            self.wait_until_known(run)
            self.assertEqual(self.here.findings_of(run, "rogue"), [], run["container"])
            self.assertEqual(self.here.findings_of(run, "identity-conflict"), [], run["container"])

    def test_it_resolves_when_a_record_comes(self):
        report = self.start()
        run = run_of(self.here, report, verdict="approved")
        self.here.wait_for_finding("rogue", run)
        stat = pathlib.Path(f"/proc/{report[0]}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        note = pathlib.Path("/run/runc/assay-late")
        note.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, note)
        (note / "state.json").write_text(json.dumps(
            {"id": "assay-late", "init_process_pid": report[0], "init_process_start": int(stat[19])}))
        self.here.wait_for_finding("rogue", run, state="resolved")
        self.assertEqual(self.here.wait_for_run_of("assay-late")["run_id"], run["run_id"])

    def test_a_short_one_is_unclear_and_no_finding(self):
        run = run_of(self.here, self.start("/bin/true"), ended=True)
        recognition = self.trace(run)["recognition"]
        self.assertEqual((recognition["state"], recognition["reason"]),
                         ("unclear", "it ended before it was looked for twice"))
        self.assertEqual(self.here.findings_of(run, "rogue"), [])

    # Somebody else's identity

    def test_who_sits_in_a_containers_cgroup_goes_by_its_identity(self):
        for runtime in self.runtimes:
            with self.subTest(runtime=runtime):
                name = f"owner-{runtime}"
                owner = self.run_container(runtime, name)
                thief = run_of(self.here, self.start(beside=self.runtimes[runtime].pid_of(name)))
                finding = self.here.wait_for_finding("identity-conflict", thief)
                for text in (name, owner["run_id"], f"pid {owner['process']['pid']}", "assay-starter"):
                    self.assertIn(text, finding["reason"])
                self.assertIn(finding["reason"], self.trace(thief)["recognition"]["conflicts"])
                self.assertEqual(self.here.findings_of(owner, "identity-conflict"), [])

    def test_a_cgroup_below_anothers_is_told_by_both_names(self):
        owner = self.run_container("docker", "parent")
        container = owner["names"]["container_id"]
        self.runtimes["docker"].run("child", IMAGE, *SLEEP, options=("--cgroup-parent", f"/docker/{container}"))
        self.addCleanup(self.runtimes["docker"].remove, "child")
        run = self.run_of_pid(self.runtimes["docker"].pid_of("child"))
        self.assertIn("parent", self.here.wait_for_finding("identity-conflict", run)["reason"])

    def test_a_containers_own_processes_are_its_own(self):
        """docker exec, and a new root that the container makes for itself."""
        for runtime in ("docker", "containerd", "podman"):
            name = f"own-{runtime}"
            owner = self.run_container(runtime, name)
            self.runtimes[runtime].exec(name, "/bin/true")
            # What enters its namespaces as an exec does, and stands on another root.
            inside = subprocess.Popen(["nsenter", "-t", str(self.runtimes[runtime].pid_of(name)), "-p", "--",
                                       deployment.BIN / "assay-starter", "--lower", str(self.layer), "--report",
                                       "--count", "1", "--", *SLEEP], stdout=subprocess.PIPE, text=True)
            self.addCleanup(inside.wait)
            self.addCleanup(inside.terminate)
            inside.stdout.readline()
            runs = self.here.wait(lambda: [run for run in self.here.runs() if run["verdict"]["status"] == "approved"
                                           and run["executable"] == SLEEP[0] and not run["names"]["container_id"]],
                                  "the run inside")
            inner = max(runs, key=lambda run: run["started_at"])
            self.wait_until_known(inner)
            self.assertEqual(self.trace(inner)["recognition"]["reason"], f"it started inside run {owner['run_id']}")
            for run in (owner, inner):
                self.assertEqual([one["kind"] for one in self.here.findings_of(run)], [])
            subprocess.run(["kill", "-9", str(inner["process"]["pid"])], check=False)

    # Sandboxes

    def test_sandboxes_have_a_rule_of_their_own(self):
        pause = self.run_container("containerd", "pause", ("--annotation", PAUSE))
        plain = self.run_container("containerd", "plain")
        liar = self.run_container("docker", "liar", ("--label", PAUSE))  # as an image may say it, too
        self.assertEqual((pause["kind"], plain["kind"], liar["kind"]), ("sandbox", "container", "container"))
        self.set_policy("sandbox:\n  bases: [pause]\n")
        finding = self.here.wait_for_finding("unknown-base", pause)
        self.assertEqual(finding["reason"], "a sandbox may stand on pause only, and this one stands on golden:1")
        for run in (plain, liar):
            self.assertEqual(self.here.findings_of(run), [])
        self.set_policy("sandbox:\n  bases: [golden]\n")
        self.here.wait_for_finding("unknown-base", pause, state="resolved")
        self.assertIn('bases: ["golden"]', self.here.assay("policy", "show", "-o", "yaml"))
        trial = self.here.folder / "trial.yaml"
        trial.write_text("sandbox:\n  bases: [pause:3.9]\n")
        (opened,) = self.here.query("policy", "test", trial)["findings"]
        self.assertEqual((opened["kind"], opened["opened"]), ("unknown-base", 1))

    # Names of what goes at once

    def test_short_lived_containers_have_their_names(self):
        for runtime in ("docker", "containerd"):
            names = {f"{runtime}-short-{number}" for number in range(SHORT)}
            for name in sorted(names):
                self.runtimes[runtime].run_to_end(name, IMAGE, "/bin/true")
            of_them = self.here.wait(
                lambda names=names: (lambda runs: len(runs) >= SHORT and runs)(
                    [run for run in self.here.runs("--all") if run["names"]["name"] in names]), "all by their names")
            self.assertEqual({run["names"]["name"] for run in of_them}, names)
            self.assertEqual({run["names"]["runtime"] for run in of_them}, {runtime})


class OnceTest(unittest.TestCase):
    """The same without a collector."""

    def test_once_tells_of_rogue_containers_and_exits_with_1(self):
        here = deployment.Deployment()
        self.addCleanup(here.close)
        layer = unpack(images.busybox_layer(here.folder / "one", "one"), here.folder / "tree")
        started = Started([layer], *SLEEP)
        self.addCleanup(started.stop)
        ((pid, _),) = started.reports()
        out, _ = here.program("assay-agent", "once", "--config", here.agent_config(), "-o", "json", code=1)
        answer = json.loads(out)
        run = next(run for run in answer["runs"] if run["pid"] == pid)
        self.assertEqual(run["known_by"], "unknown")
        self.assertIn("rogue", [finding["kind"] for finding in answer["findings"]
                                if "assay-starter" in finding["reason"]])


if __name__ == "__main__":
    deployment.main()
