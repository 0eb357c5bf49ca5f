// SPDX-License-Identifier: Apache-2.0
// The names of lower directories, as overlayfs keeps them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay::agent {

/// `name` without overlayfs's escapes: `\:`, `\,` and `\\` mean the character behind the backslash.
/// The kernel keeps them in the names that it split from "lowerdir=" (fs/overlayfs/params.c), but
/// names given by "lowerdir+=" or by fd hold the bytes as they are: try both.
std::string unescape_lower_name(std::string_view name);

/// Whether a look-up of `name` can mean anything after the mount: absolute, no NUL, not cut.
bool is_usable_name(std::string_view name, bool is_truncated);

}  // namespace assay::agent
