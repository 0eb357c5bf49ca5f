// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/catalog_file.h"
#include "cli/commands.h"
#include "cli/trusted_log.h"
#include "common/base/file.h"
#include "common/catalog/log_export.h"

namespace assay::cli {
namespace {

constexpr mode_t kFileMode = 0644;  // nothing in it is secret

Result<Outcome> write_export(const std::string& path, Session& session) {
  ASSAY_ASSIGN(TrustedLog trusted, fetch_trusted_log(session));
  catalog::LogExport exported;
  ASSAY_ASSIGN(exported.file_sets, fetch_file_sets(trusted.verified.catalog, session));
  exported.log = std::move(trusted.log);
  const std::string bytes = catalog::encode_export(exported);
  ASSAY_TRY(write_file_atomically(path, bytes, kFileMode));
  return Outcome{
      .document = {Object{{"file", path},
                          {"bytes", std::uint64_t{bytes.size()}},
                          {"catalog_id", trusted.verified.catalog.id()},
                          {"catalog_sequence", trusted.verified.catalog.sequence()},
                          {"bases", std::uint64_t{trusted.verified.catalog.bases().size()}},
                          {"file_sets", std::uint64_t{exported.file_sets.size()}},
                          {"expires_at", trusted.verified.head.expires_at}},
                   {{.columns = {{"File", "file"},
                                 {"Size", "bytes", Style::kBytes},
                                 {"Catalog sequence", "catalog_sequence"},
                                 {"Bases", "bases"},
                                 {"File sets", "file_sets"},
                                 {"Head expires", "expires_at"}},
                     .is_record = true}}}};
}

}  // namespace

void add_base_export(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto path = std::make_shared<std::string>();
  CLI::App& command = add_command(
      base, "export", "Write the signed catalog to a file, for assay check without a collector",
      invocation, [path](Session& session) { return write_export(*path, session); });
  command.add_option("FILE", *path, "where to; replaced when it is there")->required();
}

}  // namespace assay::cli
