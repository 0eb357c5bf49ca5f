#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages in a debootstrapped tree: installed, configured, run, upgraded, purged.

No systemd runs here: the units are checked by systemd-analyze, and the programs are started with the user, the
capabilities and no_new_privs that the units give them; the units' sandbox is not in force. All mounts are in a mount
namespace of this process and end with it. Needs root, BTF, and the mirrors of this machine's apt.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))

from corpus_bases import Tree, suite_tar  # noqa: E402
from deployment import BIN, free_port, is_ready, main  # noqa: E402
from runtimes import wait_until  # noqa: E402

PACKAGES = ("assay", "assay-agent", "assay-collector")
CAPABILITIES = "bpf,perfmon,sys_ptrace,dac_read_search"
# Exposure times ten, as systemd 252 counts it (0 is best).
EXPOSURE = {"assay-agent": 35, "assay-collector": 15}


def run(*argv, **options):
    done = subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def stop(program, number):
    program.send_signal(number)
    return program.wait(60)


def unit(package):
    return ROOT / f"deploy/debian/{package}/{package}.service"


def refused_calls(text):
    """System calls that the unit's SystemCallFilter refuses."""
    refused = set()
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$", text):
        names = line.removeprefix("~").split()
        sets = [name for name in names if name.startswith("@")]
        calls = {name for name in names if not name.startswith("@")}
        if sets:
            calls |= set(re.findall(r"(?m)^    ([a-z0-9_]+)$", run("systemd-analyze", "syscall-filter", *sets)))
        refused = refused | calls if line.startswith("~") else refused - calls
    return refused


def next_version(deb, folder):
    """The package as version 0.1.1, with another configuration file."""
    tree = folder / deb.stem
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 0.1.0\n", "Version: 0.1.1\n"))
    for file in tree.glob("etc/assay/*.yaml"):
        with file.open("a") as text:
            text.write("# A new default.\n")
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, folder / f"{deb.stem}-next.deb")
    shutil.rmtree(tree)


class Host(Tree):
    """A Debian 12 with what a container engine's host mounts."""

    def __init__(self, folder):
        super().__init__(folder / "root", "bookworm")
        self.root.mkdir()
        run("tar", "-xf", suite_tar("bookworm"), "-C", self.root)
        self.add_sources()
        run("mount", "--rbind", "/proc", self.root / "proc")
        run("mount", "--rbind", "/sys", self.root / "sys")
        run("mount", "-t", "bpf", "bpf", self.root / "sys/fs/bpf")

    def install(self, folder, *options):
        names = []
        for file in sorted(folder.glob("*.deb")):
            shutil.copy(file, self.root / "tmp")
            names.append(f"./tmp/{file.name}")
        return self.chroot("apt-get", "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold",
                           *options, "install", *names)

    def install_without_network(self, folder):
        """What they need is fetched first, then everything is installed from files."""
        self.install(folder, "--download-only")
        carried = self.root / "carried"
        carried.mkdir()
        for file in [*(self.root / "var/cache/apt/archives").glob("*.deb"), *folder.glob("*.deb")]:
            shutil.copy(file, carried)
        self.chroot("apt-get", "clean")
        self.chroot("sh", "-c", "apt-get -q -y --no-install-recommends -o Dir::Etc::SourceList=/dev/null "
                    "-o Dir::Etc::SourceParts=/dev/null install /carried/*.deb")
        shutil.rmtree(carried)

    def as_unit(self, user, *argv, capabilities=""):
        """The command that runs `argv` with the rights that the unit of `user` gives."""
        held = "-all" + "".join(f",+{name}" for name in capabilities.split(",") if name)
        return ["chroot", str(self.root), "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
                f"--inh-caps={held}", f"--ambient-caps={held}", f"--bounding-set={held}", "--no-new-privs", *argv]

    def text(self, name):
        return (self.root / name).read_text()


class DebianTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-debian-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        build = ROOT / "deploy/debian/build.sh"
        cls.debs, cls.again, cls.next = (cls.folder / name for name in ("debs", "again", "next"))
        run(build, "--bin", BIN, "--out", cls.debs)
        run(build, "--bin", BIN, "--out", cls.again, "--package", "assay-agent")
        cls.next.mkdir()
        for deb in cls.debs.glob("*.deb"):
            next_version(deb, cls.next)

    def test_lintian_says_nothing(self):
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *self.debs.glob("*.deb")],
                              text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_same_programs_give_the_same_packages(self):
        self.assertEqual(len(list(self.debs.glob("*.deb"))), 3)
        (again,) = self.again.glob("*.deb")
        self.assertEqual(again.read_bytes(), (self.debs / again.name).read_bytes())

    def test_the_units_are_as_narrow_as_they_were(self):
        for package, exposure in EXPOSURE.items():
            run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={exposure}", unit(package))
        self.assertIn("AmbientCapabilities=" + " ".join("CAP_" + name.upper() for name in CAPABILITIES.split(",")),
                      unit("assay-agent").read_text())

    def test_the_unit_refuses_no_call_that_the_agents_filter_allows(self):
        refused = refused_calls(unit("assay-agent").read_text())
        self.assertLessEqual({"mount", "init_module", "reboot", "swapon", "settimeofday"}, refused)
        allowed = set(re.findall(r'(?m)^    "([a-z0-9_]+)",$', (ROOT / "agent/confine/call_list.cpp").read_text()))
        self.assertGreater(len(allowed), 100)
        self.assertEqual(refused & allowed, set())

    def test_install_configure_run_upgrade_purge(self):
        host = Host(self.folder)
        self.addCleanup(run, "umount", "-R", host.root / "proc")
        self.addCleanup(run, "umount", "-R", host.root / "sys")
        host.install_without_network(self.debs)
        for package in PACKAGES:
            self.assertIn(f"{package}", host.chroot(package, "version").splitlines()[0])
        host.chroot("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/assay-agent.service",
                    "/lib/systemd/system/assay-collector.service")
        self.assertEqual(host.chroot("stat", "-c", "%a %U", "/var/lib/assay-agent", "/sys/fs/bpf/assay"),
                         "700 assay-agent\n" * 2)
        self.configure(host)
        self.reports(host, signal.SIGTERM)
        self.upgrade(host)
        self.reports(host, signal.SIGKILL)
        self.assertNotEqual(list((host.root / "sys/fs/bpf/assay").iterdir()), [])  # the killed agent's pins
        self.purge(host)

    def upgrade(self, host):
        """Another version, with other configuration files: nothing of the administrator's changes."""
        mine = ("etc/assay/agent.yaml", "etc/assay/collector.yaml", "var/lib/assay-collector/ca.pem",
                "etc/assay/agent/key.pem")
        before = [host.text(name) for name in mine]
        state = (host.root / "var/lib/assay-agent/outbox.db").stat().st_ino
        host.install(self.next)
        self.assertEqual(host.chroot("dpkg-query", "-W", "-f", "${Version} ", *PACKAGES), "0.1.1 " * 3)
        self.assertEqual([host.text(name) for name in mine], before)
        self.assertIn("# A new default.", host.text("etc/assay/agent.yaml.dpkg-dist"))
        self.assertEqual((host.root / "var/lib/assay-agent/outbox.db").stat().st_ino, state)

    def purge(self, host):
        """remove keeps configuration and state; purge leaves the administrator's trust.json."""
        host.chroot("apt-get", "-q", "-y", "remove", "assay-agent", "assay-collector")
        self.assertFalse((host.root / "usr/bin/assay-agent").exists())
        for name in ("etc/assay/agent.yaml", "etc/assay/agent/key.pem", "var/lib/assay-agent/outbox.db",
                     "var/lib/assay-collector/ca.pem"):
            self.assertTrue((host.root / name).exists(), name)
        host.chroot("apt-get", "-q", "-y", "purge", *PACKAGES)
        left = run("find", host.root, "-xdev", "-iname", "*assay*", "!", "-path", f"{host.root}/tmp/*")
        self.assertEqual(left.split(), [f"{host.root}/etc/assay"])
        self.assertEqual([path.name for path in (host.root / "etc/assay").iterdir()], ["trust.json"])
        self.assertEqual(list((host.root / "sys/fs/bpf").glob("assay*")), [])
        self.assertNotIn("assay", host.text("etc/passwd") + host.text("etc/group"))

    def configure(self, host):
        """As docs/install/debian.md says, with a port of our own."""
        self.ports = [free_port() for _ in range(3)]
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", self.folder / "signer.pem")
        run("openssl", "pkey", "-in", self.folder / "signer.pem", "-pubout", "-out", host.root / "etc/assay/trust.json")
        (host.root / "etc/assay/trust.json").chmod(0o644)
        host.write("etc/assay/collector.yaml", f"listen: 127.0.0.1:{self.ports[0]}\n"
                   f"http: {{address: \"127.0.0.1:{self.ports[1]}\"}}\ntrust_file: /etc/assay/trust.json\n")
        host.write("etc/assay/agent.yaml", f"node: node-1\ncollector: {{address: \"127.0.0.1:{self.ports[0]}\"}}\n"
                   f"http: {{address: \"127.0.0.1:{self.ports[2]}\"}}\n")
        data = "/var/lib/assay-collector"
        as_collector = ("runuser", "-u", "assay-collector", "--", "assay-collector")
        host.chroot(*as_collector, "init", "--address", "127.0.0.1")
        host.chroot(*as_collector, "issue", "--node", "node-1", "--out", f"{data}/node-1")
        host.chroot(*as_collector, "issue", "--user", "me", "--role", "viewer", "--out", f"{data}/me")
        host.chroot("sh", "-e", "-c", f"cd {data}/node-1; install -m 0640 -g assay-agent *.pem /etc/assay/agent/; "
                    "chmod 0644 /etc/assay/agent/ca.pem /etc/assay/agent/cert.pem; "
                    f"mv {data}/me /root/me; chown -R root:root /root/me; rm -r {data}/node-1")
        host.chroot(*as_collector, "config", "check")
        host.chroot("assay-agent", "config", "check")
        host.chroot("assay-agent", "check")

    def reports(self, host, end):
        """Collector and agent run as their units' users, the agent with its four capabilities, and it reports.
        The agent is then ended by the signal `end`."""
        programs = []
        # What RuntimeDirectory= does.
        host.chroot("install", "-d", "-m", "0700", "-o", "assay-agent", "-g", "assay-agent", "/run/assay")
        with open(self.folder / "log", "w+", encoding="utf-8") as log:
            try:
                for port, command in (
                        (self.ports[1], host.as_unit("assay-collector", "assay-collector", "run")),
                        (self.ports[2], host.as_unit("assay-agent", "assay-agent", "run",
                                                     capabilities=CAPABILITIES))):
                    programs.append(subprocess.Popen(command, stdout=log, stderr=log))
                    wait_until(lambda at=port: is_ready(at) == "", f"{command} is ready", 60)
                asked = ["assay", "nodes", "-o", "json", "--collector-address", f"127.0.0.1:{self.ports[0]}",
                         "--tls-ca", "/root/me/ca.pem", "--tls-cert", "/root/me/cert.pem",
                         "--tls-key", "/root/me/key.pem"]
                wait_until(lambda: [(node["node"], node["state"], node["probe_state"])
                                    for node in json.loads(host.chroot(*asked))["nodes"]]
                           == [("node-1", "connected", "seen")], "the node reports", 60)
                status = pathlib.Path(f"/proc/{programs[1].pid}/status").read_text()
                self.assertNotRegex(status, r"(?m)^Uid:\s+0\s")
                self.assertRegex(status, r"(?m)^NoNewPrivs:\s+1$")
            except Exception:
                log.seek(0)
                print(log.read()[-4000:], host.chroot("assay-collector", "version"))
                raise
            finally:
                codes = [stop(program, number) for program, number in zip(programs[::-1], (end, signal.SIGTERM))]
        shutil.rmtree(host.root / "run/assay")
        self.assertEqual(codes, [0 if end == signal.SIGTERM else -end, 0])


if __name__ == "__main__":
    if os.geteuid() == 0 and "ASSAY_OWN_MOUNTS" not in os.environ:
        os.execvpe("unshare", ["unshare", "--mount", "--propagation=private", sys.executable, "-B", *sys.argv],
                   dict(os.environ, ASSAY_OWN_MOUNTS="1"))
    main()
