// SPDX-License-Identifier: Apache-2.0
// Paths inside a layer: what they may look like, and where they lead when a symbolic link of the
// same layer stands among their parents. Private to common/image.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/image/entry.h"
#include "common/image/fingerprint.h"

namespace assay::image {

/// kCorrupt, with the path escaped.
Error bad_path(std::string_view path, std::string_view what);

/// Errors: kCorrupt (empty, ".", "..", NUL), kLimitExceeded (too long, too deep).
Result<void> check_path(const std::string& path, const FingerprintLimits& limits);

/// What the layer holds at a path: null when nothing.
using EntryLookup = std::function<const Entry*(const std::string&)>;

/// `path` with every symbolic link in it followed, as the kernel does below a root: absolute
/// targets begin at the layer's root, and ".." stays inside. Parts that are not there are taken as
/// they are, but a link must lead to a directory that is there. `followed`: grows by the number of
/// links, each of which costs up to `max_depth` look-ups. Errors: kCorrupt (a link leads to no
/// directory, or 40 were not enough), kLimitExceeded.
Result<std::string> follow_links(const std::string& path, const EntryLookup& lookup,
                                 const FingerprintLimits& limits, std::uint64_t& followed);

}  // namespace assay::image
