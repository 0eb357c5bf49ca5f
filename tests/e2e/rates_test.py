# SPDX-License-Identifier: Apache-2.0
"""Each runtime at its own top rate, without any runtime's socket: no start is missed, each has its full stack."""
import concurrent.futures

import deployment
import runtimes
import seen
from bundles import Bundle

CONTAINERS = 30
AT_ONCE = 4


class Cases:
    """One runtime; a subclass names it."""

    def start_one(self, name):
        self.runtime.run_to_end(name, seen.IMAGE, "true")

    def check_names_of_all(self, runs, names):
        told = sorted(run["names"]["name"] for run in runs)
        self.assertEqual(told, sorted(names))
        self.assertEqual(len({run["names"]["container_id"] for run in runs}), len(names))

    def test_none_is_missed_at_the_runtimes_own_top_rate(self):
        names = [f"quick-{number}" for number in range(CONTAINERS)]

        def start_all():
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self.start_one, names))
        runs, _ = self.node.runs_of(start_all)
        self.assertEqual([run["kind"] for run in runs], ["container"] * CONTAINERS)
        ended = [self.node.wait_until_ended(self.check_whole(run)) for run in runs]
        self.assertEqual([run for run in ended if run["is_late"]], [])
        self.check_names_of_all(ended, names)


class DockerRateTest(Cases, seen.Case):
    runtime_class = runtimes.Docker


class ContainerdRateTest(Cases, seen.Case):
    runtime_class = runtimes.Containerd


class PodmanRateTest(Cases, seen.Case):
    runtime_class = runtimes.Podman


class RuncRateTest(Cases, seen.Case):
    """Nobody names a bundle's containers."""
    programs = ("runc",)

    def setUp(self):
        self.bundles = {}
        for number in range(CONTAINERS):
            name = f"quick-{number}"
            self.bundles[name] = Bundle(self.node.here.folder / name, self.node.layers)
            self.addCleanup(self.bundles[name].close)

    def start_one(self, name):
        self.bundles[name].run("runc", name, "true")

    def check_names_of_all(self, runs, names):
        self.assertEqual(len({run["process"]["pid"] for run in runs}), len(names))


if __name__ == "__main__":
    deployment.main()
