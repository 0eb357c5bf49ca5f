// SPDX-License-Identifier: Apache-2.0
#include "cli/catalog_file.h"

#include <set>

#include "cli/head_store.h"
#include "common/base/file.h"
#include "common/catalog/log_export.h"

namespace assay::cli {

Result<CatalogFile> read_catalog_file(const std::string& path, Session& session) {
  ASSAY_ASSIGN(const catalog::TrustRoot trust, load_trust(session));
  ASSAY_ASSIGN(const std::string bytes, read_file(path, catalog::kMaxExportBytes));
  auto exported = catalog::decode_export(bytes);
  if (!exported) return std::move(exported.error()).with_context(path);
  auto verified = catalog::verify_log(exported->log, trust);
  if (!verified) return std::move(verified.error()).with_context(path + " is refused");
  if (const auto store = HeadStore::open_default()) {
    auto follows = store->check_file(exported->log, verified->head);
    if (!follows) return std::move(follows.error()).with_context(path);
    if (auto kept = store->remember_file(exported->log, verified->head); !kept)
      session.terminal().note("warning: cannot remember the catalog's head: " +
                              kept.error().text());
  }
  warn_if_stale(*verified, session);
  return CatalogFile{std::move(*verified), std::move(exported->file_sets)};
}

Result<std::map<FileSetDigest, catalog::FileSet>> fetch_file_sets(const catalog::Catalog& catalog,
                                                                  Session& session) {
  std::set<FileSetDigest> wanted;
  for (const auto& [id, base] : catalog.bases())
    for (const catalog::BaseStack& stack : base.stacks)
      if (stack.file_set) wanted.insert(stack.file_set->digest);
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(auto sets, client->get_file_sets({wanted.begin(), wanted.end()}));
  std::size_t missing = 0;
  for (const FileSetDigest& digest : wanted)
    missing += sets.contains(digest) ? 0 : 1;
  if (missing != 0)
    session.terminal().note("warning: the collector lacks " + std::to_string(missing) + " of " +
                            std::to_string(wanted.size()) +
                            " file sets: flattened images of those bases are not found");
  return sets;
}

}  // namespace assay::cli
