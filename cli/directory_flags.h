// SPDX-License-Identifier: Apache-2.0
// Flags that say how a directory is to be read, for commands that take one as an image.
#pragma once

#include <string>
#include <vector>

#include "common/image/image.h"

namespace CLI {  // NOLINT: not our name
class App;
}

namespace assay::cli {

struct DirectoryFlags {
  std::string dialect;
  std::vector<std::string> uid_maps;  ///< "INSIDE:OUTSIDE:COUNT"
  std::vector<std::string> gid_maps;
};

/// SOURCE and --platform. Both must live as long as `command`.
void add_source(CLI::App& command, std::string& source, std::string& platform);

void add_directory_flags(CLI::App& command, DirectoryFlags& flags);
/// Errors: kInvalidArgument, saying what is allowed.
Result<void> apply(const DirectoryFlags& flags, image::ImageOptions& options);

}  // namespace assay::cli
