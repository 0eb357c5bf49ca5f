// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/base_change.h"
#include "cli/commands.h"
#include "cli/dates.h"

namespace assay::cli {
namespace {

struct Options {
  ChangeOptions change;
  std::string until;
  std::string successor;
};

Result<Outcome> deprecate(const Options& options, Session& session) {
  ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(options.change.name));
  ASSAY_ASSIGN(const WallTime until, parse_date(options.until, "--until", session.now()));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const catalog::Base* base, find_base(trusted.verified.catalog, id));
  catalog::Statement statement =
      new_statement(trusted, options.change, base->id, catalog::Action::kDeprecate, session.now());
  statement.deprecated_until = until;
  if (!options.successor.empty()) {
    ASSAY_ASSIGN(const catalog::BaseId successor, catalog::BaseId::parse(options.successor));
    ASSAY_ASSIGN(const catalog::Base* next, find_base(trusted.verified.catalog, successor));
    statement.successor = next->id.text();
  }
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session));
  change.value.emplace_back("deprecated_until", until);
  change.value.emplace_back("successor", statement.successor);
  return Outcome{.document = {std::move(change.value),
                              {{.columns = {{"Base", "base"},
                                            {"Deprecated until", "deprecated_until"},
                                            {"Successor", "successor"},
                                            {"Reason", "reason"},
                                            {"Catalog sequence", "sequence"},
                                            {"Signed by", "key_id"},
                                            {"Dry run", "is_dry_run"}},
                                .is_record = true}}},
                 .note = note_of(options.change, change, base->id.text() + " is deprecated.")};
}

}  // namespace

void add_base_deprecate(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(base, "deprecate", "Sign a base as deprecated until a date", invocation,
                  [options](Session& session) { return deprecate(*options, session); });
  add_change_options(command, options->change);
  command.add_option("--until", options->until, "from when on it is expired: 2026-12-31, or 90d")
      ->required()
      ->option_text("DATE");
  command.add_option("--successor", options->successor, "the base to move to")
      ->option_text("NAME[:VERSION]");
}

}  // namespace assay::cli
