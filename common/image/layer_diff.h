// SPDX-License-Identifier: Apache-2.0
// Which paths make two layers differ: the records of both, side by side.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/image/fingerprint.h"

namespace assay::image {

/// What the digests of one layer are made of.
struct LayerRecords {
  std::vector<Entry> entries;          ///< sorted by path; files with their digest
  std::optional<Deletions> deletions;  ///< nothing when marks of deletion could not be seen
};

/// Keeps all records of a layer: some 250 bytes each, at most FingerprintLimits::max_entries.
class RecordKeeper final : public LayerObserver {
 public:
  std::uint64_t wanted_bytes(std::string_view, std::size_t) override { return 0; }
  void on_file(std::string_view, std::size_t, const ReadAt&) override {}
  void on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                 std::optional<std::size_t> number) override;
  void on_deletions(const Deletions* deletions) override;

  LayerRecords take() { return std::move(records_); }

 private:
  LayerRecords records_;
};

enum class PathChange { kAdded, kRemoved, kChanged };

struct PathDifference {
  PathChange change = PathChange::kChanged;
  std::string_view path;
  /// In what they differ: type, mode, owner, size, link_target, mtime, content, device, xattrs;
  /// "whiteout" or "opaque" for a mark of deletion that one side lacks; nothing for an entry that
  /// one side lacks.
  std::vector<std::string_view> what;
  const Entry* before = nullptr;  ///< null where the side has none, and for marks
  const Entry* after = nullptr;
};

/// Compares a layer that is read now with one that was read before, of which alone the records are
/// in memory. Calls `visitor` for each path that differs: entries sorted by path, then marks of
/// deletion where both sides could see them; what it is given lives as long as the call. `before`
/// must outlive it.
class LayerDiffer final : public LayerObserver {
 public:
  using Visitor = std::function<void(const PathDifference&)>;
  LayerDiffer(const LayerRecords& before, Visitor visitor)
      : before_(before), visitor_(std::move(visitor)) {}

  std::uint64_t wanted_bytes(std::string_view, std::size_t) override { return 0; }
  void on_file(std::string_view, std::size_t, const ReadAt&) override {}
  void on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                 std::optional<std::size_t> number) override;
  void on_deletions(const Deletions* deletions) override;
  /// After the layer was read: whether marks of deletion were compared.
  bool has_compared_deletions() const { return has_compared_deletions_; }

 private:
  void remove_until(const std::string_view* path);
  void compare_marks(const std::vector<std::string>& before, const std::vector<std::string>& after,
                     std::string_view what);

  const LayerRecords& before_;
  Visitor visitor_;
  std::size_t next_ = 0;  // in before_.entries
  bool has_compared_deletions_ = false;
};

}  // namespace assay::image
