// SPDX-License-Identifier: Apache-2.0
// The value of the extended attribute "security.capability". Private to common/image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assay::image {

inline constexpr std::string_view kCapabilityXattr = "security.capability";

/// The root id that a value of revision 3 holds (only in a user namespace whose root is this user
/// the capabilities count); nothing for revisions 1 and 2 and for what is no such value.
/// Source: linux/capability.h struct vfs_ns_cap_data; capabilities(7) "File capability versioning".
std::optional<std::uint32_t> capability_root_id(std::string_view value);

/// A value of revision 3 with another root id. Root id 0 means what revision 2 means, and becomes
/// it: a runtime that unpacks in a user namespace writes 3 where the image said 2.
/// `value` must be one that capability_root_id() finds an id in.
std::string with_capability_root_id(std::string value, std::uint32_t root_id);

}  // namespace assay::image
