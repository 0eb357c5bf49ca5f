# SPDX-License-Identifier: Apache-2.0
"""What processes of a container do with roots and namespaces, and what a runtime executes before the entrypoint does."""
import json
import os
import subprocess
import unittest

import deployment
import images
import runtimes
from by_hand import Started, run_of, unpack
from runtimes import command

IMAGE = "docker.io/library/busybox:1"
# A root of its own on a tmpfs, with the base's programs.
NEW_ROOT = """set -e
mount -t tmpfs none /mnt
mkdir /mnt/usr /mnt/old
mount --bind /usr /mnt/usr
for name in bin lib lib64; do ln -s usr/$name /mnt/$name; done
cd /mnt
pivot_root . old
exec sleep 600
"""


class InsideTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.base = unpack(images.debian_base(), cls.here.folder / "base")
        cls.small = unpack(images.busybox_layer(cls.here.folder / "small.layer", "small"), cls.here.folder / "small")
        cls.here.settings = {"exec": {"level": "all"}}
        cls.here.start_collector()
        cls.here.start_agent()

    def start(self, script):
        """A container on the base that runs a shell script."""
        started = Started([self.base], "sh", "-c", script)
        self.addCleanup(started.stop)
        (report,) = started.reports()
        return report

    def inner_of(self, report):
        """Waits for a further run below this container's first process."""
        def look():
            return [run for run in self.here.runs() if run["process"]["pid"] != report[0]
                    and report[0] in [one["pid"] for one in self.trace(run)["origin"]["ancestors"]]]
        return self.here.wait(look, f"a run inside that of {report[0]}")

    def trace(self, run):
        return self.here.query("trace", run["run_id"])

    def test_namespaces_on_the_same_root_are_no_starts(self):
        report = self.start("i=0; while [ $i -lt 500 ]; do unshare -Urm true || exit 9; i=$((i+1)); done; "
                            "chroot /usr /bin/true || exit 8; touch /done; exec sleep 600")
        run = run_of(self.here, report)
        self.here.wait(lambda: os.path.exists(f"/proc/{report[0]}/root/done"), "500 namespaces")
        marker = self.start("exec sleep 600")  # records keep their order: what was before it has been told
        run_of(self.here, marker)
        below = [other for other in self.here.runs("--all") if other["run_id"] != run["run_id"]
                 and report[0] in [one["pid"] for one in self.trace(other)["origin"]["ancestors"]]]
        self.assertEqual(below, [])
        self.assertEqual(run["kind"], "container")

    def test_a_new_root_inside_is_an_inner_start(self):
        for name, script in (("pivot_root", f"unshare -m sh -c '{NEW_ROOT}' & exec sleep 600"),
                             ("chroot to another file system", "mount -t tmpfs none /srv; mkdir /srv/usr; "
                              "mount --bind /usr /srv/usr; for name in bin lib lib64; do "
                              "ln -s usr/$name /srv/$name; done; chroot /srv sleep 600 & exec sleep 600")):
            with self.subTest(name):
                report = self.start(script)
                outer = run_of(self.here, report)
                (inner,) = self.inner_of(report)
                self.assertEqual((outer["kind"], inner["kind"]), ("container", "inner"))
                # Its programs are a bind mount, which cannot be left out of a walk from outside.
                finding = self.here.wait_for_finding("unsupported-root", inner)
                self.assertIn("a mount lies inside", finding["reason"])

    def bundle(self, name, **parts):
        """An OCI bundle of the small base, run by runc until the test ends; `parts` of its config.json."""
        folder = self.here.folder / name
        folder.mkdir()
        command("runc", "spec", "--bundle", folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["process"].update({"terminal": False, "args": ["/bin/sleep", "600"], "rlimits": []})
        config["root"] = {"path": str(parts.pop("root", self.small)), "readonly": True}
        config["process"].update(parts.pop("process", {}))
        config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        config.update(parts)
        # Rules for devices need a limit on memory that cannot be raised everywhere.
        del config["linux"]["resources"]
        config["linux"]["cgroupsPath"] = f"/assay-inside-{name}"
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        state = ["runc", "--root", folder / "state"]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([*state, "run", "--bundle", folder, name], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT)

        def stop():
            subprocess.run([*state, "delete", "--force", name], check=False)
            process.wait(60)
        self.addCleanup(stop)

        def look():
            if process.poll() is not None:
                self.fail(f"runc: {(folder / 'log').read_text()}")
            done = subprocess.run([*state, "state", name], capture_output=True, text=True, check=False)
            return done.returncode == 0 and (told := json.loads(done.stdout))["status"] == "running" and told["pid"]
        return self.here.wait(look, f"the container {name}")

    def test_a_start_container_hook_is_told_from_the_entrypoint(self):
        hook = {"path": "/bin/true", "args": ["true", "hook"]}
        pid = self.bundle("hook", hooks={"startContainer": [hook]})

        def look():
            for run in self.here.runs():
                trace = self.trace(run)
                if trace["origin"]["ancestors"][0]["pid"] == pid:
                    return len(trace["execs"]) > 1 and trace
            return None
        trace = self.here.wait(look, "the run of the hook, and its entrypoint")
        self.assertEqual(trace["origin"]["cause"], "child-exec")
        self.assertEqual(trace["origin"]["arguments"], ["true", "hook"])
        hook, entrypoint = trace["execs"]
        self.assertEqual((hook["executable"], entrypoint["process"]["pid"], entrypoint["executable"]),
                         ("/bin/true", pid, "/bin/sleep"))

    def test_a_container_on_the_hosts_own_root_is_said_to_be_one(self):
        root = self.here.folder / "root"  # runc itself cannot change the root to "/"
        root.mkdir()
        command("mount", "--bind", "/", root)
        self.addCleanup(command, "umount", "-l", root)
        pid = self.bundle("hostroot", root=root)
        run = run_of(self.here, (pid, 0))
        self.assertEqual(run["kind"], "host-root")
        finding = self.here.wait_for_finding("unsupported-root", run)
        self.assertIn("the host's own root", finding["reason"])


class InjectedTest(unittest.TestCase):
    runtime_class = runtimes.Docker

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        layer = images.busybox_layer(cls.here.folder / "small.layer", "small")
        cls.runtime.load(images.image_archive(cls.here.folder / "small.tar", IMAGE, [layer]), IMAGE)
        cls.here.settings = {"exec": {"level": "all"}}
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)

    def test_an_init_that_docker_injects_is_told_from_the_images_own(self):
        causes = {}
        for name, options in (("with", ("--init",)), ("without", ())):
            self.runtime.run(name, IMAGE, "/bin/sleep", "600", options=options)
            self.addCleanup(self.runtime.remove, name)
            run = self.here.wait_for_run(name, "unknown")
            trace = self.here.query("trace", run["run_id"])
            causes[name] = (trace["origin"]["cause"], trace["origin"]["arguments"][0])
        self.assertEqual(causes, {"with": ("injected-exec", "/sbin/docker-init"), "without": ("exec", "/bin/sleep")})
        with_init = self.here.wait_for_run("with", "unknown")

        def look():
            execs = self.here.query("trace", with_init["run_id"])["execs"]
            return len(execs) > 1 and execs
        execs = self.here.wait(look, "the image's own program")
        self.assertEqual([one["executable"] for one in execs], ["/sbin/docker-init", "/bin/sleep"])
        self.assertEqual(execs[0]["origin"], "other-mount")


if __name__ == "__main__":
    deployment.main()
