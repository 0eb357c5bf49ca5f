// SPDX-License-Identifier: Apache-2.0
#include "common/about/layer_about_reader.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "common/about/os_release.h"
#include "common/about/package_text.h"
#include "common/about/rpm_database.h"
#include "common/base/encoding.h"
#include "common/catalog/about_paths.h"
#include "common/image/fingerprint.h"

namespace assay::about {
namespace {

using catalog::AboutNode;
using image::EntryType;

constexpr std::uint64_t kMaxOsReleaseBytes = 64U << 10;
constexpr std::uint64_t kMaxStatusDBytes = 1U << 20;
constexpr std::size_t kMaxTargetBytes = 4096;  // PATH_MAX

// Links and marks on these lead to or away from the files.
constexpr std::array<std::string_view, 17> kFolders{"etc",
                                                    "lib",
                                                    "lib/apk",
                                                    "lib/apk/db",
                                                    "usr",
                                                    "usr/lib",
                                                    "usr/lib/apk",
                                                    "usr/lib/apk/db",
                                                    "usr/lib/sysimage",
                                                    "usr/lib/sysimage/rpm",
                                                    "usr/share",
                                                    "usr/share/rpm",
                                                    "var",
                                                    "var/lib",
                                                    "var/lib/dpkg",
                                                    "var/lib/dpkg/status.d",
                                                    "var/lib/rpm"};

bool is_one_of(std::string_view path, std::span<const std::string_view> paths) {
  return std::ranges::find(paths, path) != paths.end();
}

bool is_in_status_d(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash != std::string_view::npos && path.substr(0, slash) == catalog::kDpkgStatusFolder &&
         !path.ends_with(".md5sums");
}

std::string too_large(std::uint64_t max_bytes) {
  return "it is larger than " + std::to_string(max_bytes >> 10U) + " KiB, so it is not read";
}

}  // namespace

LayerAboutReader::LayerAboutReader(ListBudget* lists, ReaderLimits limits, std::stop_token stop)
    : lists_(lists), limits_(limits), stop_(std::move(stop)) {}

std::optional<LayerAboutReader::FileKind> LayerAboutReader::kind_of(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, FileKind>, 4> kRpmFiles{
      {{catalog::kRpmSqliteFile, FileKind::kRpmSqlite},
       {catalog::kRpmSqliteLogFile, FileKind::kRpmLog},
       {catalog::kRpmNdbFile, FileKind::kRpmNdb},
       {catalog::kRpmBdbFile, FileKind::kRpmBdb}}};
  if (is_one_of(path, catalog::kOsReleasePaths)) return FileKind::kOsRelease;
  if (path == catalog::kDpkgStatusPath) return FileKind::kDpkgStatus;
  if (is_one_of(path, catalog::kApkInstalledPaths)) return FileKind::kApkInstalled;
  if (is_in_status_d(path)) return FileKind::kDpkgStatusD;
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || !is_one_of(path.substr(0, slash), catalog::kRpmFolders))
    return std::nullopt;
  for (const auto& [file, kind] : kRpmFiles)
    if (path.substr(slash + 1) == file) return kind;
  return std::nullopt;
}

std::uint64_t LayerAboutReader::max_bytes_of(FileKind kind) const {
  switch (kind) {
    case FileKind::kOsRelease:
      return kMaxOsReleaseBytes;
    case FileKind::kDpkgStatusD:
      return std::min(kMaxStatusDBytes, limits_.max_text_bytes);
    case FileKind::kDpkgStatus:
    case FileKind::kApkInstalled:
      return limits_.max_text_bytes;
    case FileKind::kRpmSqlite:
      return limits_.max_database_bytes;
    case FileKind::kRpmLog:
    case FileKind::kRpmNdb:
    case FileKind::kRpmBdb:
      return 0;
  }
  return 0;
}

std::uint64_t LayerAboutReader::wanted_bytes(std::string_view path, std::size_t number) {
  if (const auto missing = missing_.find(number); missing != missing_.end())
    return max_bytes_of(missing->second);
  const auto kind = kind_of(path);
  return kind ? max_bytes_of(*kind) : 0;
}

void LayerAboutReader::on_file(std::string_view path, std::size_t number, const ReadAt& bytes) {
  if (read_.size() >= limits_.max_nodes || read_.contains(number)) return;
  const auto missing = missing_.find(number);
  const auto kind = missing != missing_.end() ? std::optional(missing->second) : kind_of(path);
  if (!kind) return;
  AboutNode node = read(*kind, bytes);
  spend_budget(node);
  read_.emplace(number, std::move(node));
}

void LayerAboutReader::spend_budget(AboutNode& node) {
  if (lists_ == nullptr || !node.database) return;
  std::vector<catalog::Package>& list = node.database->list;
  if (list.size() <= lists_->packages_left) {
    lists_->packages_left -= list.size();
    return;
  }
  list = {};
  node.database->gap = "its packages are not listed: the image has too many";
}

AboutNode LayerAboutReader::read(FileKind kind, const ReadAt& bytes) const {
  if (kind != FileKind::kRpmSqlite) return read_text(kind, bytes);
  AboutNode node;
  node.database = read_rpm_sqlite(bytes, lists_ != nullptr, stop_);
  return node;
}

AboutNode LayerAboutReader::read_text(FileKind kind, const ReadAt& bytes) const {
  AboutNode node;
  std::string text(static_cast<std::size_t>(bytes.size()), '\0');
  const auto got = bytes.read_at(0, text);
  if (!got) {
    node.gap = escape_untrusted(got.error().text(), 256);
    return node;
  }
  text.resize(*got);
  if (kind == FileKind::kOsRelease) {
    node.distribution = parse_os_release(text);
    if (!node.distribution) node.gap = "it names no distribution";
  } else if (kind == FileKind::kApkInstalled) {
    node.database = parse_apk_installed(text, lists_ != nullptr);
  } else {
    node.database = parse_dpkg_status(text, lists_ != nullptr);
  }
  return node;
}

AboutNode LayerAboutReader::file_node(FileKind kind, const image::Entry& entry,
                                      std::optional<std::size_t> number) {
  AboutNode node;
  const std::uint64_t max_bytes = max_bytes_of(kind);
  if (kind == FileKind::kRpmLog) {
    if (entry.size > 0) node.gap = "its write-ahead log holds changes, which are not read";
  } else if (kind == FileKind::kRpmNdb || kind == FileKind::kRpmBdb) {
    const bool is_ndb = kind == FileKind::kRpmNdb;
    node.database = {"rpm", is_ndb ? "ndb" : "bdb", "", 0, "", {}};
    node.database->gap = is_ndb ? "rpm's own format ndb is not read"
                                : "a Berkeley DB, the format of rpm before 4.16, is not read";
  } else if (entry.size > max_bytes) {
    node.gap = too_large(max_bytes);
  } else if (number && read_.contains(*number)) {
    node = read_.at(*number);
  } else {
    if (number && missing_.size() < limits_.max_nodes) missing_.emplace(*number, kind);
    node.gap = "not read";
  }
  node.kind = AboutNode::Kind::kFile;
  return node;
}

void LayerAboutReader::on_record(std::string_view path, const image::Entry& entry,
                                 const FileDigest*, std::optional<std::size_t> number) {
  const auto kind = kind_of(path);
  if (!kind && !is_one_of(path, kFolders)) return;
  AboutNode node;
  if (entry.type == EntryType::kDirectory) {
    node.kind = AboutNode::Kind::kDirectory;
  } else if (entry.type == EntryType::kSymlink) {
    node.kind = AboutNode::Kind::kLink;
    node.target = entry.link_target.substr(0, kMaxTargetBytes);
  } else if (entry.type == EntryType::kFile && kind) {
    node = file_node(*kind, entry, number);
  } else {
    node.kind = AboutNode::Kind::kOther;
  }
  if (about_.nodes.size() < limits_.max_nodes) {
    about_.nodes.insert_or_assign(std::string(path), std::move(node));
  } else if (!about_.nodes.empty()) {
    about_.nodes.rbegin()->second.gap = "there are too many files beside it";
  }
}

void LayerAboutReader::on_deletions(const image::Deletions* deletions) {
  if (!missing_.empty() &&
      std::ranges::all_of(missing_, [&](const auto& one) { return read_.contains(one.first); }))
    missing_.clear();  // the second reading
  about_.whiteouts.clear();
  about_.opaques.clear();
  if (deletions == nullptr) return;
  for (const std::string& path : deletions->whiteouts)
    if (kind_of(path) || is_one_of(path, kFolders)) about_.whiteouts.push_back(path);
  for (const std::string& path : deletions->opaques)
    if (path.empty() || is_one_of(path, kFolders)) about_.opaques.push_back(path);
}

}  // namespace assay::about
