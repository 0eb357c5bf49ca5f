// SPDX-License-Identifier: Apache-2.0
// The subcommands of assay-collector.
#pragma once

#include <functional>

#include "collector/app/config.h"
#include "collector/identity/authority_dir.h"
#include "collector/identity/authority_rotation.h"
#include "common/base/exit_code.h"

namespace assay::collector {

using LoadConfig = std::function<Result<config::Loaded<CollectorConfig>>()>;

/// Runs until SIGTERM or SIGINT. At SIGHUP `load` gives the configuration from the same places, and
/// what of it can change in a running program is taken over.
ExitCode run_collector(const config::Loaded<CollectorConfig>& loaded, const LoadConfig& load);
ExitCode run_init(const InitRequest& request);
ExitCode run_issue(const IssueRequest& request);
ExitCode run_rotate(const std::string& dir, RotationStep step);
ExitCode run_renew_server(const std::string& dir);
/// Prints the authorities in `dir`.
ExitCode run_show_authorities(const std::string& dir);

/// Prints `error` as one line on stderr; its exit code.
ExitCode fail(const Error& error);

}  // namespace assay::collector
