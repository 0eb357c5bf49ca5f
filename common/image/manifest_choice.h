// SPDX-License-Identifier: Apache-2.0
// Which of an index's manifests is meant. Private to common/image.
#pragma once

#include <string>
#include <vector>

#include "common/image/oci_json.h"

namespace assay::image {

/// This machine's platform, as images name it.
Platform machine_platform();
/// "os/arch[/variant]". Errors: kInvalidArgument.
Result<Platform> parse_platform_text(const std::string& text);
/// Whether an image for `offered` is one for `wanted`; a variant counts only where both have one.
bool is_platform_match(const Platform& wanted, const Platform& offered);

/// The manifest for `wanted` ("" is the only one there is, else this machine's); attestations and
/// other artifacts are passed over. An image whose platform is exactly `wanted` goes before one
/// that only fits.
/// Errors: kNotFound (lists what is there), kInvalidArgument (several images fit; lists them).
Result<Descriptor> choose_manifest(const std::vector<Descriptor>& manifests,
                                   const std::string& wanted);

}  // namespace assay::image
