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
MODELS = "kubernetes-models@4.5.1"
KUBE = "1.32"  # that the kustomize base is rendered for
BASE_HEAD = f"# The chart with its defaults, rendered for Kubernetes {KUBE} and newer.\n"
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
    folder = CACHE / MODELS.replace("@", "-")
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="models-", dir=CACHE) as parent:
        fresh = pathlib.Path(parent) / "fresh"
        fresh.mkdir()
        (fresh / "package.json").write_text("{}\n")
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=3", MODELS],
                              cwd=fresh, capture_output=True, text=True, check=False, timeout=240)
        if done.returncode != 0:
            print(f"npm: {done.stderr.strip()[-600:]}")
            return ""
        try:
            fresh.rename(folder)
        except OSError:  # another run was faster
            if not folder.is_dir():
                raise
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
        objects = self.objects()
        self.one("DaemonSet", "agent", objects)["spec"].pop("selector")
        code, said = self.validate(objects)
        self.assertEqual(code, 1)
        self.assertIn("INVALID apps/v1 DaemonSet", said)

    def test_the_schemas_do_not_know_unknown_fields(self):
        """As docs/install/kubernetes.md says; if this fails they have become stricter, and the page may say so."""
        objects = self.objects()
        self.one("StatefulSet", "collector", objects)["spec"]["replicaz"] = 1
        self.assertEqual(self.validate(objects)[0], 0)

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

    def test_no_store_is_mounted_that_may_be_absent(self):
        """/run/runc is there only where runc runs without --root: a folder that is not there keeps the pod from starting."""
        for values in [{}, *PRESETS]:
            with self.subTest(values):
                volumes = self.one("DaemonSet", "agent", self.objects(values))["spec"]["template"]["spec"]["volumes"]
                stores = {one["hostPath"]["path"] for one in volumes if one["name"].startswith("store-")}
                self.assertNotIn("/run/runc", stores)
                if not any("containers" in path.split("/") for path in stores):  # all but CRI-O
                    self.assertIn("/run/containerd", stores)  # runc's state is below it, k3s' too

    def test_the_profile_allows_what_the_agents_own_filter_allows(self):
        own = set(re.findall(r'(?m)^    "([a-z0-9_]+)",$', (ROOT / "agent/confine/call_list.cpp").read_text()))
        self.assertGreater(len(own), 100)
        profile = json.loads((CHART / "files/seccomp-agent.json").read_text())
        whole = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
                 for name in rule["names"]}
        self.assertEqual(own - whole, set())

    def test_a_changed_profile_restarts_the_agents(self):
        def checksum():
            template = self.one("DaemonSet", "agent", self.objects())["spec"]["template"]
            return template["metadata"]["annotations"]["checksum/config"]
        copy = self.folder / "chart"
        shutil.copytree(CHART, copy)
        before = checksum()
        with (copy / "files/seccomp-agent.json").open("a") as file:
            file.write(" ")
        (other,) = [one for one in yaml.safe_load_all(call(self.renderer, copy)) if one["kind"] == "DaemonSet"]
        self.assertNotEqual(other["spec"]["template"]["metadata"]["annotations"]["checksum/config"], before)

    def rules(self, component, *values):
        spec = self.one("NetworkPolicy", component, self.objects(*values))["spec"]
        self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
        return spec["ingress"], spec["egress"]

    def test_empty_values_close_the_network(self):
        empty = {"networkPolicy": {"monitoring": [], "dnsPeers": []}, "collector": {"apiServerPorts": []}}
        for values in (empty, merged(empty, {"networkPolicy": {"dnsPeers": [{"podSelector": {}}], "dnsPorts": []}})):
            ingress, egress = self.rules("agent", values)
            self.assertEqual((ingress, [rule["ports"][0]["port"] for rule in egress]), ([], [7443]))
            ingress, egress = self.rules("collector", values)
            self.assertEqual(([rule["ports"][0]["port"] for rule in ingress], egress), (["grpc"], []))
            self.assertEqual(self.validate(self.objects(values))[0], 0)

    def test_no_rule_of_the_network_allows_all(self):
        for values in [{}, *PRESETS]:
            for component in ("agent", "collector"):
                ingress, egress = self.rules(component, values)
                self.assertTrue(all(rule["from"] and rule["ports"] for rule in ingress), ingress)
                self.assertTrue(all(rule["ports"] for rule in egress), egress)
                self.assertEqual([rule for rule in egress if not rule.get("to")],
                                 [rule for rule in egress if component == "collector" and rule is egress[-1]])

    def test_each_platform_has_its_ports(self):
        def ports(preset, index):
            return {one["port"] for one in self.rules("collector", CHART / f"presets/{preset}.yaml")[1][index]["ports"]}
        self.assertEqual((ports("kind", 0), ports("kind", 1)), ({53}, {443, 6443}))
        self.assertEqual((ports("openshift", 0), ports("minikube", 1)), ({53, 5353}, {443, 8443}))

    def test_openshift_lets_the_collector_be_its_user(self):
        def bindings(*values):
            return [(one["roleRef"]["name"], one["subjects"][0]["name"]) for one in self.objects(*values)
                    if one["kind"] == "RoleBinding"]
        wanted = ("system:openshift:scc:nonroot-v2", "assay-collector")
        self.assertEqual((bindings(), bindings(CHART / "presets/openshift.yaml")), ([], [wanted]))

    def test_gke_allows_the_agents_priority(self):
        for preset in PRESETS:
            objects = self.objects(preset)
            quotas = [one for one in objects if one["kind"] == "ResourceQuota"]
            self.assertEqual(len(quotas), int(preset.stem == "gke"), preset)
        (quota,) = [one for one in self.objects(CHART / "presets/gke.yaml") if one["kind"] == "ResourceQuota"]
        self.assertEqual(quota["spec"]["scopeSelector"]["matchExpressions"],
                         [{"operator": "In", "scopeName": "PriorityClass", "values": ["system-node-critical"]}])

    def test_apparmor_is_said_as_the_version_of_kubernetes_knows_it(self):
        key = "container.apparmor.security.beta.kubernetes.io/agent"
        for version, field in (("v1.29.9", False), ("v1.30.0", True), ("v1.30.3-gke.1", True)):
            objects = self.objects(options=["--kube", version])
            pod = self.one("DaemonSet", "agent", objects)["spec"]["template"]
            self.assertEqual("appArmorProfile" in pod["spec"]["containers"][0]["securityContext"], field, version)
            self.assertEqual(pod["metadata"]["annotations"].get(key), None if field else "unconfined")
            self.assertEqual(self.validate(objects)[0], 0)

    def test_two_releases_share_no_certificate(self):
        def names(release):
            return {(one["kind"], one["metadata"]["name"]) for one in self.objects(ALL_ON, options=["--release", release])
                    if one["apiVersion"] == "cert-manager.io/v1"}
        self.assertEqual(len(names("one") | names("two")), 8)
        objects = self.objects(ALL_ON)
        made = {one["spec"]["secretName"] for one in objects if one["kind"] == "Certificate"}
        (mounted,) = [one["projected"]["sources"] for one in
                      self.one("StatefulSet", "collector", objects)["spec"]["template"]["spec"]["volumes"]
                      if one["name"] == "authority"]
        self.assertEqual(made, {source["secret"]["name"] for source in mounted})
        issuers = {one["metadata"]["name"] for one in objects if one["kind"] == "Issuer"}
        self.assertEqual(issuers, {one["spec"]["issuerRef"]["name"] for one in objects if one["kind"] == "Certificate"})

    def test_each_object_has_its_labels(self):
        for one in self.objects(ALL_ON):
            if one["kind"] not in ("ConfigMap", "SecurityContextConstraints"):
                self.assertEqual(one["metadata"]["labels"]["app.kubernetes.io/name"], "assay", one["metadata"]["name"])

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
        rendered = BASE_HEAD + self.text(options=["--kube", f"v{KUBE}.0"])
        self.assertIn(f"Kubernetes {KUBE} ", (BASE.parent / "kustomization.yaml").read_text())
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
