# SPDX-License-Identifier: Apache-2.0
"""Cases about the directories of layers: one runtime, one agent, and containers of one layer each."""
import pathlib
import unittest

import deployment
import images
import runtimes


class Docker(runtimes.Docker):
    def layer_folders(self):
        return self.folder.glob("data/overlay2/*/diff")


class Containerd(runtimes.Containerd):
    def layer_folders(self):
        return self.folder.glob("root/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs")


class Cases:
    """Every case of one runtime."""
    runtime_class = None
    settings = {}  # of the agent

    @classmethod
    def setUpClass(cls):
        missing = cls.runtime_class.missing()
        if missing:
            raise unittest.SkipTest(missing)
        cls.here = deployment.Deployment()
        cls.addClassCleanup(cls.here.close)
        cls.here.settings = cls.settings
        cls.runtime = cls.runtime_class(cls.here.folder)
        cls.addClassCleanup(cls.runtime.stop)
        cls.runtime.start()
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)
        cls.archives = pathlib.Path(cls.here.folder, "images")
        cls.archives.mkdir()

    def start(self, name):
        """A container on an approved base of one layer, once that layer is read and recorded: its run."""
        reference = f"docker.io/library/{name}:1"
        layer = images.busybox_layer(self.archives / f"{name}-layer", f"the layer of {name}")
        archive = images.image_archive(self.archives / f"{name}.tar", reference, [layer])
        self.here.assay("base", "approve", f"{name}:1", "--from", archive)
        self.runtime.load(archive, reference)
        self.runtime.run(name, reference, "/bin/sleep", "600")
        self.addCleanup(lambda: name in self.runtime.containers and self.runtime.remove(name))
        return self.here.wait_for_run(name, "approved", layers=1)

    def base_layer(self, run):
        """Its lowest layer, as trace tells it."""
        return self.here.query("trace", run["run_id"])["layers"][0]

    def folder_of(self, run):
        """The directory of that layer."""
        inode = self.base_layer(run)["instance"]["inode"]
        found = [folder for folder in self.runtime.layer_folders() if folder.stat().st_ino == inode]
        self.assertEqual(len(found), 1)
        return found[0]
