// SPDX-License-Identifier: Apache-2.0
// `assay-agent unpin`: what a killed agent left in the kernel goes away.
#include <cstdio>

#include "agent/app/failure.h"
#include "agent/app/probe_source.h"
#include "agent/app/run.h"
#include "agent/probe/probe_programs.h"
#include "common/base/encoding.h"

namespace assay::agent {

ExitCode remove_probe(const AgentConfig& config) {
  const std::string folder = pin_folder(config);
  if (folder.empty()) {
    std::fprintf(stderr, "assay-agent: probe.pin_dir is empty: nothing is ever pinned\n");
    return ExitCode::kUsage;
  }
  const auto removed = remove_pins(folder);
  if (!removed) return fail(removed.error());
  std::printf(*removed ? "Removed the probe pinned in %s.\n" : "Nothing is pinned in %s.\n",
              escape_untrusted(folder).c_str());
  return ExitCode::kOk;
}

}  // namespace assay::agent
