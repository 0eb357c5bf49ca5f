// SPDX-License-Identifier: Apache-2.0
#include "common/files/file_set_maker.h"

#include <algorithm>

#include "common/image/fingerprint.h"
#include "common/image/root_form.h"

namespace assay::files {
namespace {

// Paths kept of all layers together: 32 MB.
constexpr std::size_t kMaxPaths = 2'000'000;

Error too_many() {
  return Error{ErrorCode::kLimitExceeded, "it holds more than " +
                                              std::to_string(catalog::kMaxFileSetEntries) +
                                              " files: too many for a file set"};
}

catalog::FileSetEntry entry_of(std::string_view path, const image::Entry& entry,
                               const FileDigest* digest) {
  return catalog::file_set_entry({path, static_cast<char>(entry.type), entry.mode, entry.uid,
                                  entry.gid, entry.link_target, digest});
}

bool contains(const std::vector<std::uint64_t>& sorted, std::uint64_t hash) {
  return std::ranges::binary_search(sorted, hash);
}

void merge_into(std::vector<std::uint64_t>& sorted, std::vector<std::uint64_t>& added) {
  const auto middle = static_cast<std::ptrdiff_t>(sorted.size());
  std::ranges::sort(added);
  sorted.insert(sorted.end(), added.begin(), added.end());
  std::ranges::inplace_merge(sorted, sorted.begin() + middle);
  added.clear();
}

}  // namespace

bool is_in_file_set(std::string_view path, const image::Entry& entry) {
  using image::EntryType;
  if (entry.type == EntryType::kDirectory || entry.type == EntryType::kSocket) return false;
  if (entry.type == EntryType::kFile && entry.size == 0) return false;
  return !image::is_left_out_of_root(path, entry.type);
}

void FileSetMaker::add(const image::Entry& entry) {
  if (!is_in_file_set(entry.path, entry)) return;
  if (entries_.size() >= catalog::kMaxFileSetEntries) {
    ++left_out_;
    return;
  }
  entries_.push_back(
      entry_of(entry.path, entry, entry.file_digest ? &*entry.file_digest : nullptr));
}

Result<catalog::FileSet> FileSetMaker::finish() && {
  if (left_out_ != 0) return too_many();
  return catalog::FileSet(std::move(entries_));
}

LayeredFileSetMaker::LayeredFileSetMaker() : layer_(*this) {}

void LayeredFileSetMaker::Layer::on_record(std::string_view path, const image::Entry& entry,
                                           const FileDigest* digest,
                                           std::optional<std::size_t> /*number*/) {
  if (maker_.has_room()) maker_.take(path, entry, digest);
}

void LayeredFileSetMaker::Layer::on_deletions(const image::Deletions* deletions) {
  if (deletions == nullptr) {
    maker_.saw_all_deletions_ = false;
    return;
  }
  for (const std::string& path : deletions->whiteouts) {
    if (!maker_.has_room()) return;
    maker_.new_shown_.push_back(catalog::path_hash(path));
    maker_.new_ends_.push_back(maker_.new_shown_.back());
  }
  for (const std::string& path : deletions->opaques) {
    if (!maker_.has_room()) return;
    maker_.new_ends_.push_back(catalog::path_hash(path));
  }
}

bool LayeredFileSetMaker::has_room() {
  if (shown_.size() + ends_.size() + new_shown_.size() + new_ends_.size() >= kMaxPaths)
    is_over_limit_ = true;
  return !is_over_limit_;
}

void LayeredFileSetMaker::take(std::string_view path, const image::Entry& entry,
                               const FileDigest* digest) {
  const std::uint64_t hash = catalog::path_hash(path);
  const bool is_directory = entry.type == image::EntryType::kDirectory;
  new_shown_.push_back(hash);
  if (!is_directory) new_ends_.push_back(hash);
  if (!is_in_file_set(path, entry) || contains(shown_, hash) || has_hidden_parent(path)) return;
  if (entries_.size() >= catalog::kMaxFileSetEntries)
    is_over_limit_ = true;
  else
    entries_.push_back(entry_of(path, entry, digest));
}

bool LayeredFileSetMaker::has_hidden_parent(std::string_view path) {
  if (ends_.empty()) return false;
  const std::size_t slash = path.rfind('/');
  const std::string_view parent =
      slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  if (has_last_parent_ && parent == last_parent_) return is_last_parent_hidden_;
  bool is_hidden = contains(ends_, catalog::path_hash(""));
  for (std::size_t end = 0; !is_hidden && end < parent.size();) {
    end = std::min(parent.find('/', end + 1), parent.size());
    is_hidden = contains(ends_, catalog::path_hash(parent.substr(0, end)));
  }
  last_parent_ = parent;
  has_last_parent_ = true;
  is_last_parent_hidden_ = is_hidden;
  return is_hidden;
}

void LayeredFileSetMaker::next_layer() {
  merge_into(shown_, new_shown_);
  merge_into(ends_, new_ends_);
  has_last_parent_ = false;
}

Result<catalog::FileSet> LayeredFileSetMaker::finish() && {
  if (is_over_limit_) return too_many();
  return catalog::FileSet(std::move(entries_));
}

}  // namespace assay::files
