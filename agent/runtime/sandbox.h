// SPDX-License-Identifier: Apache-2.0
// Runtimes whose containers do not run on the node's own kernel, told by the names of their shims.
// Private to agent/runtime.
#pragma once

#include <string>
#include <string_view>

namespace assay::agent {

/// What runs a container's processes in place of the node's kernel ("gVisor", "Kata Containers" …);
/// "" when the name is of no such runtime. `name`: a shim's path
/// (/usr/bin/containerd-shim-kata-v2), a runtime's name (io.containerd.runsc.v1), or the name of a
/// runtime handler (kata-qemu), which an administrator is free to choose.
std::string sandbox_of_runtime(std::string_view name);

}  // namespace assay::agent
