// SPDX-License-Identifier: Apache-2.0
// What this program was built from, and how: what `version` of all three programs says.
#pragma once

#include <string>

namespace assay {

struct BuildInfo {
  std::string version;
  std::string commit;  ///< of the source; "-dirty" behind it when files were changed; or "unknown"
  std::string compiler;  ///< name and version
  std::string flags;     ///< that decide about optimisation and hardening, as they were given
};

BuildInfo build_info();

/// `PROGRAM VERSION`, then a line for each of the rest; ends with a newline.
std::string version_text(const std::string& program);

}  // namespace assay
