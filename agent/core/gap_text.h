// SPDX-License-Identifier: Apache-2.0
// What a gap in the observation means, in numbers and in words.
#pragma once

#include <cstdint>
#include <string>

#include "agent/core/events.h"

namespace assay::agent {

/// How many records are missing for good; 0 where they could not be counted. Execs count only where
/// they are recorded.
std::uint64_t lost_in(const ObservationGap& gap, bool records_execs);

/// Why, and what is missing by kind.
std::string describe(const ObservationGap& gap, bool records_execs);

}  // namespace assay::agent
