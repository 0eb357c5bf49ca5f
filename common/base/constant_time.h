// SPDX-License-Identifier: Apache-2.0
// Comparing secrets without telling by the time it takes how much of one was right.
#pragma once

#include <string_view>

namespace assay {

/// Whether both are the same bytes. The time depends on the lengths only. Thread-safe.
/// Source: CRYPTO_memcmp(3).
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace assay
