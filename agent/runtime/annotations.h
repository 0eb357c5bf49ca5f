// SPDX-License-Identifier: Apache-2.0
// What runtimes write about a container into its specification and its labels. Private to
// agent/runtime.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/core/ports.h"

namespace assay::agent {

/// Fills in what `names` lack from the annotations of an OCI runtime specification (JSON). False
/// when it is no such thing.
/// Source: containerd internal/cri/annotations/annotations.go; CRI-O pkg/annotations; nerdctl.
bool read_spec_annotations(std::string_view spec, ContainerNames& names);

/// Fills in what `names` lack from labels, kubelet's among them.
void read_labels(const nlohmann::json& labels, ContainerNames& names);

}  // namespace assay::agent
