// SPDX-License-Identifier: Apache-2.0
// What a container sees in place of its base's files: the merged-view check (docs/architecture.md
// "What the container sees").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/catalog/evidence.h"

namespace assay::catalog {

class Catalog;

enum class ViewState {
  kUnchecked,  ///< nobody looked, or nobody could: says nothing either way
  kAgrees,     ///< no path under the guarded folders is masked
  kDiffers,    ///< some are
};
std::string_view to_string(ViewState state);
/// Errors: kInvalidArgument.
Result<ViewState> parse_view_state(std::string_view text);

/// Named paths of each list in a View; all are counted.
inline constexpr std::size_t kMaxViewPaths = 32;
inline constexpr std::size_t kMaxViewPathBytes = 320;

/// What one look into a run's root found. Texts are escaped: "/PATH (WHY)".
struct View {
  ViewState state = ViewState::kUnchecked;
  std::string reason;          ///< why it is unchecked, or what was left out; "" when all is well
  std::uint64_t layers = 0;    ///< of the base that were looked at, from the bottom; 0: only mounts
  std::uint64_t paths = 0;     ///< of the base that were looked at
  std::uint64_t masked = 0;    ///< under the guarded folders
  std::uint64_t by_image = 0;  ///< of them, those that layers of the image itself hide
  std::uint64_t covered = 0;   ///< elsewhere
  std::uint64_t replaced = 0;  ///< anywhere, by a file or a deletion of a layer of the image itself
  std::vector<std::string> masked_paths;
  std::vector<std::string> covered_paths;  ///< elsewhere, and what was replaced
  WallTime checked{};                      ///< when it ended; the epoch: never
  bool operator==(const View&) const = default;

  /// Whether the run itself hides guarded paths: then no approval stands on its base.
  bool is_masked_by_run() const { return masked > by_image; }
  /// Whether every path of the base is the layer's own: what layers hide cannot be there then.
  bool is_whole() const {
    return state == ViewState::kAgrees && layers != 0 && masked == 0 && covered == 0;
  }
};

/// What has to be looked at in runs of one stack.
struct ViewPlan {
  std::size_t layers = 0;  ///< compared layers of the base that names it; 0: nothing to look at yet
  /// One per such layer: what it deletes is what the base's layer deletes.
  std::vector<bool> deletions_agree;
  bool is_lift_wanted = false;  ///< its rung stays below content until the view agrees
  bool operator==(const ViewPlan&) const = default;
};
/// Nothing before the content of every layer of the longest base that matches is known. Pure.
ViewPlan plan_view(const Stack& stack, const Catalog& catalog);

/// Whether a base's file at `path` (relative) is one that programs run from or are linked by: /bin,
/// /sbin, /lib*, /usr and what lies below them, /etc/ld.so*.
bool is_guarded_path(std::string_view path);
/// Whether runtimes put something of their own at `path` in every container: /etc/hosts, /proc …
bool is_runtime_path(std::string_view path);
/// Folders that nobody but root writes to in any image: "", etc, usr, usr/bin …
bool is_guarded_folder(std::string_view path);

/// "N paths of the base are not what the container sees: …"; "" unless the view differs.
std::string masked_reason(const View& view);

}  // namespace assay::catalog
