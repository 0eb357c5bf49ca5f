// SPDX-License-Identifier: Apache-2.0
// What the commands that talk to a collector need to know: flag, then environment, then file.
#pragma once

#include <string>

#include "cli/client.h"
#include "common/base/result.h"
#include "common/config/table.h"

namespace assay::cli {

struct Settings {
  Connection connection;
  std::string trust_file;        ///< public keys that may sign the catalog
  std::string signing_key_file;  ///< private key of this person
  std::string signing_passphrase_file;
  std::string token_file;  ///< a token that is used whatever `assay login` keeps
};

/// The one table of the command line's keys (docs/cli.md shows it).
const config::Table<Settings>& settings_table();

/// `file`: from --config, "" for $ASSAY_CONFIG, else the first of
/// $XDG_CONFIG_HOME/assay/config.yaml and /etc/assay/cli.yaml that exists. Errors: kInvalidArgument
/// with every problem, one per line.
Result<Settings> load_settings(const config::FlagValues& flags, const std::string& file);

}  // namespace assay::cli
