# SPDX-License-Identifier: Apache-2.0
"""The Helm chart and the kustomize base: rendered with each preset, checked against Kubernetes' schemas and against what the
programs accept. helm_render (Go) stands in for helm; the schemas are the npm package kubernetes-models."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/assay"
BASE = ROOT / "deploy/kustomize/base/assay.yaml"
BIN = pathlib.Path(os.environ.get("ASSAY_BIN", "build/dev/bin")).resolve()
CACHE = pathlib.Path(os.environ.get("ASSAY_TEST_CACHE",
                                    os.environ.get("XDG_CACHE_HOME", "/var/cache") + "/assay-tests"))
MODELS = "kubernetes-models@4"
ALL_ON = {"certificates": {"certManager": {"enabled": True}},
          "monitoring": {"podMonitors": True, "rules": True, "dashboards": True}, "openshift": {"scc": True}}
CUSTOM = {"cert-manager.io/v1", "monitoring.coreos.com/v1", "security.openshift.io/v1"}  # no schemas for these
CAPABILITIES = ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]
PRESETS = sorted((CHART / "presets").glob("*.yaml"))


def call(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=240, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def merged(into, other):
    return {**into, **{key: merged(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict)
                       else value for key, value in other.items()}}


def fetch_models():
    """The folder with the schemas, fetched once per machine; "" when the registry cannot be reached."""
    folder = CACHE / "kubernetes-models-4"
    if not (folder / "node_modules/kubernetes-models").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}\n")
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=3", MODELS],
                              cwd=folder, capture_output=True, text=True, check=False, timeout=240)
        if done.returncode != 0:
            shutil.rmtree(folder)
            print(f"npm: {done.stderr.strip()[-600:]}")
            return ""
    return folder


class ChartsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-charts-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.renderer = cls.folder / "helm_render"
        call("go", "build", "-o", cls.renderer, ".", cwd=ROOT / "tests/support/helm_render",
             env={**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
                  "GOCACHE": str(CACHE / "go-build")})

    def text(self, *values, options=()):
        """What the chart renders to; values are files or trees."""
        paths = []
        for index, value in enumerate(values):
            if isinstance(value, dict):
                (self.folder / f"values-{index}.yaml").write_text(json.dumps(value))
                value = self.folder / f"values-{index}.yaml"
            paths.append(value)
        return call(self.renderer, *options, CHART, *paths)

    def objects(self, *values, options=()):
        return [one for one in yaml.safe_load_all(self.text(*values, options=options)) if one]

    def one(self, kind, component, objects):
        (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == f"assay-{component}"]
        return found

    def validate(self, objects):
        """Lines of validate_manifests.js."""
        (self.folder / "objects.json").write_text(json.dumps(objects))
        done = subprocess.run(["node", ROOT / "tests/support/validate_manifests.js", self.models, self.folder / "objects.json"],
                              capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def test_what_each_preset_renders_to_is_valid(self):
        for values in [{}, ALL_ON, {"collector": {"enabled": False, "address": "collector.example:7443"}}, *PRESETS]:
            with self.subTest(values):
                objects = self.objects(values)
                code, said = self.validate(objects)
                self.assertEqual(code, 0, said)
                unknown = [line for line in said.splitlines() if line.startswith("no-schema")]
                self.assertEqual([line for line in unknown if line.split()[1] not in CUSTOM], [])
                self.assertEqual(len(said.splitlines()), len(objects), said)
        self.assertGreaterEqual(len(PRESETS), 9)

    def test_the_schemas_refuse_what_is_wrong(self):
        objects = self.objects()
        self.one("StatefulSet", "collector", objects)["spec"]["replicas"] = "one"
        code, said = self.validate(objects)
        self.assertEqual(code, 1)
        self.assertIn("INVALID apps/v1 StatefulSet", said)

    def test_values_have_a_schema(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        for preset in [{}, ALL_ON, *(yaml.safe_load(path.read_text()) for path in PRESETS)]:
            jsonschema.validate(merged(values, preset), schema)
        for bad in ({"agnet": {}}, {"agent": {"stores": []}}, {"agent": {"seccomp": {"type": "None"}}},
                    {"collector": {"storage": {"size": "many"}}}, {"collector": {"postgres": {}}}):
            with self.subTest(bad), self.assertRaises(jsonschema.ValidationError):
                jsonschema.validate(merged(values, bad), schema)

    def test_a_collector_elsewhere_needs_an_address(self):
        with self.assertRaisesRegex(AssertionError, "collector.address: say where"):
            self.text({"collector": {"enabled": False}})

    def test_the_agent_has_the_rights_that_it_uses_and_no_others(self):
        for values in PRESETS:
            with self.subTest(values.name):
                pod = self.one("DaemonSet", "agent", self.objects(values))["spec"]["template"]["spec"]
                (agent,) = pod["containers"]
                rights = agent["securityContext"]
                self.assertEqual(rights["capabilities"], {"drop": ["ALL"], "add": CAPABILITIES})
                self.assertEqual((rights["privileged"], rights["allowPrivilegeEscalation"],
                                  rights["readOnlyRootFilesystem"]), (False, False, True))
                self.assertEqual(rights["seccompProfile"], {"type": "Localhost", "localhostProfile": "assay/agent.json"})
                self.assertEqual((pod["hostPID"], pod.get("hostNetwork"), pod["automountServiceAccountToken"]),
                                 (True, None, False))
                writable = {mount["mountPath"] for mount in agent["volumeMounts"] if not mount.get("readOnly")}
                self.assertEqual(writable, {"/var/lib/assay-agent", "/sys/fs/bpf"})
                stores = [mount for mount in agent["volumeMounts"] if mount["name"].startswith("store-")]
                self.assertEqual({mount["mountPropagation"] for mount in stores}, {"HostToContainer"})
                self.assertTrue({"startupProbe", "livenessProbe", "readinessProbe"} <= set(agent))

    def test_roles_hold_what_the_collector_asks_for(self):
        def rules(*options):
            return [rule for one in self.objects(options=options) if one["kind"] in ("Role", "ClusterRole")
                    for rule in one["rules"]]
        review = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
        self.assertEqual(rules(), [review])
        self.assertEqual(rules("--kube", "v1.31.4"), [review, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])

    def test_the_programs_accept_their_configuration(self):
        for values in [{}, *PRESETS]:
            objects = self.objects(values)
            for component in ("agent", "collector"):
                text = self.one("ConfigMap", component, objects)["data"][f"{component}.yaml"]
                (self.folder / "config.yaml").write_text(text)
                call(BIN / f"assay-{component}", "config", "check", "--config", self.folder / "config.yaml")

    def test_each_metric_in_rules_and_dashboard_is_documented(self):
        known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
        text = "".join((CHART / "files" / name).read_text() for name in ("rules.yaml", "dashboard.json"))
        used = set(re.findall(r"\b(?:assay_(?:agent|collector)_|process_)\w+", text))
        self.assertGreater(len(used), 8)
        self.assertEqual(used - known, set())

    def test_the_notes_say_what_comes_next(self):
        said = self.text(options=["--notes", "--namespace", "audit"])
        self.assertIn("kubectl label namespace audit pod-security.kubernetes.io/enforce=privileged", said)
        self.assertIn("assay-collector.audit.svc:7443", said)

    def test_each_pod_says_its_level_of_pod_security(self):
        for path in (CHART / "templates/agent.yaml", CHART / "templates/collector.yaml"):
            for part in path.read_text().split("\n---\n"):
                if re.search(r"^kind: (DaemonSet|StatefulSet)", part, re.MULTILINE):
                    self.assertRegex(part, r"(?m)^# Pod Security level: (privileged|restricted)")

    def test_the_kustomize_base_is_the_chart(self):
        rendered = self.text()
        if os.environ.get("ASSAY_UPDATE_GOLDEN"):
            BASE.write_text(rendered)
        self.assertEqual(BASE.read_text(), rendered, "stale: ASSAY_UPDATE_GOLDEN=1 tests/runtime/charts_test.py")
        built = [one for one in yaml.safe_load_all(call("kubectl", "kustomize", BASE.parent)) if one]
        names = sorted((one["kind"], one["metadata"]["name"]) for one in built)
        self.assertEqual(names, sorted([("Namespace", "assay"), *((one["kind"], one["metadata"]["name"])
                                                                  for one in self.objects())]))
        self.assertEqual(self.validate(built)[0], 0)

    def test_the_page_of_the_values_is_not_stale(self):
        page = call("python3", ROOT / "tests/support/helm_docs.py")
        self.assertEqual((ROOT / "docs/install/helm-values.md").read_text(), page,
                         "stale: tests/support/helm_docs.py > docs/install/helm-values.md")


def main():
    absent = [program for program in ("go", "npm", "node", "kubectl") if not shutil.which(program)]
    ChartsTest.models = "" if absent else fetch_models()
    if not ChartsTest.models:
        print(f"SKIPPED: needs {', '.join(absent) or 'the npm registry, once, for ' + MODELS}")
        sys.exit(77)
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
