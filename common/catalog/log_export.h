// SPDX-License-Identifier: Apache-2.0
// The signed log and the file sets of its bases as one file, for machines without a collector
// (docs/formats/catalog.md, "Export").
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/catalog.h"
#include "common/catalog/file_set.h"
#include "common/catalog/file_set_index.h"
#include "common/catalog/log.h"

namespace assay::catalog {

inline constexpr std::size_t kMaxExportBytes = std::size_t{2} << 30;

/// Nothing in it is trusted before verify_log() took `log`; a file set is known by its digest.
struct LogExport {
  SignedLog log;
  std::map<FileSetDigest, FileSet> file_sets;
};

std::string encode_export(const LogExport& exported);
/// Errors: kCorrupt (not our JSON, a file set that is none), kUnsupported (a later version),
/// kLimitExceeded.
Result<LogExport> decode_export(std::string_view bytes);

/// The index over those sets that stacks of `catalog` name; the others are left out.
FileSetIndex index_of(const Catalog& catalog, const std::map<FileSetDigest, FileSet>& file_sets);

}  // namespace assay::catalog
