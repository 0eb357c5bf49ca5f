// SPDX-License-Identifier: Apache-2.0
// Labels and annotations that containerd keeps of a container and of the pod around it.
#pragma once

#include <string>

#include "agent/core/ports.h"
#include "agent/runtime/containerd/client.h"

namespace assay::agent {

/// Fills in what `names` lack from the container's labels.
void read_container_labels(const ContainerdContainer& container, ContainerNames& names);

/// Fills in what `names` lack from the labels and annotations of its pod. `sandbox`: the container
/// that containerd's CRI plugin made for the pod.
/// Source: containerd internal/cri/store/sandbox/metadata.go (pkg/cri/store/sandbox in 1.x).
void read_pod_labels(const ContainerdContainer& sandbox, ContainerNames& names);

/// The id of the pod's sandbox, as the specification of a container in a pod says it. "" of the
/// sandbox itself, and of what is in no pod.
/// Source: containerd internal/cri/annotations/annotations.go.
std::string pods_sandbox(const ContainerNames& names);

}  // namespace assay::agent
