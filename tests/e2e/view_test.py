# SPDX-License-Identifier: Apache-2.0
"""What containers see of their bases: files that are masked by mounts, by edits, by marks in layers.

Whatever a case does, the run is never approved in silence: there is the finding masked-base, or no approval.
"""
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tarfile
import unittest

import by_hand
import deployment
import images
import runtimes

GOLDEN = "docker.io/library/golden:12"
LOOSE = "docker.io/library/loose:12"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"


def access_list():
    """user::rwx, user:1234:rwx, group::r-x, mask::rwx, other::r-x"""
    entries = [(1, 7, -1), (2, 7, 1234), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


class Watching:
    """Questions of both kinds of cases."""
    here = None

    def view_of(self, run):
        return self.here.query("trace", run["run_id"])["view"]

    def wait_for_view(self, run, state):
        return self.here.wait(lambda: self.view_of(run)["state"] == state and self.view_of(run),
                              f"view of {run['container']}: {state}")

    def look_again(self):
        self.here.agent.process.send_signal(signal.SIGUSR1)

    def assert_masked(self, name, said, verdict="pending"):
        run = self.here.wait_for_run(name, verdict)
        finding = self.here.wait_for_finding("masked-base", run)
        self.assertIn(said, finding["reason"])
        view = self.wait_for_view(run, "differs")
        self.assertTrue(any(said in path for path in view["masked_paths"]), view)
        self.assertEqual(self.here.findings_of(run, "unverified"), [])
        return run


class Cases(Watching):
    """Every case of one runtime."""
    runtime_class = None

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        folder = pathlib.Path(cls.here.folder, "images")
        folder.mkdir()
        golden = images.image_archive(folder / "golden.tar", GOLDEN, [images.debian_base()])
        cls.runtime.load(golden, GOLDEN)
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.here.assay("base", "approve", "golden:12", "--from", golden)

    def run_container(self, name, *words, options=(), image=GOLDEN):
        self.runtime.run(name, image, *(words or ("sleep", "600")), options=options)
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))

    def test_a_clean_container_agrees(self):
        self.run_container("clean")
        run = self.here.wait_for_run("clean", "approved", layers=1)
        view = self.wait_for_view(run, "agrees")
        self.assertGreater(view["paths"], 5000)
        self.assertEqual((view["masked"], view["covered"], view["reason"]), (0, 0, ""), view)
        self.assertEqual(view["layers"], 1)
        self.assertEqual(self.here.findings_of(run), [])
        text = self.here.assay("trace", run["run_id"])
        self.assertIn("What it sees of its base", text)
        self.assertIn("agrees", text)

    def test_an_edit_in_a_running_container_is_found_at_the_next_look(self):
        self.run_container("edited")
        run = self.here.wait_for_run("edited", "approved", layers=1)
        self.wait_for_view(run, "agrees")
        # Of the same size and with its old times: only the change time tells.
        self.runtime.exec("edited", "sh", "-c",
                          f"cp -a {LIBC} /tmp/copy && cp /tmp/copy {LIBC} && touch -r /tmp/copy {LIBC}")
        self.look_again()
        self.assert_masked("edited", f"{LIBC} (edited in the container)")

    def test_an_edit_elsewhere_is_listed_and_no_finding(self):
        self.run_container("elsewhere")
        run = self.here.wait_for_run("elsewhere", "approved", layers=1)
        self.wait_for_view(run, "agrees")
        self.runtime.exec("elsewhere", "sh", "-c", "echo x:x:9:9::/:/bin/sh >> /etc/passwd; rm /etc/issue")
        self.look_again()

        def is_listed():
            view = self.view_of(run)
            return view["covered"] == 2 and view
        view = self.here.wait(is_listed, "two covered paths")
        self.assertEqual(view["state"], "agrees")
        self.assertEqual(view["covered_paths"],
                         ["/etc/issue (deleted in the container)", "/etc/passwd (edited in the container)"])
        self.assertEqual(self.here.findings_of(run), [])
        self.here.wait_for_run("elsewhere", "approved")

    def test_a_folder_opened_to_all_is_a_finding(self):
        self.run_container("opened")
        run = self.here.wait_for_run("opened", "approved", layers=1)
        self.wait_for_view(run, "agrees")
        self.runtime.exec("opened", "chmod", "0777", "/etc")
        self.look_again()
        self.assert_masked("opened", "/etc (anyone may write to it)")

    def test_a_preloaded_library_is_a_finding_and_stays_one(self):
        self.run_container("preload")
        run = self.here.wait_for_run("preload", "approved", layers=1)
        self.wait_for_view(run, "agrees")
        self.runtime.exec("preload", "touch", "/etc/ld.so.preload")
        self.look_again()
        self.assert_masked("preload", "/etc/ld.so.preload (added in the container)")
        self.runtime.exec("preload", "rm", "/etc/ld.so.preload")
        self.look_again()
        self.here.wait(lambda: "an earlier look" in self.view_of(run)["reason"], "another look")
        self.assertEqual(len(self.here.findings_of(run, "masked-base")), 1)
        self.here.wait_for_run("preload", "pending")

    def test_a_container_that_is_gone_is_unchecked(self):
        self.runtime.run_to_end("gone", GOLDEN, "true")
        run = self.here.wait_for_run("gone", "approved", ended=True)
        self.assertEqual(self.view_of(run)["state"], "unchecked")
        self.assertEqual(self.here.findings_of(run), [])

    def test_a_restarted_agent_looks_again(self):
        self.run_container("restarted")
        run = self.here.wait_for_run("restarted", "approved", layers=1)
        self.wait_for_view(run, "agrees")
        self.here.stop_agent()
        self.runtime.exec("restarted", "rm", "/usr/bin/perl")
        self.here.start_agent(self.runtime)
        self.assert_masked("restarted", "/usr/bin/perl (deleted in the container)")


class MountCases(Cases):
    """Runtimes whose client takes --volume and cp."""

    def copy_of_libc(self, name):
        """A real libc, so that the container runs."""
        copy = pathlib.Path(self.here.folder, name)
        with tarfile.open(images.debian_base()) as base:
            copy.write_bytes(base.extractfile(base.getmember(f".{LIBC}")).read())
        copy.chmod(0o755)
        return copy

    def test_a_bind_mount_over_libc_is_a_finding(self):
        self.run_container("bound", options=("--volume", f"{self.copy_of_libc('bound')}:{LIBC}:ro"))
        self.assert_masked("bound", f"{LIBC} (mount: ")

    def test_a_volume_over_a_folder_is_a_finding(self):
        self.run_container("volume", options=("--volume", "masking:/usr/sbin"))
        self.assert_masked("volume", "/usr/sbin (mount: ")

    def test_a_volume_elsewhere_is_listed(self):
        self.run_container("data", options=("--volume", "data:/var/lib"))
        run = self.here.wait_for_run("data", "approved", layers=1)
        view = self.wait_for_view(run, "agrees")
        self.assertEqual(view["covered"], 1)
        self.assertTrue(view["covered_paths"][0].startswith("/var/lib (mount: "), view)
        self.assertEqual(self.here.findings_of(run), [])

    def test_a_copy_into_a_container_before_its_start_is_a_finding(self):
        copy = self.copy_of_libc("copied")
        options = self.runtime.run_options("copied") if self.runtime.name == "podman" else \
            ["--name", "copied", "--network", "none"]
        self.runtime.containers.append("copied")
        self.addCleanup(self.runtime.remove, "copied")
        self.runtime.client("create", *options, GOLDEN, "sleep", "600")
        self.runtime.client("cp", copy, f"copied:{LIBC}")
        self.runtime.client("start", "copied")
        self.assert_masked("copied", f"{LIBC} (edited in the container)")

    def test_a_layer_with_an_open_folder_is_a_finding(self):
        """The same files, so the same content: a folder's mode is in no digest."""
        folder = pathlib.Path(self.here.folder, "loose")
        by_hand.unpack(images.debian_base(), folder)
        (folder / "etc").chmod(0o777)
        layer = self.here.folder / "loose.layer"
        runtimes.command("tar", "-C", folder, "--numeric-owner", "-cf", layer, ".")
        shutil.rmtree(folder)
        self.runtime.load(images.image_archive(self.here.folder / "loose.tar", LOOSE, [layer]), LOOSE)
        self.run_container("loose", image=LOOSE)
        self.assert_masked("loose", "/etc (anyone may write to it)")


class DockerTest(MountCases, unittest.TestCase):
    runtime_class = runtimes.Docker


class PodmanTest(MountCases, unittest.TestCase):
    runtime_class = runtimes.Podman


class ContainerdTest(Cases, unittest.TestCase):
    runtime_class = runtimes.Containerd


class MarksTest(Watching, unittest.TestCase):
    """Layers on disk that say more than their files: by hand, as no runtime makes them."""

    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        files = {"usr/lib/libc.so.6": b"the base's libc", "usr/lib/libz.so.1": b"the base's libz",
                 "opt/evil/libc.so.6": b"not the base's libc"}
        cls.lower = images.busybox_layer(cls.here.folder / "lower.layer", "lower", files)
        cls.upper = images.layer(cls.here.folder / "upper.layer", {"usr/lib/libm.so.6": b"the base's libm",
                                                                   "usr/bin/tool": b"the base's tool"})
        golden = images.image_archive(cls.here.folder / "marks.tar", "marks", [cls.lower, cls.upper])
        cls.here.start_collector()
        cls.here.start_agent()
        cls.here.assay("base", "approve", "marks:1", "--from", golden)

    def folders(self, name):
        """The base's two layers as directories, top first."""
        return [by_hand.unpack(layer, self.here.folder / name / layer.stem) for layer in (self.upper, self.lower)]

    def mount_and_run(self, name, layers, options):
        """A container on an overlay with these options: a mount and a change of roots, no more."""
        work = self.here.folder / name
        for folder in ("up", "work", "root"):
            (work / folder).mkdir()
        (work / "up/put_old").mkdir()
        lower = ":".join(map(str, layers))
        script = (f"mount --make-rprivate / && mount -t overlay overlay -o "
                  f"{options},upperdir={work}/up,workdir={work}/work,lowerdir={lower} {work}/root && cd {work}/root && "
                  "pivot_root . put_old && exec /bin/sh -c 'exec /bin/sleep 600'")
        process = subprocess.Popen(["unshare", "-m", "-p", "--fork", "--kill-child", "sh", "-c", script])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start(self, layers):
        started = by_hand.Started(layers, "/bin/sleep", "600")
        self.addCleanup(started.stop)
        return started.reports()[0]

    def run_by_root(self, layers):
        """The run whose bottom layer is this directory."""
        inode = layers[-1].stat().st_ino

        def look():
            for run in self.here.runs():
                trace = self.here.query("trace", run["run_id"])
                if trace["layers"] and trace["layers"][0]["instance"]["inode"] == inode:
                    return run
            return None
        return self.here.wait(look, f"run on {layers[-1]}")

    def wait_for_verdict(self, run, verdict, rung=None):
        def look():
            now = self.here.query("trace", run["run_id"])["run"]["verdict"]
            return now["status"] == verdict and rung in (None, now["rung"]) and now
        return self.here.wait(look, f"verdict {verdict} by {rung}")

    def wait_for_masking(self, run, said):
        finding = self.here.wait_for_finding("masked-base", run)
        self.assertIn(said, finding["reason"])

    def test_the_same_layers_without_marks_agree(self):
        layers = self.folders("plain")
        run = by_hand.run_of(self.here, self.start(layers), verdict="approved")
        view = self.wait_for_view(run, "agrees")
        self.assertEqual((view["layers"], view["masked"], view["covered"]), (2, 0, 0), view)

    def test_an_opaque_folder_in_a_layer_of_the_base_is_no_approval_and_a_finding(self):
        layers = self.folders("opaque")
        os.setxattr(layers[0] / "usr/lib", "trusted.overlay.opaque", b"y")
        run = by_hand.run_of(self.here, self.start(layers))
        self.wait_for_masking(run, "/usr/lib/libc.so.6 (hidden by layer 2")
        self.wait_for_verdict(run, "pending", "shape")

    def test_a_redirected_folder_in_a_layer_of_the_base_is_no_approval_and_a_finding(self):
        layers = self.folders("redirect")
        os.setxattr(layers[0] / "usr/lib", "trusted.overlay.redirect", b"/opt/evil")
        self.mount_and_run("redirect", layers, "redirect_dir=on")
        run = self.run_by_root(layers)
        self.wait_for_masking(run, "/usr/lib/libc.so.6 (")
        self.wait_for_verdict(run, "pending", "shape")

    def test_a_redirect_that_leads_home_is_lifted_by_the_view(self):
        layers = self.folders("home")
        os.setxattr(layers[0] / "usr/lib", "trusted.overlay.redirect", b"/usr/lib")
        self.mount_and_run("home", layers, "redirect_dir=on")
        run = self.run_by_root(layers)
        self.wait_for_verdict(run, "approved", "content")
        self.assertTrue(self.here.query("trace", run["run_id"])["layers"][1]["is_capped_at_shape"])
        self.wait_for_view(run, "agrees")
        self.assertEqual(self.here.findings_of(run), [])

    def test_metacopy_caps_whatever_the_view_shows(self):
        layers = self.folders("metacopy")
        os.setxattr(layers[0] / "usr/lib", "trusted.overlay.redirect", b"/usr/lib")
        self.mount_and_run("metacopy", layers, "redirect_dir=on,metacopy=on")
        run = self.run_by_root(layers)
        self.wait_for_view(run, "agrees")
        self.wait_for_verdict(run, "pending", "shape")

    def test_an_opaque_folder_in_a_layer_above_is_a_finding(self):
        """The image's own doing: the verdict names its base, and the finding says what is hidden."""
        layers = self.folders("above")
        own = self.here.folder / "above/own"
        (own / "usr/lib").mkdir(parents=True)
        (own / "usr/lib/libc.so.6").write_bytes(b"another libc")
        os.setxattr(own / "usr/lib", "trusted.overlay.opaque", b"y")
        run = by_hand.run_of(self.here, self.start([own, *layers]))
        self.wait_for_masking(run, "/usr/lib/libc.so.6 (hidden by an opaque folder of layer 3")

    def test_a_file_of_a_layer_above_is_listed(self):
        layers = self.folders("updated")
        own = self.here.folder / "updated/own"
        (own / "usr/lib").mkdir(parents=True)
        (own / "usr/lib/libc.so.6").write_bytes(b"a newer libc")
        run = by_hand.run_of(self.here, self.start([own, *layers]), verdict="approved")
        view = self.wait_for_view(run, "agrees")
        self.assertEqual(view["replaced"], 1)
        self.assertEqual(view["covered_paths"], ["/usr/lib/libc.so.6 (replaced by layer 3)"])
        self.assertEqual(self.here.findings_of(run), [])

    def test_an_access_list_on_a_folder_is_a_finding(self):
        layers = self.folders("acl")
        os.setxattr(layers[1] / "etc", "system.posix_acl_access", access_list())
        run = by_hand.run_of(self.here, self.start(layers), verdict="pending")
        self.wait_for_masking(run, "/etc (an ACL lets others in)")

    def test_layers_that_lie_on_an_overlay_are_followed(self):
        layers = self.folders("nested")
        outer = self.here.folder / "nested-outer"
        for name in ("up", "work", "seen"):
            (outer / name).mkdir(parents=True)
        options = f"lowerdir={self.here.folder}/nested,upperdir={outer}/up,workdir={outer}/work"
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, outer / "seen"],
                          check=False).returncode != 0:
            self.skipTest("no overlay on this file system")
        self.addCleanup(subprocess.run, ["umount", "-l", outer / "seen"], check=True)
        inner = [outer / "seen" / layer.relative_to(self.here.folder / "nested") for layer in layers]
        run = by_hand.run_of(self.here, self.start(inner), verdict="approved")
        view = self.wait_for_view(run, "agrees")
        self.assertEqual((view["masked"], view["covered"]), (0, 0), view)


if __name__ == "__main__":
    deployment.main()
