// SPDX-License-Identifier: Apache-2.0
// `assay-agent record` and `assay-agent replay`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "agent/app/config.h"
#include "common/base/exit_code.h"

namespace assay::agent {

struct RecordOptions {
  std::string file;
  std::chrono::milliseconds duration{0};  ///< 0: until a signal
  std::uint64_t max_bytes = 256ULL << 20;
};

/// Records this node beside a running agent or without one, until the time is over, SIGTERM or
/// SIGINT comes, or the file is full. Sends nothing and keeps no state. Messages on stderr.
ExitCode record_node(const AgentConfig& config, const RecordOptions& options);

/// Prints what came of a recording as JSON on stdout. Needs no rights.
ExitCode replay_file(const std::string& file, bool with_events);

}  // namespace assay::agent
