// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "common/base/build_info.h"
#include "common/image/fingerprint.h"

namespace assay::cli {

void add_version(CLI::App& app, Invocation& invocation) {
  const auto command = [](Session&) -> Result<Outcome> {
    const BuildInfo info = build_info();
    return Outcome{{Object{{"program", "assay"},
                           {"version", info.version},
                           {"fingerprint_version", image::kFingerprintVersion},
                           {"commit", info.commit},
                           {"compiler", info.compiler},
                           {"build_flags", info.flags}},
                    {{.columns = {{"assay", "version"},
                                  {"fingerprint", "fingerprint_version"},
                                  {"commit", "commit"},
                                  {"compiler", "compiler"},
                                  {"flags", "build_flags"}},
                      .is_record = true}}}};
  };
  add_command(app, "version", "Print the version, the commit and how it was built", invocation,
              command)
      .group("About this program");
}

}  // namespace assay::cli
