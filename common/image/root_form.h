// SPDX-License-Identifier: Apache-2.0
// The root form of a fingerprint: what an image's layers look like together, for roots that some
// store copied into one directory (docs/formats/fingerprint.md, "The root form").
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/image/entry.h"
#include "common/image/fingerprint.h"
#include "common/image/layer_observer.h"

namespace assay::image {

/// One layer with everything that its digests were computed from.
struct LayerTree {
  std::vector<Entry> entries;  ///< sorted by path; of files with `file_digest`, if it was asked for
  Deletions deletions;
};

/// Keeps everything that a layer's digests are made of: about 300 bytes an entry.
class LayerTreeKeeper final : public LayerObserver {
 public:
  /// `other`: looks on as well; may be null.
  explicit LayerTreeKeeper(LayerObserver* other) : other_(other) {}
  std::uint64_t wanted_bytes(std::string_view path, std::size_t number) override;
  void on_file(std::string_view path, std::size_t number, const ReadAt& bytes) override;
  void on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                 std::optional<std::size_t> number) override;
  void on_deletions(const Deletions* deletions) override;
  bool wants_again() const override { return other_ != nullptr && other_->wants_again(); }
  LayerTree& tree() { return tree_; }

 private:
  LayerObserver* other_;
  LayerTree tree_;
};

/// The layer without its character and block devices, which nobody can make in a user namespace;
/// nothing when it has none.
std::optional<DevicelessFingerprint> fingerprint_without_devices(const LayerTree& layer,
                                                                 Scope scope);

/// Whether the record of this path is left out: runtimes make or replace what lies there.
bool is_left_out_of_root(std::string_view path, EntryType type);

/// Puts layers on top of one another. Not thread-safe.
class MergedTree {
 public:
  /// `layer` lies above all that were added before.
  void add(const LayerTree& layer);
  std::size_t size() const { return entries_.size(); }
  /// `scope`: kContent needs every file's digest in the layers.
  RootFingerprint fingerprint(Scope scope) const;
  /// Shows every entry, by path.
  void show(const std::function<void(const Entry&)>& visitor) const;

 private:
  void erase_below(const std::string& directory);

  std::map<std::string, Entry> entries_;
};

}  // namespace assay::image
