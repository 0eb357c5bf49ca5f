// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/stream_opener.h"

#include "agent/runtime/store_folder.h"
#include "common/base/encoding.h"

namespace assay::agent {

Result<UniqueFd> StoreStreamOpener::open(const StreamPlace& place) {
  const std::string name =
      "\"" + escape_untrusted(place.path) + "\" in " + escape_untrusted(place.store);
  auto folder = StoreFolder::open(place.store);
  UniqueFd fd = folder ? folder->open_file(place.path) : UniqueFd();
  if (!fd) return Error{ErrorCode::kNotFound, "there is no " + name};
  if (folder->is_others_to_write())
    return Error{ErrorCode::kUntrusted, "someone but root may write " + name};
  return fd;
}

}  // namespace assay::agent
