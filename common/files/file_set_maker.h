// SPDX-License-Identifier: Apache-2.0
// File sets from layers: of an archive whose layers were put together, and of directories that lie
// over one another (docs/formats/file_set.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/catalog/file_set.h"
#include "common/image/entry.h"
#include "common/image/layer_observer.h"

namespace assay::files {

/// Whether the path counts in a file set: no directory, device or socket, no empty file, nothing
/// that runtimes make or replace.
bool is_in_file_set(std::string_view path, const image::Entry& entry);

/// Takes the entries of one merged tree, in any order. 16 bytes an entry. Not thread-safe.
class FileSetMaker {
 public:
  /// For image::ImageOptions::on_merged. `entry` has its digest when it is a file.
  void add(const image::Entry& entry);
  /// Errors: kLimitExceeded.
  Result<catalog::FileSet> finish() &&;

 private:
  std::vector<catalog::FileSetEntry> entries_;
  std::uint64_t left_out_ = 0;  // beyond the limit
};

/// Puts layers together that are walked one after another, the topmost first, and keeps only
/// hashes: at most about 32 bytes a path. Not thread-safe.
///
/// Use: for each layer from the top down, fingerprint it with Scope::kContent and observer() as its
/// LayerObserver, then next_layer().
class LayeredFileSetMaker {
 public:
  LayeredFileSetMaker();
  /// Of the layer that is walked now.
  image::LayerObserver& observer() { return layer_; }
  /// The layer is complete: what comes now lies below it.
  void next_layer();
  /// Some layer did not show what it deletes: files below may be counted that are hidden.
  bool saw_all_deletions() const { return saw_all_deletions_; }
  /// Errors: kLimitExceeded.
  Result<catalog::FileSet> finish() &&;

 private:
  using Hashes = std::vector<std::uint64_t>;  // sorted

  class Layer final : public image::LayerObserver {
   public:
    explicit Layer(LayeredFileSetMaker& maker) : maker_(maker) {}
    std::uint64_t wanted_bytes(std::string_view, std::size_t) override { return 0; }
    void on_file(std::string_view, std::size_t, const ReadAt&) override {}
    void on_record(std::string_view path, const image::Entry& entry, const FileDigest* digest,
                   std::optional<std::size_t> number) override;
    void on_deletions(const image::Deletions* deletions) override;

   private:
    LayeredFileSetMaker& maker_;
  };

  bool has_hidden_parent(std::string_view path);
  void take(std::string_view path, const image::Entry& entry, const FileDigest* digest);
  bool has_room();

  Layer layer_;
  Hashes shown_;      // paths that layers above hold
  Hashes ends_;       // paths below which layers above hide everything
  Hashes new_shown_;  // of the layer that is walked now, not sorted yet
  Hashes new_ends_;
  std::vector<catalog::FileSetEntry> entries_;
  std::string last_parent_;
  bool has_last_parent_ = false;
  bool is_last_parent_hidden_ = false;
  bool is_over_limit_ = false;
  bool saw_all_deletions_ = true;
};

}  // namespace assay::files
