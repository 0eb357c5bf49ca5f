// SPDX-License-Identifier: Apache-2.0
// Between the values of a verify and the bytes of common/wire: the same for the agent's stream, its
// unix socket, the collector and the command line.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/catalog/verification.h"

namespace assay::verification {

/// A serialized assay.v1.VerifyEvent. Bytes that are not UTF-8 become \xNN; what is longer than its
/// limit is cut. Thread-safe.
std::string encode(const catalog::VerifyEvent& event);

/// Errors: kCorrupt (no such message, no event in it, a digest of another length). Lists and texts
/// are cut to their limits, an outcome or an error that is not known counts as the worst one.
/// Thread-safe.
Result<catalog::VerifyEvent> decode(std::string_view bytes);

/// What the longest event takes on the wire, and some more: a bound for one message.
inline constexpr int kMaxEventBytes = 256 << 10;

}  // namespace assay::verification
