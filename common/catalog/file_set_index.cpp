// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/file_set_index.h"

#include <algorithm>
#include <map>
#include <utility>

namespace assay::catalog {
namespace {

// However many bases are built on one: what few files it has alone must not outweigh the rest.
constexpr float kMinWeight = 0.25F;

using Posting = std::pair<std::uint64_t, std::uint32_t>;  // file hash, set

std::vector<Posting> sorted_postings(const std::vector<BaseFileSet>& sets) {
  std::size_t count = 0;
  for (const BaseFileSet& set : sets)
    count += set.files->size();
  std::vector<Posting> all;
  all.reserve(count);
  for (std::uint32_t i = 0; i < sets.size(); ++i)
    for (const FileSetEntry& entry : sets[i].files->entries())
      all.emplace_back(entry.file, i);
  std::ranges::sort(all);
  return all;
}

/// Versions of one name are one voice: that N and N-1 share a file makes it no commonplace.
std::vector<std::uint32_t> names_of(const std::vector<BaseFileSet>& sets) {
  std::map<std::string, std::uint32_t> numbers;
  std::vector<std::uint32_t> names;
  names.reserve(sets.size());
  for (const BaseFileSet& set : sets)
    names.push_back(
        numbers.emplace(set.base.name, static_cast<std::uint32_t>(numbers.size())).first->second);
  return names;
}

}  // namespace

FileSetIndex::FileSetIndex(std::vector<BaseFileSet> sets) : sets_(std::move(sets)) {
  const std::vector<std::uint32_t> names = names_of(sets_);
  const std::vector<Posting> all = sorted_postings(sets_);
  totals_.assign(sets_.size(), 0);
  postings_.reserve(all.size());
  std::vector<std::uint32_t> holders;  // names of one file's bases
  for (std::size_t i = 0; i < all.size();) {
    const std::size_t begin = postings_.size();
    const std::uint64_t file = all[i].first;
    holders.clear();
    for (; i < all.size() && all[i].first == file; ++i) {
      postings_.push_back(all[i].second);
      holders.push_back(names[all[i].second]);
    }
    std::ranges::sort(holders);
    const auto count = std::unique(holders.begin(), holders.end()) - holders.begin();
    files_.push_back(file);
    begins_.push_back(static_cast<std::uint32_t>(begin));
    weights_.push_back(std::max(kMinWeight, 1.0F / static_cast<float>(count)));
    for (std::size_t at = begin; at < postings_.size(); ++at)
      totals_[postings_[at]] += static_cast<double>(weights_.back());
  }
  begins_.push_back(static_cast<std::uint32_t>(postings_.size()));
}

std::vector<FileSetIndex::Hit> FileSetIndex::look_up(const FileSet& files) const {
  if (sets_.empty()) return {};
  std::vector<std::uint64_t> wanted;
  wanted.reserve(files.size());
  for (const FileSetEntry& entry : files.entries())
    wanted.push_back(entry.file);
  std::ranges::sort(wanted);
  std::vector<std::uint64_t> present(sets_.size());
  std::vector<double> weight(sets_.size());
  auto known = files_.begin();
  for (const std::uint64_t file : wanted) {
    known = std::lower_bound(known, files_.end(), file);
    if (known == files_.end()) break;
    if (*known != file) continue;
    const auto at = static_cast<std::size_t>(known - files_.begin());
    for (std::uint32_t i = begins_[at]; i < begins_[at + 1]; ++i) {
      ++present[postings_[i]];
      weight[postings_[i]] += static_cast<double>(weights_[at]);
    }
  }
  std::vector<Hit> hits;
  for (std::size_t i = 0; i < sets_.size(); ++i)
    if (present[i] != 0) hits.push_back({i, present[i], weight[i] / totals_[i]});
  std::ranges::sort(hits, [&](const Hit& a, const Hit& b) {
    if (a.present != b.present) return a.present > b.present;
    if (a.share != b.share) return a.share > b.share;
    return sets_[a.set].base < sets_[b.set].base;
  });
  return hits;
}

}  // namespace assay::catalog
