// SPDX-License-Identifier: Apache-2.0
// Arguments of programs inside the kernel's raw records: cut before they are written anywhere.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// Cuts a list of arguments; true when something was cut.
using LimitArguments = std::function<bool(std::vector<std::string>&)>;

/// The record with its arguments cut, and marked as such. Nothing: it is no part of a recording (a
/// canary, or bytes that are no record). Pure.
std::optional<std::string> limit_record(ProbeChannel channel, std::string_view record,
                                        const LimitArguments& limit);

}  // namespace assay::agent
