// SPDX-License-Identifier: Apache-2.0
// A set of certificate authorities by one digest, for peers that tell each other what they trust.
#pragma once

#include <string>
#include <vector>

#include "common/base/digest.h"

namespace assay {

/// SHA-256 over the sorted SHA-256 of the certificates (X.509, DER): their order does not count.
Sha256 digest_of_authorities(const std::vector<std::string>& certificates);

}  // namespace assay
