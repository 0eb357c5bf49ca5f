// SPDX-License-Identifier: Apache-2.0
// The table's keys as flags of a CLI11 command or subcommand.
#pragma once

#include <vector>

#include "common/config/load.h"

namespace CLI {
class App;
}

namespace assay::config {

/// Registers a flag for each key on `app`; after app's parse, `flags` holds the raw text of those
/// that were given. `flags` must live until then and may be shared by several subcommands. Booleans
/// are "--x" or "--x=false", lists repeat. No value is judged here: Table::load does that, together
/// with those of the other sources.
void add_flags(CLI::App& app, const std::vector<Key>& keys, FlagValues& flags);

}  // namespace assay::config
