// SPDX-License-Identifier: Apache-2.0
// The catalog with its file sets as a file that is carried to machines without a collector.
#pragma once

#include <map>
#include <string>

#include "cli/session.h"
#include "cli/trusted_log.h"
#include "common/catalog/file_set.h"
#include "common/catalog/log.h"

namespace assay::cli {

struct CatalogFile {
  catalog::VerifiedLog verified;
  std::map<FileSetDigest, catalog::FileSet> file_sets;
};

/// Reads and verifies an exported catalog; warns of an expired head. Refuses one that is older
/// than, or no continuation of, what this machine has seen of the catalog. Errors: kInvalidArgument
/// (no trust file), kNotFound, decode_export()'s, verify_log()'s.
Result<CatalogFile> read_catalog_file(const std::string& path, Session& session);

/// The file sets that stacks of `catalog` name, as far as the collector has them; warns of those
/// that it lacks. Errors: those of Client.
Result<std::map<FileSetDigest, catalog::FileSet>> fetch_file_sets(const catalog::Catalog& catalog,
                                                                  Session& session);

}  // namespace assay::cli
