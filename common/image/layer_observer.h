// SPDX-License-Identifier: Apache-2.0
// Who looks on while a layer is fingerprinted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/digest.h"
#include "common/base/read_at.h"
#include "common/image/entry.h"

namespace assay::image {

struct Deletions;

/// Called on the thread that reads the layer. Files come in the order in which they are read and
/// may still be replaced by later ones; records come at the end, sorted by path, and are what the
/// digests are made of. `number` counts the files that are read and ties the two together: hard
/// links share it.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  /// Up to how many bytes the file `path` is worth having: it comes to on_file() when it is not
  /// larger. 0: not at all. With Scope::kShape only files of archives are asked for.
  virtual std::uint64_t wanted_bytes(std::string_view path, std::size_t number) = 0;
  /// `bytes` live as long as the call. A file with several names may come once for each.
  virtual void on_file(std::string_view path, std::size_t number, const ReadAt& bytes) = 0;
  /// `digest`: of a file, when content was asked for.
  virtual void on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                         std::optional<std::size_t> number) = 0;
  /// After the last record; null when marks of deletion could not be seen here.
  virtual void on_deletions(const Deletions* deletions) = 0;
  /// Asked once, after on_deletions(): true to have an archive's layer read a second time, because
  /// a file turned out to be wanted after it had passed (hard links).
  virtual bool wants_again() const { return false; }
};

}  // namespace assay::image
