// SPDX-License-Identifier: Apache-2.0
// Completion scripts made of a program's commands; they ask nobody and run no program.
#pragma once

#include <string>
#include <vector>

#include "common/manual/command_tree.h"

namespace assay::manual {

/// Commands, options, and words of options that list them; files elsewhere.
std::string bash_completion(const std::string& program, const std::vector<Spot>& spots);
std::string zsh_completion(const std::string& program, const std::vector<Spot>& spots);
std::string fish_completion(const std::string& program, const std::vector<Spot>& spots);

}  // namespace assay::manual
