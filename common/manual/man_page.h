// SPDX-License-Identifier: Apache-2.0
// The manual page of a program, made of what its --help says (man(7)).
#pragma once

#include <string>
#include <vector>

#include "common/manual/command_tree.h"

namespace assay::manual {

struct ManPage {
  std::string program;
  int section = 1;
  std::string date;  ///< YYYY-MM-DD
};

std::string man_page(const ManPage& page, const std::vector<Spot>& spots);

}  // namespace assay::manual
