// SPDX-License-Identifier: Apache-2.0
// The subcommands of assay-collector.
#pragma once

#include "collector/app/config.h"
#include "collector/identity/authority_dir.h"
#include "common/base/exit_code.h"

namespace assay::collector {

/// Runs until SIGTERM or SIGINT.
ExitCode run_collector(const CollectorConfig& config);
ExitCode run_init(const InitRequest& request);
ExitCode run_issue(const IssueRequest& request);

/// Prints `error` as one line on stderr; its exit code.
ExitCode fail(const Error& error);

}  // namespace assay::collector
