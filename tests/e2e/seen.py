# SPDX-License-Identifier: Apache-2.0
"""What an agent must say of a container, whoever started it: for tests with a row per way of starting one."""
import pathlib
import shutil
import unittest

import deployment
import images
from by_hand import Started, run_of, unpack

IMAGE = "docker.io/library/app:1"
LAYERS = 3


class Node:
    """A collector, an agent, and an image of three layers that is approved whole: a run on it whose verdict
    is approved, by content and without layers of its own, was seen with its full stack."""

    def __init__(self):
        self.last_runs = set()  # of the containers by which runs_since() knows that it waited long enough
        self.here = deployment.Deployment()
        try:
            self.make_image()
        except BaseException:
            self.close()
            raise

    def make_image(self):
        self.here.folder.chmod(0o711)  # other users' containers pass through
        folder = self.here.folder / "image"
        folder.mkdir(mode=0o711)
        # With all folders that runtimes mount something on: a root that is one directory stays as it is.
        points = {f"{name}/.keep": b"" for name in
                  ("dev", "old", "proc", "root", "run", "sys", "tmp", "usr", "var/log/journal")}
        busybox = images.busybox_layer(folder / "0.tar", "seen", points)
        tools = images.layer(folder / "1.tar", {"usr/local/bin/tool": b"#!/bin/sh\n", "etc/os-release": b"ID=seen\n"})
        app = images.layer(folder / "2.tar", {"opt/app.sh": b"#!/bin/sh\nexec sleep 600\n"})
        tars = [busybox, tools, app]
        self.archive = images.image_archive(folder / "app.tar", IMAGE, tars)
        self.tars = tars
        self.layers = self.unpack_layers(folder)
        # Its own container, by which a test knows that all told before it has arrived.
        self.last = unpack(images.busybox_layer(folder / "last.tar", "last"), folder / "last")

    def unpack_layers(self, folder):
        """The image's layers, bottom first, as directories that overlayfs can stack."""
        return [unpack(tar, pathlib.Path(folder, tar.stem)) for tar in self.tars]

    def start(self, runtime_settings=None):
        """Collector and agent; `runtime_settings`: where the records of the runtimes lie."""
        if runtime_settings:
            self.here.settings = {"runtime": runtime_settings}
        self.here.start_collector()
        self.here.start_agent()
        self.here.assay("base", "approve", "app:1", "--from", self.archive)

    def close(self):
        self.here.close()

    # Runs

    def all_runs(self):
        return {run["run_id"]: run for run in self.here.runs("--all")}

    def runs_of(self, start):
        """The runs that are told while `start()` goes on, oldest first, and what it gave back."""
        before = self.all_runs()
        given = start()
        return self.runs_since(before), given

    def runs_since(self, before):
        """All that were told since, oldest first. The records of starts keep their order from the kernel to
        the collector: when the last container is there, so is every other."""
        last = Started([self.last], "/bin/true")
        (report,) = last.reports()
        last.wait()
        self.last_runs.add(run_of(self.here, report, ended=True)["run_id"])
        fresh = [run for key, run in self.all_runs().items()
                 if key not in before and key not in self.last_runs]
        return sorted(fresh, key=lambda run: run["started_at"])

    def wait_for(self, run_id, condition, what):
        def look():
            run = self.all_runs()[run_id]
            return condition(run) and run
        return self.here.wait(look, f"run {run_id} {what}")

    def wait_until_ended(self, run):
        return self.wait_for(run["run_id"], lambda now: now["state"] == "ended", "ended")


class Case(unittest.TestCase):
    """One collector and one agent for all tests of a class; a runtime that it names is started before them."""
    runtime_class = None
    programs = ()

    @classmethod
    def setUpClass(cls):
        missing = [program for program in cls.programs if not shutil.which(program)]
        if missing:
            raise unittest.SkipTest(f"needs {', '.join(missing)}")
        if cls.runtime_class and cls.runtime_class.missing():
            raise unittest.SkipTest(cls.runtime_class.missing())
        cls.node = Node()
        cls.addClassCleanup(cls.node.close)
        settings = None
        if cls.runtime_class:
            cls.runtime = cls.start_runtime()
            settings = cls.runtime.agent_settings()
        cls.node.start(settings)
        cls.before = losses(cls.node.here)

    @classmethod
    def start_runtime(cls):
        """It, with the image."""
        runtime = cls.runtime_class(cls.node.here.folder)
        cls.addClassCleanup(runtime.stop)
        runtime.start()
        runtime.load(cls.node.archive, IMAGE)
        return runtime

    def tearDown(self):
        """No record was lost."""
        self.assertEqual(losses(self.node.here), self.before)

    def check_whole(self, run, layers=LAYERS):
        """The run stands on all layers of the image and no other, each recognised by its content."""
        run = self.node.wait_for(run["run_id"], lambda now: now["verdict"]["status"] == "approved"
                                 and now["layers"] == layers, f"approved on {layers} layers")
        self.assertEqual((run["base"], run["verdict"]["rung"], run["verdict"]["application_layers"]),
                         ("app:1", "content", 0))
        for layer in self.node.here.query("trace", run["run_id"])["layers"]:
            self.assertTrue(layer["content"], layer["name"])
        return run

    def check_started(self, start, kind="container", names=None, layers=LAYERS):
        """`start()` starts one container and waits for its end: one run of that kind, whole, not late,
        named as said, and ended."""
        runs, _ = self.node.runs_of(start)
        self.assertEqual([run["kind"] for run in runs], [kind], runs)
        run = self.check_whole(runs[0], layers)
        self.assertFalse(run["is_late"])
        self.check_names(run, names or {})
        return self.node.wait_until_ended(run)

    def check_names(self, run, names):
        """Some of them come a little later, from the stores."""
        expected = {"runtime": "", "name": "", "image": "", **names}
        self.node.wait_for(run["run_id"], lambda now: {key: now["names"][key] for key in expected} == expected,
                           f"named {expected}")


def losses(here):
    """The figures by which an agent says that it missed something, or may have."""
    figures = here.metrics(here.agent_http)
    return {name: figures[f"assay_agent_{name}"] for name in
            ("probe_lost_total", "probe_untold_total", "probe_held_back_total", "queue_dropped_total",
             "refused_runs_total", "outbox_dropped_total")}
