// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "common/base/result.h"
#include "common/catalog/about.h"

namespace assay::about {

/// Name, [EPOCH:]VERSION-RELEASE and architecture of a package header as rpm's database holds it:
/// two counts, an index of 16 bytes an entry, the data; numbers are big-endian. A public key
/// ("gpg-pubkey") is a header too, with no architecture.
/// Errors: kCorrupt (lengths that do not fit, no name). Source: rpm docs/manual/format_header.md,
/// lib/header.c.
Result<catalog::Package> parse_rpm_header(std::string_view blob);

}  // namespace assay::about
