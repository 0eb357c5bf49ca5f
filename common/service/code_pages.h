// SPDX-License-Identifier: Apache-2.0
// Memory that a program's code takes.
#pragma once

#include <cstddef>

namespace assay::service {

/// Lets go of all pages of code that this process has mapped (its own and its libraries'), and says
/// how many bytes of address space that was. What runs on is mapped again from the page cache as it
/// is executed; what only a start or a rare task needed is not. Touches nothing that was ever
/// written to. Source: madvise(2), MADV_DONTNEED on private file mappings.
std::size_t let_go_of_code();

}  // namespace assay::service
