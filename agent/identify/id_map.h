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

struct IdMaps {
  std::vector<IdMap> maps;  ///< at least one
  bool has_own = false;     ///< the first is that of the container's own user namespace
};

/// The maps that a layer of `task`'s container may have been unpacked under, the likeliest first:
/// of the container's own user namespace, of those above it (a store's owner unpacks in his, and
/// may start containers in others), and last of the host's, in which ids are as they are. Only the
/// last when the container lives in the host's user namespace, or when the layer's mount is
/// id-mapped. A process that is gone has no map any more.
IdMaps id_maps_of(const LayerTask& task);

/// The first of `maps` under which the owner of the layer's root directory is root: unpackers give
/// that directory to their namespace's root, and nothing in an image changes it. Else the
/// container's own. Errors: kNotFound (the process is gone, and so is its map).
Result<IdMap> choose_id_map(IdMaps maps, std::uint32_t owner);

}  // namespace assay::agent
