// SPDX-License-Identifier: Apache-2.0
// The columns of `runs` that hold a container's names.
#pragma once

#include <string_view>

#include "collector/core/events.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// All but the labels, in the order that read_names wants them.
inline constexpr std::string_view kNameColumns =
    "r.container_id, r.container_name, r.runtime, r.image, r.image_id, r.config_digest,"
    " r.manifest_digest, r.repo_digest, r.pod_name, r.pod_namespace, r.pod_uid,"
    " r.is_bound_to_kernel, r.is_users_to_write";
inline constexpr int kNameColumnCount = 13;

/// Reads kNameColumns from column `first` on. Errors: kInvalidArgument (no digest).
Result<ContainerNames> read_names(const sqlite::Statement& row, int first);

}  // namespace assay::collector
