// SPDX-License-Identifier: Apache-2.0
#include "common/image/layer_path.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

constexpr std::uint64_t kMaxLinks = 40;  // Linux's MAXSYMLINKS

Error too_deep(const std::string& path, const FingerprintLimits& limits) {
  return {ErrorCode::kLimitExceeded, "a path is deeper than " + std::to_string(limits.max_depth) +
                                         " directories: " + escape_untrusted(path, 128)};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

class Follower {
 public:
  Follower(const EntryLookup& lookup, const FingerprintLimits& limits)
      : lookup_(lookup), limits_(limits) {}

  // `path` from the directory `at`, which has no links in it.
  Result<std::string> follow(std::string at, const std::string& path) {
    std::size_t parts = 0;
    for (std::size_t start = 0; start < path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      const std::string part = path.substr(start, end - start);
      start = end + 1;
      if (part.empty() || part == ".") continue;
      if (++parts > limits_.max_depth) return too_deep(path, limits_);
      if (part == "..") {
        at = parent_of(at);
        continue;
      }
      std::string next = at;
      if (!next.empty()) next += '/';
      next += part;
      const Entry* entry = lookup_(next);
      if (entry == nullptr || entry->type != EntryType::kSymlink) {
        at = std::move(next);
        continue;
      }
      ASSAY_ASSIGN(at, target_of(next, at, entry->link_target));
    }
    return at;
  }
  std::uint64_t links() const { return links_; }

 private:
  Result<std::string> target_of(const std::string& link, const std::string& folder,
                                const std::string& target) {
    if (++links_ > kMaxLinks) return bad_path(link, "too many symbolic links, one to another");
    ASSAY_ASSIGN(std::string place, follow(target.starts_with('/') ? "" : folder, target));
    const Entry* entry = place.empty() ? nullptr : lookup_(place);
    if (!place.empty() && (entry == nullptr || entry->type != EntryType::kDirectory))
      return bad_path(link, "something lies below it, but it is a symbolic link to \"" +
                                escape_untrusted(target, 128) + "\", which is no directory here");
    return place;
  }

  const EntryLookup& lookup_;
  const FingerprintLimits& limits_;
  std::uint64_t links_ = 0;
};

}  // namespace

Error bad_path(std::string_view path, std::string_view what) {
  return {ErrorCode::kCorrupt, "entry \"" + escape_untrusted(path) + "\": " + std::string(what)};
}

Result<void> check_path(const std::string& path, const FingerprintLimits& limits) {
  if (path.empty()) return bad_path(path, "empty path");
  if (path.size() > limits.max_path_bytes)
    return Error{ErrorCode::kLimitExceeded, "a path is longer than " +
                                                std::to_string(limits.max_path_bytes) +
                                                " bytes: " + escape_untrusted(path, 128)};
  if (path.find('\0') != std::string::npos) return bad_path(path, "NUL in path");
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= path.size(); ++depth) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part(path.data() + start, end - start);
    if (part.empty() || part == "." || part == "..")
      return bad_path(path, "a path component is empty, \".\" or \"..\"");
    start = end + 1;
  }
  return depth > limits.max_depth ? Result<void>(too_deep(path, limits)) : ok();
}

Result<std::string> follow_links(const std::string& path, const EntryLookup& lookup,
                                 const FingerprintLimits& limits, std::uint64_t& followed) {
  Follower follower(lookup, limits);
  auto place = follower.follow("", path);
  followed += follower.links();
  return place;
}

}  // namespace assay::image
