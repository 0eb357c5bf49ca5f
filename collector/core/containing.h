// SPDX-License-Identifier: Apache-2.0
// Stacks whose layers tell no base, or not all: asks for their files and says what is in them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "collector/core/store.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"
#include "common/catalog/file_set_index.h"

namespace assay::collector {

/// Keeps the file sets of all bases in memory once some stack's files are looked at: about 100 KB a
/// base and as much again for the index. What was found is kept in the store, so that a change of a
/// base's status looks into no file set again. Not thread-safe: it belongs to the commit thread.
class Containing {
 public:
  struct Subject {
    const StackRow& row;
    const catalog::Stack& stack;
    const catalog::Catalog& catalog;
    WallTime now{};
    const catalog::ScanSummaries* scans = nullptr;
  };
  /// Worsens `verdict`, which layers gave, by what the stack's files hold; where they are needed
  /// and not there, notes that they are wanted. The state that the stack's file set has now.
  Result<FileSetState> look(StoreWriter& store, const Subject& subject, catalog::Verdict& verdict);

  /// File sets searched since it was asked last: each takes some milliseconds.
  int take_searches() { return std::exchange(searches_, 0); }

 private:
  Result<void> contain(StoreWriter& store, const Subject& subject, catalog::Verdict& verdict);
  Result<catalog::Containment> search(StoreWriter& store, const Subject& subject,
                                      const catalog::Verdict& verdict);
  Result<void> refresh_index(StoreWriter& store, const catalog::Catalog& catalog);
  Result<std::shared_ptr<const catalog::FileSet>> base_set(StoreWriter& store,
                                                           const FileSetDigest& digest);

  int searches_ = 0;
  std::optional<std::uint64_t> indexed_at_;  // sequence of the catalog
  Sha256 index_key_;                         // over the bases and sets in it
  catalog::FileSetIndex index_;
  std::map<FileSetDigest, std::shared_ptr<const catalog::FileSet>> sets_;  // shared with index_
};

}  // namespace assay::collector
