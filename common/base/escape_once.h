// SPDX-License-Identifier: Apache-2.0
// Text that was made safe for printing before, made safe once more.
#pragma once

#include <string>
#include <string_view>

namespace assay {

/// escape_untrusted() of text of which parts were escaped before, by a node or by us: what looks
/// like \xNN stays as it is, so that one escape is never made two. Two texts may become one.
std::string escape_once(std::string_view text, std::size_t max_bytes = 512);

}  // namespace assay
