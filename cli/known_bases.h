// SPDX-License-Identifier: Apache-2.0
// The bases that an image is compared with on this machine: of the catalog, or straight from
// images.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "common/catalog/catalog.h"
#include "common/catalog/file_set_index.h"

namespace CLI {  // NOLINT: not our name
class App;
}

namespace assay::cli {

struct BaseFlags {
  std::vector<std::string> bases;  ///< "NAME:VERSION=SOURCE"
  std::string catalog_file;        ///< exported
  bool are_wanted() const { return !bases.empty() || !catalog_file.empty(); }
};

/// --base and --catalog. `flags` must live as long as `command`.
void add_base_flags(CLI::App& command, BaseFlags& flags);

struct KnownBases {
  catalog::Catalog catalog;
  catalog::FileSetIndex index;              ///< of the bases whose file sets are at hand
  std::optional<WallTime> expires_at = {};  ///< of the catalog's head; none straight from images
  /// Of the bases; none where no collector was asked: then rules on scans are not judged.
  std::optional<catalog::ScanSummaries> scans = {};
};

/// The images of --base, each as approved; else the catalog of --catalog, else the collector's,
/// verified against the trust file. `platform`: of indexes among the images.
/// Errors: kInvalidArgument (no NAME:VERSION=SOURCE, one base twice, no trust file), kUntrusted,
/// read_image()'s, decode_export()'s, fetch_trusted_log()'s.
Result<KnownBases> known_bases(const BaseFlags& flags, const std::string& platform,
                               Session& session);

}  // namespace assay::cli
