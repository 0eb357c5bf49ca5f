// SPDX-License-Identifier: Apache-2.0
// How a subcommand ends that could not do its work: one line on stderr, and the exit code.
#pragma once

#include "common/base/exit_code.h"
#include "common/base/result.h"

namespace assay::agent {

ExitCode fail(const Error& error);
/// The probe's own errors are about this machine, not about what the user gave.
ExitCode fail_to_probe(const Error& error);

}  // namespace assay::agent
