// SPDX-License-Identifier: Apache-2.0
// What each of the three programs can write about itself: `completion SHELL` and `man`.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace assay::manual {

/// Adds both commands to `app`; parsing one of them puts its answer into `text`, which must outlive
/// it. `man` is hidden: packages call it. `section`: of the manual.
void add_manual(CLI::App& app, int section, std::string& text);

}  // namespace assay::manual
