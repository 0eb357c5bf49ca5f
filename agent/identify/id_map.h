// SPDX-License-Identifier: Apache-2.0
// User-namespace id maps, as /proc/PID/uid_map shows them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"
#include "common/base/result.h"
#include "common/image/directory.h"

namespace assay::agent {

/// How ids on disk become the image's ids.
struct IdMap {
  std::vector<image::IdRange> uids;  ///< empty: as they are
  std::vector<image::IdRange> gids;
  std::string text;  ///< canonical, for the cache's key; "" when ids are as they are
};

/// Lines "INSIDE OUTSIDE COUNT". Errors: kCorrupt.
/// Source: user_namespaces(7), "User and group ID mappings".
Result<std::vector<image::IdRange>> parse_id_map(std::string_view text);

/// The map of the layers of `task`'s container: identity when it lives in the host's user namespace
/// or when the layer's mount is id-mapped (then the raw ids on disk are the image's).
/// Errors: kNotFound (the process is gone, so is its map), kCorrupt.
Result<IdMap> id_map_of(const LayerTask& task);

}  // namespace assay::agent
