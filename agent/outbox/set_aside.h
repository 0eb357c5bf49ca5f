// SPDX-License-Identifier: Apache-2.0
// A damaged database is moved out of the way, never deleted: people may still want what is in it.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"

namespace assay::agent {

/// A database that was damaged and replaced by an empty one.
struct SetAside {
  std::string path;    ///< where the damaged file lies now
  std::string reason;  ///< what was wrong with it
};

/// Renames `path` with its WAL to PATH.corrupt-N, N counting up; the newest four are kept. The
/// rename is on disk when this returns. Errors: kUnavailable, kPermissionDenied.
Result<std::string> set_aside(const std::string& path);

/// Opens a database with `open`; when it is damaged (kCorrupt) sets it aside, says so in
/// `set_aside_file`, and opens an empty one in its place.
template <typename Open>
auto open_or_set_aside(const std::string& path, std::optional<SetAside>& set_aside_file, Open open)
    -> decltype(open()) {
  auto opened = open();
  if (opened || opened.error().code != ErrorCode::kCorrupt) return opened;
  auto moved = set_aside(path);
  if (!moved) return std::move(moved.error()).with_context(opened.error().text());
  set_aside_file = SetAside{std::move(*moved), opened.error().text()};
  return open();
}

}  // namespace assay::agent
