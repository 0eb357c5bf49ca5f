# SPDX-License-Identifier: Apache-2.0
"""Pods of containerd over its CRI socket, as a kubelet asks for them: host network, an image for the sandbox
of our own, no address of a registry anywhere."""
import importlib
import pathlib
import subprocess
import sys
import tempfile

import grpc

import images
import runtimes

PAUSE = "docker.io/library/pause:1"
HERE = pathlib.Path(__file__).resolve().parent
DEADLINE_S = 60
CONFIG = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
"""


def make_messages():
    """The module of cri.proto's messages."""
    with tempfile.TemporaryDirectory(prefix="assay-cri-", dir="/tmp") as folder:
        subprocess.run(["protoc", f"--proto_path={HERE}", f"--python_out={folder}", "cri.proto"], check=True, timeout=60)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("cri_pb2")
        finally:
            sys.path.remove(folder)


class ContainerdCri(runtimes.Containerd):
    """Its containers are made by pod() and container(), in the namespace that kubelets use."""
    config_text = CONFIG.format(pause=PAUSE)

    def start(self):
        super().start()
        self.messages = make_messages()
        self.channel = grpc.insecure_channel(f"unix://{self.folder}/c.sock")
        self.pods, self.pod_containers = {}, {}
        folder = self.folder / "pause"
        folder.mkdir()
        layer = images.busybox_layer(folder / "pause.layer", "pause", {"pause": b"#!/bin/sh\nexec /bin/sleep 600\n"})
        self.load(images.image_archive(folder / "pause.tar", PAUSE, [layer], entrypoint=["/pause"]), PAUSE)

    def client(self, *arguments, **options):
        return super().client("--namespace", "k8s.io", *arguments, **options)

    def call(self, method, request, answer="Nothing"):
        """One call of the runtime service; grpc.RpcError when containerd refuses."""
        stub = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}",
                                        request_serializer=lambda one: one.SerializeToString(),
                                        response_deserializer=getattr(self.messages, answer).FromString)
        return stub(request, timeout=DEADLINE_S)

    def pod(self, name, namespace, uid, labels=None, annotations=None):
        """Starts a pod's sandbox: its id."""
        node = self.messages.NamespaceOption(network=self.messages.NODE)
        config = self.messages.PodSandboxConfig(
            metadata={"name": name, "namespace": namespace, "uid": uid}, labels={
                "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid,
                **(labels or {})}, annotations=annotations or {},
            linux={"cgroup_parent": f"/kubepods/besteffort/pod{uid}", "security_context": {"namespace_options": node}})
        request = self.messages.RunPodSandboxRequest(config=config)
        pod = self.call("RunPodSandbox", request, "RunPodSandboxResponse").pod_sandbox_id
        self.pods[pod] = config
        return pod

    def container(self, pod, name, image, *words):
        """Starts a container in a pod: its id."""
        node = self.messages.NamespaceOption(network=self.messages.NODE, pid=self.messages.CONTAINER)
        request = self.messages.CreateContainerRequest(
            pod_sandbox_id=pod, sandbox_config=self.pods[pod],
            config={"metadata": {"name": name}, "image": {"image": image}, "command": words,
                    "labels": {"io.kubernetes.container.name": name},
                    "linux": {"security_context": {"namespace_options": node}}})
        container = self.call("CreateContainer", request, "CreateContainerResponse").container_id
        self.pod_containers[container] = pod
        self.call("StartContainer", self.messages.ContainerRequest(container_id=container))
        return container

    def remove_container(self, container):
        for method in ("StopContainer", "RemoveContainer"):
            self.call(method, self.messages.ContainerRequest(container_id=container))
        del self.pod_containers[container]

    def remove_pod(self, pod):
        for container in [one for one, its_pod in self.pod_containers.items() if its_pod == pod]:
            self.remove_container(container)
        for method in ("StopPodSandbox", "RemovePodSandbox"):
            self.call(method, self.messages.PodSandboxRequest(pod_sandbox_id=pod))
        del self.pods[pod]

    def stop(self):
        if self.daemon and self.daemon.is_alive():
            for pod in list(self.pods):
                self.remove_pod(pod)
            self.channel.close()
        super().stop()
