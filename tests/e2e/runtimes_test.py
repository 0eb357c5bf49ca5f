# SPDX-License-Identifier: Apache-2.0
"""Who is seen: one test per way of starting a container. docker, containerd through ctr and podman as people
run them every day are in containers_test.py, with other stores and user namespaces in stores_test.py."""

import socket
import subprocess

import cri
import deployment
import images
import nested
import seen
import store_runtimes
from bundles import Bundle, Overlay
from runtimes import command

POD = {"pod_name": "shop-0", "pod_namespace": "market", "pod_uid": "0c1f2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"}


NSPAWN = ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--link-journal=no", "--resolv-conf=off",
          "--timezone=off"]


class ByHandTest(seen.Case):
    """Without any engine that keeps records: nobody names them."""
    programs = ("runc", "crun", "bwrap", "systemd-nspawn")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The bottom layer alone, as a directory.
        cls.plain = cls.node.layers[0]
        cls.node.here.assay("base", "approve", "plain:1", "--from", images.image_archive(
            cls.node.here.folder / "plain.tar", "plain:1", [cls.node.here.folder / "image/0.tar"]))

    def overlay(self, kind=Overlay):
        overlay = kind(self.node.here.folder / self.id().rpartition(".")[2], self.node.layers)
        self.addCleanup(overlay.close)
        return overlay

    def check_plain(self, start, kind):
        """One run on a root that is one directory: the plain base itself."""
        runs, _ = self.node.runs_of(start)
        self.assertEqual([run["kind"] for run in runs], [kind])
        self.check_is_plain(runs[0])
        self.node.wait_until_ended(runs[0])

    def check_is_plain(self, run):
        run = self.node.wait_for(run["run_id"], lambda now: now["verdict"]["status"] == "approved", "approved")
        self.assertEqual((run["base"], run["layers"], run["verdict"]["rung"]), ("plain:1", 1, "content"))
        self.check_names(run, {})

    def test_runc_from_a_bundle(self):
        bundle = self.overlay(Bundle)
        self.check_started(lambda: bundle.run("runc", "raw", "true"))

    def test_crun_from_a_bundle(self):
        bundle = self.overlay(Bundle)
        self.check_started(lambda: bundle.crun_unified("raw", "true"))

    def test_systemd_nspawn_on_an_overlay(self):
        overlay = self.overlay()
        self.check_started(lambda: self.nspawn("--directory", overlay.root, "/bin/true"))

    def test_systemd_nspawn_with_a_stub_init(self):
        overlay = self.overlay()
        self.check_started(lambda: self.nspawn("--as-pid2", "--directory", overlay.root, "/bin/true"))

    def test_systemd_nspawn_on_a_directory(self):
        self.check_plain(lambda: self.nspawn("--read-only", "--directory", self.plain, "/bin/true"), "container")

    def test_systemd_nspawn_on_a_copy_of_a_directory(self):
        """The copy goes with the container, which must live until it was read."""
        machine = []

        def start():
            machine.append(subprocess.Popen([*NSPAWN, "--ephemeral", "--read-only", "--directory", self.plain,
                                             "/bin/sleep", "600"]))
            self.addCleanup(machine[0].wait)
            self.addCleanup(machine[0].terminate)
            self.node.here.wait(lambda: any(run["executable"] == "/bin/sleep" and run["state"] == "running"
                                            for run in self.node.here.runs()), "the machine's run")
        runs, _ = self.node.runs_of(start)
        self.assertEqual([run["kind"] for run in runs], ["container"])
        self.check_is_plain(runs[0])
        machine[0].terminate()
        self.node.wait_until_ended(runs[0])

    @staticmethod
    def nspawn(*words):
        command(*NSPAWN, *words)

    def test_bubblewrap_on_an_overlay(self):
        overlay = self.overlay()
        self.check_started(lambda: command("bwrap", "--unshare-all", "--bind", overlay.root, "/", "--proc", "/proc",
                                           "--dev", "/dev", "/bin/true"))

    def test_unshare_overlay_and_pivot_root_by_hand(self):
        overlay = self.overlay()
        script = 'cd "$0" && pivot_root . old && exec /bin/sh -c "umount -l /old; true"'
        mounted = f'mount --bind {overlay.root} {overlay.root} && '
        self.check_started(lambda: command("unshare", "--mount", "sh", "-c", mounted + script, overlay.root))

    def test_chroot_from_the_host_is_told_apart(self):
        self.check_plain(lambda: command("chroot", self.plain, "/bin/true"), "chroot")

    def test_chroot_into_an_overlay(self):
        overlay = self.overlay()
        self.check_started(lambda: command("chroot", overlay.root, "/bin/true"), kind="chroot")


class PodmanUserNamespaceTest(seen.Case):
    """podman gives runc a mount namespace of its own before the container's: no start on the host's root."""
    runtime_class = store_runtimes.PodmanShifted

    def test_each_container_is_one_run(self):
        for number in range(5):
            name = f"shifted-{number}"
            with self.subTest(name=name):
                run = self.check_started(lambda: self.runtime.run_to_end(name, seen.IMAGE, "true"),
                                         names={"runtime": "podman", "name": name, "image": seen.IMAGE})
                self.assertEqual(len(run["names"]["container_id"]), 64)


class PodmanRootlessTest(seen.Case):
    """An ordinary user's podman: what it runs besides containers was there before the agent, as one run on the
    host's root in the user's namespaces."""
    runtime_class = store_runtimes.PodmanRootless

    def test_each_container_is_one_run(self):
        for number in range(3):
            with self.subTest(number=number):
                self.check_started(lambda: self.runtime.run_to_end(f"user-{number}", seen.IMAGE, "true"))

    def test_the_users_own_notes_make_it_known(self):
        (run,), _ = self.node.runs_of(lambda: self.runtime.run("user-long", seen.IMAGE, "/bin/sleep", "600"))
        self.addCleanup(self.runtime.remove, "user-long")

        def look():
            recognition = self.node.here.query("trace", run["run_id"])["recognition"]
            return recognition["reason"] and recognition
        recognition = self.node.here.wait(look, "who knows the container")
        self.assertEqual(recognition["state"], "known", recognition)
        self.assertIn(str(self.runtime.runtime_folder), recognition["reason"])
        self.assertEqual(self.node.here.findings_of(run, "rogue"), [])


class PodmanRootlessFuseTest(seen.Case):
    """Layers of a root that a user's program serves are that program's to tell: nobody believes it."""
    runtime_class = store_runtimes.PodmanRootlessFuse

    def test_its_root_is_told_as_one_that_cannot_be_read(self):
        runs, _ = self.node.runs_of(lambda: self.runtime.run_to_end("served", seen.IMAGE, "true"))
        self.assertEqual([(run["kind"], run["is_late"]) for run in runs], [("container", False)], runs)
        finding = self.node.here.wait_for_finding("unsupported-root", runs[0], state="resolved")
        self.assertIn("fuse", finding["reason"])
        self.node.wait_until_ended(runs[0])


class DockerInDockerTest(seen.Case):
    """The inner container's layers lie on a volume of the node."""
    runtime_class = nested.DockerInDocker

    def test_a_container_of_a_docker_in_docker(self):
        self.runtime.start_inner(self.node.archive)
        # The inner dockerd tries overlayfs with a container of its own first, in the outer one.
        outer = self.node.here.wait(lambda: [run for run in self.node.here.runs() if run["kind"] == "container"],
                                    "the outer container")[0]
        self.check_names(outer, {"runtime": "docker", "name": "outer", "image": nested.OUTER})
        runs, _ = self.node.runs_of(
            lambda: self.runtime.inner("run", "--rm", "--network", "none", seen.IMAGE, "true"))
        self.assertEqual(len(runs), 1, runs)
        run = self.node.wait_until_ended(self.check_whole(runs[0]))
        # Where both versions of cgroups are mounted the inner runc leaves version 2's alone, and its container
        # is one in the outer's cgroup; elsewhere it has its own below that.
        shares_cgroup = run["cgroup_path"] == outer["cgroup_path"]
        self.assertEqual(run["kind"], "inner" if shares_cgroup else "container")
        self.assertEqual(run["names"]["container_id"] == outer["names"]["container_id"], shares_cgroup)
        self.assertTrue(run["cgroup_path"].startswith(outer["cgroup_path"]))
        self.runtime.remove("outer")
        self.node.wait_until_ended(outer)


class CriTest(seen.Case):
    """A pod and a container in it, as a kubelet starts them."""
    runtime_class = cri.ContainerdCri

    def test_a_pod_is_a_sandbox_and_a_container(self):
        before = self.node.all_runs()
        pod = self.runtime.pod(POD["pod_name"], POD["pod_namespace"], POD["pod_uid"])
        (sandbox,) = self.node.runs_since(before)
        self.assertEqual((sandbox["kind"], sandbox["is_late"], sandbox["names"]["container_id"]),
                         ("sandbox", False, pod))
        # Only containerd's socket would tell the sandbox's image.
        self.check_names(sandbox, {"runtime": "containerd", "name": "", "image": "", **POD})

        runs, container = self.node.runs_of(lambda: self.runtime.container(pod, "till", seen.IMAGE, "/bin/sleep", "600"))
        self.assertEqual([run["kind"] for run in runs], ["container"])
        run = self.check_whole(runs[0])
        self.assertEqual((run["names"]["container_id"], run["is_late"]), (container, False))
        self.check_names(run, {"runtime": "containerd", "name": "till", "image": seen.IMAGE, **POD})

        self.runtime.remove_pod(pod)
        for one in (sandbox, run):
            self.node.wait_until_ended(one)
        self.assertEqual(self.node.runs_since({**before, sandbox["run_id"]: sandbox, run["run_id"]: run}), [])

    def test_short_containers_of_a_pod(self):
        pod = self.runtime.pod("short", "market", "1c1f2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f")
        self.addCleanup(self.runtime.remove_pod, pod)
        for number in range(5):
            name = f"short-{number}"
            self.check_started(lambda: self.runtime.container(pod, name, seen.IMAGE, "true"), names={
                "runtime": "containerd", "name": name, "image": seen.IMAGE, "pod_name": "short"})


class ContainerdCriBySocket(cri.ContainerdCri):
    """Its socket is named to the agent, behind one on which somebody listens and never answers."""

    def agent_settings(self):
        silent = self.folder / "silent.sock"
        self.silent = socket.socket(socket.AF_UNIX)
        self.silent.bind(str(silent))
        self.silent.listen(64)
        return {**super().agent_settings(), "containerd_sockets": [str(silent), str(self.folder / "c.sock")]}

    def stop(self):
        super().stop()
        self.silent.close()


class CriSocketTest(seen.Case):
    """What containerd's socket adds to a pod."""
    runtime_class = ContainerdCriBySocket

    def test_labels_and_annotations_of_the_pod(self):
        labels = {"app": "shop", "team": "till"}
        pod = self.runtime.pod("shop-0", "market", "2c1f2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f", labels, {"owner": "team-a"})
        self.addCleanup(self.runtime.remove_pod, pod)
        runs, _ = self.node.runs_of(lambda: self.runtime.container(pod, "till", seen.IMAGE, "/bin/sleep", "600"))
        run = self.check_whole(runs[0])
        expected = {**labels, "owner": "team-a", "io.kubernetes.container.name": "till"}
        run = self.node.wait_for(run["run_id"], lambda now: expected.items() <= now["names"]["labels"].items(),
                                 "with its labels")
        self.check_names(run, {"runtime": "containerd", "name": "till", "image": seen.IMAGE, "pod_name": "shop-0"})


if __name__ == "__main__":
    deployment.main()
