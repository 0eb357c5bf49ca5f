// SPDX-License-Identifier: Apache-2.0
// Collects what differs in a view: counted all, named as far as there is room. Private to
// agent/identify.
#pragma once

#include <string>
#include <string_view>

#include "common/catalog/view.h"

namespace assay::agent {

enum class Blame {
  kRun,    ///< the upper, a mount, or something that left no trace
  kHider,  ///< a layer of the image hides a whole folder
  kImage,  ///< a layer of the image has another file there, or deletes it
};

/// Notes that `path` (raw, relative) is not the base's. `is_guarded`: as is_guarded_path() says, or
/// a folder with such paths below it.
void note_difference(catalog::View& view, std::string_view path, const std::string& why,
                     Blame blame, bool is_guarded);

/// "mount: TYPE WHAT", escaped.
std::string mount_text(std::string_view source);

}  // namespace assay::agent
