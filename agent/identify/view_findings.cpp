// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/view_findings.h"

#include <vector>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxPathBytes = 200;
constexpr std::size_t kMaxSourceBytes = 64;

}  // namespace

void note_difference(catalog::View& view, std::string_view path, const std::string& why,
                     Blame blame, bool is_guarded) {
  const bool is_masked = is_guarded && blame != Blame::kImage;
  ++(is_masked ? view.masked : blame == Blame::kImage ? view.replaced : view.covered);
  if (is_masked && blame == Blame::kHider) ++view.by_image;
  std::vector<std::string>& named = is_masked ? view.masked_paths : view.covered_paths;
  if (named.size() < catalog::kMaxViewPaths)
    named.push_back("/" + escape_untrusted(path, kMaxPathBytes) + " (" + why + ")");
}

std::string mount_text(std::string_view source) {
  return "mount: " + escape_untrusted(source, kMaxSourceBytes);
}

}  // namespace assay::agent
