// SPDX-License-Identifier: Apache-2.0
// What layers say of themselves, as value trees and sections: always under the name "claimed".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/output/document.h"
#include "common/catalog/about.h"

namespace assay::cli {

/// Adds `claimed_distribution`, `claimed_distribution_gap` and `claimed_packages` to `object`; the
/// lists of packages only `with_lists`.
void add_about(Object& object, const catalog::About& about, bool with_lists = false);

/// Appends what shows add_about()'s members, under a title that says what they are; nothing for
/// layers that say nothing.
void add_about_sections(std::vector<Section>& sections, const catalog::About& about);

/// The claims as annotations of a base, and back; what is not there is left out.
std::map<std::string, std::string> annotations_of(const catalog::About& about);
catalog::About about_from(const std::map<std::string, std::string>& annotations);

}  // namespace assay::cli
