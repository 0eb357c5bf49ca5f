// SPDX-License-Identifier: Apache-2.0
// Pure rules about one start: its id, its kind, its layers as they stand before anything is read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// 32 hex digits from boot, root identity, cgroup and first process: the same start always gives
/// the same id, and two lives of one root never do.
RunId make_run_id(std::string_view boot_id, const RunKey& key, const ProcessKey& first_process);

/// What the kind of a run depends on besides the start itself.
struct KindContext {
  bool shares_known_namespace = false;  ///< mount namespace of another open run
  bool shares_known_cgroup = false;     ///< container cgroup of another open run
};
RunKind kind_of(const ContainerStart& start, const ContainerNames& names,
                const KindContext& context);
/// A container whose confirmed record calls it a pod's sandbox is one; every other kind stays. No
/// label decides it that an image could bring along, and no name of a program.
RunKind kind_by_names(RunKind kind, const ContainerNames& names);

/// "runc (pid 812) of containerd-shim (pid 790), systemd (pid 1); uid 0, no terminal": who started
/// it, raw names escaped.
std::string lineage_text(const ContainerStart& start);

/// The tasks that identify the layers of `start`, bottom first; empty when its root has no layers
/// that could be read (the reason is in `unsupported`). Both at once: the layers are known, but not
/// whether its processes see them.
struct LayerPlan {
  std::vector<LayerTask> tasks;
  std::string unsupported;
};
LayerPlan plan_layers(const ContainerStart& start);

/// The layer of `task` before any of it was read.
catalog::StackLayer bare_layer(const LayerTask& task);

/// Notes on `layer` what its store says of it.
void take_claim(catalog::StackLayer& layer, const LayerClaim& claim);

/// Fills in of `names` what is empty there and known in `more`; true when anything was.
bool complete_names(ContainerNames& names, const ContainerNames& more);

/// Short name of a file system by its super_block.s_magic, "0x…" for one that has no name here.
std::string file_system_name(std::uint32_t magic);

}  // namespace assay::agent
