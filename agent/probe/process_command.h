// SPDX-License-Identifier: Apache-2.0
// What a process was executed with, from /proc: for starts that no exec showed.
#pragma once

#include "agent/core/events.h"

namespace assay::agent {

/// Fills `executable` and `arguments` of `start` from /proc/PID when its process still lives;
/// leaves them empty otherwise. Reads two small files; the process controls their content.
/// Thread-safe.
void fill_command(ContainerStart& start);

}  // namespace assay::agent
