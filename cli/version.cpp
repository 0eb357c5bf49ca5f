// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "common/image/fingerprint.h"

namespace assay::cli {

void add_version(CLI::App& app, Invocation& invocation) {
  const auto command = [](Session&) -> Result<Outcome> {
    return Outcome{{Object{{"program", "assay"},
                           {"version", ASSAY_VERSION},
                           {"fingerprint_version", image::kFingerprintVersion}},
                    {{.columns = {{"assay", "version"}, {"fingerprint", "fingerprint_version"}},
                      .is_record = true}}}};
  };
  add_command(app, "version", "Print the version", invocation, command).group("About this program");
}

}  // namespace assay::cli
