// SPDX-License-Identifier: Apache-2.0
// `assay log`: who changed the catalog, when, what, why, and with which key.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "cli/signer_names.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

struct Options {
  std::string base;
  std::uint64_t limit = 0;
};

std::string subject_of(const catalog::Statement& statement) {
  return statement.action == catalog::Action::kSetPolicy ? "policy" : statement.base.text();
}

Object to_value(const catalog::Statement& statement, const std::vector<std::string>& signers,
                const catalog::TrustRoot& trust) {
  return {{"sequence", statement.sequence},
          {"issued_at", statement.issued_at},
          {"action", catalog::to_string(statement.action)},
          {"subject", subject_of(statement)},
          {"reason", statement.reason},
          {"signed_by", signer_text(signers, trust)},
          {"signatures", signer_values(signers, trust)},
          {"expires_at", statement.expires_at},
          {"deprecated_until", statement.deprecated_until},
          {"successor", statement.successor}};
}

bool is_wanted(const catalog::Statement& statement, const std::optional<catalog::BaseId>& base) {
  if (!base) return true;
  return statement.action != catalog::Action::kSetPolicy && statement.base.name == base->name &&
         (base->version.empty() || statement.base.version == base->version);
}

Result<Outcome> show(const Options& options, Session& session) {
  std::optional<catalog::BaseId> base;
  if (!options.base.empty()) {
    ASSAY_ASSIGN(base, catalog::BaseId::parse(options.base));
  }
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  const catalog::VerifiedLog& verified = trusted.verified;
  Array entries;
  for (std::size_t i = verified.history.size(); i-- > 0;) {  // newest first, as people ask
    if (!is_wanted(verified.history[i], base)) continue;
    if (options.limit != 0 && entries.size() >= options.limit) break;
    entries.push_back(to_value(verified.history[i], verified.signers[i], verified.trust));
  }
  const bool is_empty = entries.empty();
  return Outcome{
      .document = {Object{{"catalog_id", verified.catalog.id()},
                          {"catalog_sequence", verified.catalog.sequence()},
                          {"root_version", verified.trust.version},
                          {"head_expires_at", is_empty ? Value() : Value(verified.head.expires_at)},
                          {"entries", std::move(entries)}},
                   {{.path = "entries",
                     .columns = {{"SEQUENCE", "sequence"},
                                 {"TIME", "issued_at"},
                                 {"ACTION", "action"},
                                 {"OF", "subject"},
                                 {"SIGNED BY", "signed_by"},
                                 {"REASON", "reason"},
                                 {"SUCCESSOR", "successor", Style::kPlain, true},
                                 {"EXPIRES", "expires_at", Style::kPlain, true},
                                 {"UNTIL", "deprecated_until", Style::kPlain, true}}}}},
      .note = is_empty ? "There is no such entry." : ""};
}

}  // namespace

void add_log(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  const auto command = [options](Session& session) { return show(*options, session); };
  CLI::App& log = add_command(app, "log", "Show, verify and renew the signed log of the catalog",
                              invocation, command);
  log.group("Catalog of bases")->require_subcommand(0, 1);
  log.add_option("--base", options->base, "entries of one base only")
      ->option_text("NAME[:VERSION]");
  log.add_option("--limit", options->limit, "at most so many, the newest")->option_text("N");
  CLI::App* self = &log;
  log.final_callback([self, &invocation, command] {
    if (self->get_subcommands().empty()) invocation.command = command;
  });
  add_log_verify(log, invocation);
  add_log_changes(log, invocation);
}

}  // namespace assay::cli
