#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What of a container's arguments and labels leaves the node: not its secrets, and no label that shall stay."""
import signal
import unittest

import deployment
import images
import runtimes

IMAGE = "docker.io/library/private:1"
SECRET = "hunter2-very-secret"
OPTIONS = ("--label", "team=payments", "--label", f"internal-note={SECRET}")


class PrivacyTest(unittest.TestCase):
    runtime_class = runtimes.Docker

    @classmethod
    def setUpClass(cls):
        deployment.set_up_runtime(cls)
        tar = images.busybox_layer(cls.here.folder / "private.layer", "private")
        cls.runtime.load(images.image_archive(cls.here.folder / "private.tar", IMAGE, [tar]), IMAGE)
        cls.here.settings = {"exec": {"level": "all"}, "privacy": {"labels": ["!internal-*", "*"]}}
        cls.here.start_collector()
        cls.here.start_agent(cls.runtime)

    def run_container(self, name, *command):
        self.runtime.run(name, IMAGE, *command, options=OPTIONS)
        self.addCleanup(self.runtime.remove, name)

    def traced(self, name, word):
        """The trace of a container, as soon as an exec with `word` is in it."""
        def look():
            runs = self.here.runs("--container", name)
            trace = self.here.query("trace", runs[0]["run_id"]) if runs else {}
            said = [exec["arguments"] for exec in trace.get("execs", [])]
            return trace if any(word in arguments for arguments in said) else None
        return self.here.wait(look, f"exec with {word} in {name}")

    def assert_nowhere(self, secret):
        """Neither the agent's folder, nor the collector's, nor a log or an answer has it."""
        folders = [self.here.folder / name for name in ("agent", "collector")]
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        files += [self.here.folder / name for name in ("agent.log", "collector.log")]
        self.assertGreater(len(files), 4)
        for file in files:
            self.assertFalse(secret.encode() in file.read_bytes(), file.name)
        for words in (("ps", "-o", "json"), ("findings", "-o", "json")):
            self.assertNotIn(secret, self.here.assay(*words))

    def test_secrets_in_arguments_and_labels_stay_on_the_node(self):
        self.run_container("keeper", "/bin/sh", "-c", f"/bin/sleep --password {SECRET} 2>/dev/null; "
                                                      f"/bin/true --api-key={SECRET}; exec /bin/sleep 600")
        trace = self.traced("keeper", "--api-key=***")
        self.assertIn(["/bin/sleep", "--password", "***"], [exec["arguments"] for exec in trace["execs"]])
        labels = trace["run"]["names"]["labels"]
        self.assertEqual(labels.get("team"), "payments")
        self.assertNotIn("internal-note", labels)
        self.assert_nowhere(SECRET)

    def test_rules_change_without_a_restart_and_bad_ones_are_refused(self):
        here = self.here
        here.settings = {"exec": {"level": "all"}, "privacy": {"labels": ["team"], "redact_patterns": [r"(?:^|\s)-p([^\s;]+)"]}}
        here.agent_config(self.runtime)
        here.agent.process.send_signal(signal.SIGHUP)
        here.agent.wait_for(lambda: "privacy.redact_patterns" in here.agent.log.read_text(), "rules taken over")
        self.run_container("mysql", "/bin/sh", "-c", f"/bin/true -p{SECRET}; exec /bin/sleep 600")
        trace = self.traced("mysql", "-p***")
        self.assertEqual(trace["run"]["names"]["labels"], {"team": "payments"})
        bad = here.write("bad.yaml", {"privacy": {"redact_patterns": ["(["]}})
        _, said = here.program("assay-agent", "config", "check", "--config", bad, code=2)
        self.assertIn('privacy.redact_patterns: "(["', said)


if __name__ == "__main__":
    deployment.main()
