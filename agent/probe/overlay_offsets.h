// SPDX-License-Identifier: Apache-2.0
// Where this kernel's overlayfs keeps its layers. Read from BTF in user space, because libbpf finds
// a module's types only with CAP_SYS_ADMIN and is silent without it.
#pragma once

#include "bpf/include/state_abi.h"
#include "common/base/result.h"

namespace assay::agent {

/// Offsets from the kernel's BTF, or from the module's when overlayfs is one.
/// Reads a few MB of /sys/kernel/btf; milliseconds. Thread-safe.
/// Errors: kUnsupported (overlayfs is not loaded, has no BTF, or a form that is not known).
/// Source: fs/overlayfs/ovl_entry.h of Linux 5.8 to 6.18.
Result<assay_overlay_offsets> read_overlay_offsets();

}  // namespace assay::agent
