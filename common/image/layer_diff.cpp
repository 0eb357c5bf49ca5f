// SPDX-License-Identifier: Apache-2.0
#include "common/image/layer_diff.h"

#include <algorithm>
#include <iterator>

namespace assay::image {
namespace {

Entry kept(std::string_view path, const Entry& entry, const FileDigest* digest) {
  Entry copy = entry;
  copy.path = path;
  copy.file_digest.reset();
  if (digest != nullptr && entry.type == EntryType::kFile) copy.file_digest = *digest;
  return copy;
}

std::vector<std::string_view> differences(const Entry& before, const Entry& after) {
  if (before.type != after.type) return {"type"};
  std::vector<std::string_view> what;
  const auto compare = [&](std::string_view word, const auto&... members) {
    if (((before.*members != after.*members) || ...)) what.push_back(word);
  };
  compare("mode", &Entry::mode);
  compare("owner", &Entry::uid, &Entry::gid);
  compare("size", &Entry::size);
  compare("link_target", &Entry::link_target);
  compare("mtime", &Entry::mtime_s);
  compare("content", &Entry::file_digest);
  compare("device", &Entry::device_major, &Entry::device_minor);
  compare("xattrs", &Entry::xattrs);
  return what;
}

}  // namespace

void RecordKeeper::on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                             std::optional<std::size_t>) {
  records_.entries.push_back(kept(path, entry, digest));
}

void RecordKeeper::on_deletions(const Deletions* deletions) {
  if (deletions != nullptr) records_.deletions = *deletions;
}

// Reports what is before `path`, or all that is left when there is none.
void LayerDiffer::remove_until(const std::string_view* path) {
  for (; next_ < before_.entries.size(); ++next_) {
    const Entry& entry = before_.entries[next_];
    if (path != nullptr && entry.path >= *path) return;
    visitor_({PathChange::kRemoved, entry.path, {}, &entry, nullptr});
  }
}

void LayerDiffer::on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                            std::optional<std::size_t>) {
  remove_until(&path);
  const Entry after = kept(path, entry, digest);
  if (next_ == before_.entries.size() || before_.entries[next_].path != path)
    return visitor_({PathChange::kAdded, path, {}, nullptr, &after});
  const Entry& before = before_.entries[next_++];
  auto what = differences(before, after);
  if (!what.empty()) visitor_({PathChange::kChanged, path, std::move(what), &before, &after});
}

void LayerDiffer::on_deletions(const Deletions* deletions) {
  remove_until(nullptr);
  has_compared_deletions_ = deletions != nullptr && before_.deletions.has_value();
  if (!has_compared_deletions_) return;
  compare_marks(before_.deletions->whiteouts, deletions->whiteouts, "whiteout");
  compare_marks(before_.deletions->opaques, deletions->opaques, "opaque");
}

// Both lists are sorted, as the deletions digest needs them.
void LayerDiffer::compare_marks(const std::vector<std::string>& before,
                                const std::vector<std::string>& after, std::string_view what) {
  std::vector<std::string> only;
  std::ranges::set_difference(before, after, std::back_inserter(only));
  for (const std::string& path : only)
    visitor_({PathChange::kRemoved, path, {what}, nullptr, nullptr});
  only.clear();
  std::ranges::set_difference(after, before, std::back_inserter(only));
  for (const std::string& path : only)
    visitor_({PathChange::kAdded, path, {what}, nullptr, nullptr});
}

}  // namespace assay::image
