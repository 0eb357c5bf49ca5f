// SPDX-License-Identifier: Apache-2.0
// Labels and annotations that containerd keeps of a container and of the pod around it. In a pod
// they are what its author gave the API server, and never what the image brings: exemptions and
// owners go by them.
#pragma once

#include <string>

#include "agent/core/ports.h"
#include "agent/runtime/containerd/client.h"

namespace assay::agent {

/// The id of the pod's sandbox by the annotations of a specification, which `names` hold and
/// nothing else yet; the container's own id when it is the sandbox. "" of what is in no pod.
/// Source: containerd internal/cri/annotations/annotations.go.
std::string pods_sandbox(const ContainerNames& names);

/// Fills in what `names` lack from the labels and annotations of its pod. `sandbox`: the container
/// that containerd's CRI plugin made for the pod; of any other nothing is taken.
/// Source: containerd internal/cri/store/sandbox/metadata.go (pkg/cri/store/sandbox in 1.x).
void read_pod_labels(const ContainerdContainer& sandbox, ContainerNames& names);

/// Fills in what `names` lack from the labels of a container in a pod: the kubelet's alone, as the
/// CRI plugin adds the image's own. Source: containerd internal/cri/util/util.go, BuildLabels.
void read_kubelets_labels(const ContainerdContainer& container, ContainerNames& names);

/// Fills in what `names` lack from the labels of a container in no pod, the image's among them, as
/// docker has it.
void read_container_labels(const ContainerdContainer& container, ContainerNames& names);

}  // namespace assay::agent
