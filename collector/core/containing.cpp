// SPDX-License-Identifier: Apache-2.0
#include "collector/core/containing.h"

#include <utility>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/contained_verdict.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxReasonBytes = 1024;

/// Everything that an answer depends on, but for the stack's own files.
Sha256 key_of(const Sha256& index, const catalog::Policy& policy, const catalog::Verdict& verdict) {
  std::string fields;
  append_field(fields, index.raw());
  append_field(fields, std::uint64_t{policy.contained_share_percent});
  append_field(fields, std::uint64_t{policy.contained_own_percent});
  append_field(fields, policy.contained_min_files);
  append_field(fields, verdict.base_name());
  return sha256(fields);
}

}  // namespace

Result<FileSetState> Containing::look(StoreWriter& store, const Subject& subject,
                                      catalog::Verdict& verdict) {
  const StackRow& row = subject.row;
  const auto from = catalog::wanted_file_set(verdict, subject.stack);
  if (!from) {
    if (row.file_set != FileSetState::kWanted) return row.file_set;
    ASSAY_TRY(store.set_file_set_state(row.id, FileSetState::kNotNeeded, 0));
    return FileSetState::kNotNeeded;
  }
  const bool is_enough = row.file_set_from <= *from;
  if (row.file_set == FileSetState::kThere && is_enough) {
    ASSAY_TRY(contain(store, subject, verdict));
    return row.file_set;
  }
  if (row.file_set == FileSetState::kGone && is_enough) {
    ASSAY_ASSIGN(const auto saved, store.find_file_set(row.id));
    if (saved && verdict.status == catalog::VerdictStatus::kUnknown)
      verdict.reason = escape_untrusted(
          verdict.reason + "; its files could not be looked at: " + saved->gap, kMaxReasonBytes);
    return row.file_set;
  }
  if (row.file_set != FileSetState::kWanted || !is_enough)
    ASSAY_TRY(store.set_file_set_state(row.id, FileSetState::kWanted, *from));
  return FileSetState::kWanted;
}

Result<void> Containing::contain(StoreWriter& store, const Subject& subject,
                                 catalog::Verdict& verdict) {
  ASSAY_TRY(refresh_index(store, subject.catalog));
  if (index_.sets().empty()) return ok();
  const Sha256 key = key_of(index_key_, subject.catalog.policy(), verdict);
  ASSAY_ASSIGN(auto found, store.find_containment(subject.row.id, key));
  if (!found) {
    ASSAY_ASSIGN(found, search(store, subject, verdict));
    ASSAY_TRY(store.save_containment(subject.row.id, key, *found));
  }
  catalog::add_containment(verdict, *found, subject.catalog, subject.now, subject.scans);
  return ok();
}

Result<catalog::Containment> Containing::search(StoreWriter& store, const Subject& subject,
                                                const catalog::Verdict& verdict) {
  ++searches_;
  ASSAY_ASSIGN(const auto saved, store.find_file_set(subject.row.id));
  if (!saved) return Error{ErrorCode::kCorrupt, "a stack's file set is not in the store"};
  ASSAY_ASSIGN(const catalog::FileSet files, catalog::FileSet::decode(saved->files));
  return catalog::find_contained(catalog::with_base_below(files, verdict, index_), index_,
                                 subject.catalog.policy());
}

Result<void> Containing::refresh_index(StoreWriter& store, const catalog::Catalog& catalog) {
  if (indexed_at_ == catalog.sequence()) return ok();
  std::vector<std::pair<catalog::BaseFileSet, FileSetDigest>> wanted;
  std::string fields;
  for (const auto& [id, base] : catalog.bases())
    for (const catalog::BaseStack& stack : base.stacks) {
      if (!stack.file_set) continue;
      append_field(fields, id.text());
      append_field(fields, stack.platform);
      append_field(fields, stack.file_set->digest.raw());
      wanted.push_back({{id, stack.platform, nullptr}, stack.file_set->digest});
    }
  const Sha256 key = sha256(fields);
  if (key != index_key_) {
    std::vector<catalog::BaseFileSet> sets;
    for (auto& [set, digest] : wanted) {
      ASSAY_ASSIGN(set.files, base_set(store, digest));
      if (set.files) sets.push_back(std::move(set));
    }
    index_ = catalog::FileSetIndex(std::move(sets));
    index_key_ = key;
  }
  indexed_at_ = catalog.sequence();
  return ok();
}

/// Null when the store lacks it: a log that was brought here without its file sets.
Result<std::shared_ptr<const catalog::FileSet>> Containing::base_set(StoreWriter& store,
                                                                     const FileSetDigest& digest) {
  if (const auto known = sets_.find(digest); known != sets_.end()) return known->second;
  ASSAY_ASSIGN(const std::string bytes, store.base_file_set(digest));
  if (bytes.empty()) return std::shared_ptr<const catalog::FileSet>();
  ASSAY_ASSIGN(catalog::FileSet set, catalog::FileSet::decode(bytes));
  auto shared = std::make_shared<const catalog::FileSet>(std::move(set));
  sets_.emplace(digest, shared);
  return shared;
}

}  // namespace assay::collector
