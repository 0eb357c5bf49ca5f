// SPDX-License-Identifier: Apache-2.0
// Reads what a layer says of itself while it is fingerprinted: no file is opened twice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/catalog/about.h"
#include "common/image/layer_observer.h"

namespace assay::about {

struct ReaderLimits {
  std::uint64_t max_text_bytes = 64ULL << 20;  ///< of a dpkg or apk database: read into memory
  /// Of an rpm database: memory where it comes from an archive, page by page from a directory.
  std::uint64_t max_database_bytes = 256ULL << 20;
  std::size_t max_nodes = 4096;  ///< paths kept of one layer
};

/// How many packages may still be listed, over all layers of an image: a layer of a few bytes can
/// unpack to a database of 200,000, and there can be 1,000 layers.
struct ListBudget {
  std::uint64_t packages_left = 1'000'000;
};

/// The files that an image's description depends on, and how they are read. All of it comes from
/// strangers: what is too large, too many or corrupt is a gap in what take() returns, no error. For
/// one layer. Not thread-safe.
class LayerAboutReader final : public image::LayerObserver {
 public:
  /// `lists`: keep the packages too, not only their number, as long as it lasts; null: do not. It
  /// is shared by the readers of one image, must outlive them, and is used by one thread at a time.
  LayerAboutReader(ListBudget* lists, ReaderLimits limits, std::stop_token stop);

  std::uint64_t wanted_bytes(std::string_view path, std::size_t number) override;
  void on_file(std::string_view path, std::size_t number, const ReadAt& bytes) override;
  void on_record(std::string_view path, const image::Entry& entry, const FileDigest* digest,
                 std::optional<std::size_t> number) override;
  void on_deletions(const image::Deletions* deletions) override;
  bool wants_again() const override { return !missing_.empty(); }

  /// What was found; after the layer was read.
  catalog::LayerAbout take() { return std::move(about_); }

 private:
  enum class FileKind {
    kOsRelease,
    kDpkgStatus,
    kDpkgStatusD,
    kApkInstalled,
    kRpmSqlite,
    kRpmLog,
    kRpmNdb,
    kRpmBdb
  };
  static std::optional<FileKind> kind_of(std::string_view path);
  std::uint64_t max_bytes_of(FileKind kind) const;
  catalog::AboutNode read(FileKind kind, const ReadAt& bytes) const;
  void spend_budget(catalog::AboutNode& node);
  catalog::AboutNode read_text(FileKind kind, const ReadAt& bytes) const;
  catalog::AboutNode file_node(FileKind kind, const image::Entry& entry,
                               std::optional<std::size_t> number);

  ListBudget* lists_;
  ReaderLimits limits_;
  std::stop_token stop_;
  catalog::LayerAbout about_;
  std::map<std::size_t, catalog::AboutNode> read_;  // by number of the file
  std::map<std::size_t, FileKind> missing_;         // passed before a hard link made them wanted
};

}  // namespace assay::about
