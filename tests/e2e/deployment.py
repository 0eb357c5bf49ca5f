# SPDX-License-Identifier: Apache-2.0
"""A collector and an agent of their own, as people run them: freshly made keys, mTLS on loopback.

Needs root and BTF. Everything lies in one folder under /tmp and is gone after close().
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from runtimes import Daemon, RuntimeFailure, wait_until

BIN = pathlib.Path(os.environ.get("ASSAY_BIN", "build/dev/bin")).resolve()
DEADLINE_S = 120
NODE = "node-1"


def missing_need():
    """Why no end-to-end test can run here, or ""."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "needs a kernel with BTF"
    return ""


def main():
    """unittest.main() for a script under CTest: exit code 77 and the reason when it cannot run."""
    missing = missing_need()
    if missing:
        print(f"SKIPPED: {missing}")
        sys.exit(77)
    unittest.main(verbosity=2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(port):
    """The answer of /readyz: "" when ready, else why not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return "" if answer.status == 200 else str(answer.status)
    except urllib.error.HTTPError as error:
        return error.read().decode(errors="replace") or str(error)
    except OSError as error:
        return str(error)


def set_up_runtime(case):
    """For setUpClass: a deployment, and the runtime that `case.runtime_class` names, started."""
    missing = case.runtime_class.missing()
    if missing:
        raise unittest.SkipTest(missing)
    case.here = Deployment()
    case.addClassCleanup(case.here.close)
    case.runtime = case.runtime_class(case.here.folder)
    case.addClassCleanup(case.runtime.stop)
    case.runtime.start()


class Figures(dict):
    """Figures of /metrics by name; asking for one that the program does not serve fails."""

    def __missing__(self, name):
        raise AssertionError(f"{name} is not among the metrics")


class Deployment:
    """One collector and one agent."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-e2e-", dir="/tmp"))
        self.collector = self.agent = None
        self.settings = {}  # of the agent, over those that agent_config() makes
        self.port, self.collector_http, self.agent_http = free_port(), free_port(), free_port()
        # Pins outlive a killed agent: only a test that mounts a bpffs of its own makes some.
        # Proofs come when nothing else wants the CPU: a test that counts rungs would find either. Those that
        # are about them switch them on.
        self.agent_settings = {"probe": {"pin_dir": ""}, "identify": {"exact": "off"}}
        try:
            self.make_keys()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.stop_agent()
        self.stop_collector()
        log = self.folder / "agent.log"
        refused = [line for line in log.read_text(errors="replace").splitlines()
                   if "seccomp filter refused" in line] if log.exists() else []
        shutil.rmtree(self.folder)
        # What an agent does here it does elsewhere: its list of system calls has a gap.
        assert not refused, refused

    # Programs

    def program(self, name, *words, code=0, **options):
        """Runs a program to its end and checks its exit code: (stdout, stderr)."""
        # What the client remembers of collectors is this deployment's own.
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        done = subprocess.run([BIN / name, *map(str, words)], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False, env=environment, **options)
        if done.returncode != code:
            raise AssertionError(f"{name} {' '.join(map(str, words))}: exit code {done.returncode}, "
                                 f"expected {code}\n{done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def assay(self, *words, code=0):
        """The command line as the operator of this deployment: its stdout."""
        return self.program("assay", "--config", self.folder / "cli.yaml", *words, code=code)[0]

    def query(self, *words):
        return json.loads(self.assay(*words, "-o", "json"))

    # Questions

    def runs(self, *words):
        return self.query("ps", *words)["runs"]

    def findings(self, *words):
        return self.query("findings", *words)["findings"]

    def findings_of(self, run, kind=None):
        """Open findings on one run."""
        return [finding for finding in self.findings() if finding["run_id"] == run["run_id"]
                and kind in (None, finding["kind"])]

    def wait(self, condition, what, deadline_s=DEADLINE_S):
        """The first true value of `condition()`; with the daemons' logs when the deadline passes."""
        try:
            return wait_until(condition, what, deadline_s)
        except RuntimeFailure as failure:
            logs = [f"--- {name}\n{daemon.tail()}" for name, daemon in
                    (("collector", self.collector), ("agent", self.agent)) if daemon]
            raise AssertionError("\n".join([str(failure), self.assay("ps", "--all", "-o", "wide"),
                                            self.assay("findings", "--all", "-o", "wide"), *logs])
                                 ) from failure

    def wait_for_run(self, container, verdict, ended=False, layers=None):
        """The newest run of a container, once it has this verdict, has ended or not, and stands on
        so many layers: one that the runtime injected counts until it was recognised."""
        def look():
            found = [run for run in self.runs("--all", "--container", container)
                     if container in (run["names"]["name"], run["names"]["container_id"])]
            return found and found[0]["verdict"]["status"] == verdict and \
                (found[0]["state"] == "ended") == ended and \
                layers in (None, found[0]["layers"]) and found[0]
        return self.wait(look, f"run of {container} {verdict}{' and ended' if ended else ''}"
                               f"{f' on {layers} layers' if layers else ''}")

    def wait_for_run_of(self, container):
        """The newest run of a container, whatever its verdict."""
        return self.wait(lambda: (self.runs("--all", "--container", container) or [None])[0],
                         f"run of {container}")

    def wait_for_finding(self, kind, run, state="open"):
        def look():
            for finding in self.findings("--all", "--kind", kind):
                if finding["run_id"] == run["run_id"] and finding["state"] == state:
                    return finding
            return None
        return self.wait(look, f"finding {kind} {state} on {run['container']}")

    # Keys and configuration

    def make_keys(self):
        """Certificates from the collector's own authority, and a key that signs the catalog."""
        here = self.folder
        self.program("assay", "key", "new", "--out", here / "operator")
        config = self.collector_config(here / "collector", port=self.port, http=self.collector_http)
        self.program("assay-collector", "init", "--config", config, "--cluster", "test")
        self.program("assay-collector", "issue", "--config", config, "--node", f"test/{NODE}",
                     "--out", here / "agent-tls")
        self.program("assay-collector", "issue", "--config", config, "--user", "operator",
                     "--role", "admin", "--out", here / "user-tls")
        self.write("cli.yaml", {
            "collector": {"address": f"127.0.0.1:{self.port}"},
            "tls": self.tls("user-tls"), "trust_file": str(here / "operator.pub"),
            "signing_key": str(here / "operator.key")})

    def tls(self, folder):
        return {name: str(self.folder / folder / f"{name}.pem") for name in ("ca", "cert", "key")}

    def write(self, name, tree):
        """JSON is YAML, too."""
        path = self.folder / name
        draft = self.folder / f"{name}.new"  # whoever reads it now sees the old one or the new one
        draft.write_text(json.dumps(tree, indent=1) + "\n")
        draft.replace(path)
        return path

    def collector_config(self, data, port, http=None):
        """A configuration file for a collector whose data lie in `data`; its path."""
        return self.write(f"{pathlib.Path(data).name}.yaml", {
            "data_dir": str(data), "listen": f"127.0.0.1:{port}",
            "http": {"address": f"127.0.0.1:{http}" if http else ""},
            "trust_file": str(self.folder / "operator.pub")})

    def agent_config(self, runtime=None, trust=None):
        tree = {
            "cluster": "test", "node": NODE, "collector": {"address": f"127.0.0.1:{self.port}"},
            "tls": self.tls("agent-tls"),
            "trust_file": str(trust or self.folder / "operator.pub"),
            "state_dir": str(self.folder / "agent"),
            "http": {"address": f"127.0.0.1:{self.agent_http}"},
            "local": {"socket": str(self.folder / "local/agent.sock")}, **self.agent_settings}
        if runtime:
            tree["runtime"] = runtime.agent_settings()
        for key, value in self.settings.items():
            tree[key] = {**tree.get(key, {}), **value} if isinstance(value, dict) else value
        return self.write("agent.yaml", tree)

    # Daemons

    def start_collector(self, waits=True, **options):
        self.collector = Daemon([BIN / "assay-collector", "run", "--config",
                                 self.folder / "collector.yaml"], self.folder / "collector.log", **options)
        if waits:
            self.collector.wait_for(lambda: not is_ready(self.collector_http), "collector ready")

    def start_agent(self, runtime=None, trust=None, made_up=None, waits=True, **options):
        """`made_up`: a timetable (ledger.MadeUp) instead of the kernel's news."""
        config = self.agent_config(runtime, trust)
        command = made_up.command(config) if made_up else [BIN / "assay-agent", "run", "--config", config]
        self.run_agent(command, waits, **options)

    def start_agent_with(self, config):
        self.run_agent([BIN / "assay-agent", "run", "--config", config])

    def run_agent(self, command, waits=True, **options):
        self.agent = Daemon(command, self.folder / "agent.log", **options)
        if waits:
            self.agent.wait_for(lambda: not is_ready(self.agent_http), "agent ready")

    def metrics_text(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def metrics(self, port):
        """The figures of a daemon's /metrics by name; those with labels are summed."""
        figures = Figures()
        for line in self.metrics_text(port).splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                figures[name] = figures.get(name, 0.0) + float(value)
        return figures

    def wait_until_delivered(self, deadline_s=DEADLINE_S):
        """Until no run is open, no layer is being identified and everything is acknowledged."""
        def is_delivered():
            try:
                agent = self.metrics(self.agent_http)
            except OSError:
                return False
            return not (agent["assay_agent_runs"] or agent["assay_agent_layers_pending"]
                        or agent["assay_agent_outbox_events"])
        wait_until(is_delivered, "everything delivered", deadline_s)

    def stop_collector(self, number=signal.SIGTERM):
        if self.collector:
            self.collector.stop(number)
        self.collector = None

    def stop_agent(self, number=signal.SIGTERM):
        if self.agent:
            self.agent.stop(number)
        self.agent = None

    @property
    def store(self):
        """The collector's database."""
        return self.folder / "collector/collector.db"
