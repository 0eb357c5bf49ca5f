// SPDX-License-Identifier: Apache-2.0
// `assay token …`: tokens of people, pipelines and dashboards.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/dates.h"
#include "cli/records.h"

namespace assay::cli {
namespace {

constexpr std::chrono::hours kUsualLifetime{90 * 24};

struct Options {
  TokenWish wish;
  std::string expires;
  std::string token;
  bool has_dead = false;
};

Object to_object(const Token& token) {
  return {{"token_id", token.token_id},
          {"name", token.name},
          {"role", token.role},
          {"scopes", to_texts(token.scopes)},
          {"state", token.state},
          {"created_at", token.created_at},
          {"created_by", token.created_by},
          {"expires_at", token.expires_at},
          {"last_used_at", token.last_used_at},
          {"revoked_at", token.revoked_at},
          {"revoked_by", token.revoked_by}};
}

/// What to say of an end that nobody asked for and that comes early.
std::string early_text(const Options& options, const Token& token) {
  if (!options.expires.empty() || !token.created_at || !token.expires_at ||
      *token.expires_at - *token.created_at >= kUsualLifetime)
    return "";
  return "That is sooner than the usual 90 days: it ends with the token that made it, or when "
         "tokens.max_lifetime of the collector is over. ";
}

Result<Outcome> create(Options options, Session& session) {
  if (!options.expires.empty()) {
    ASSAY_ASSIGN(options.wish.expires_at, parse_date(options.expires, "--expires", session.now()));
  }
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const CreatedToken created, client->create_token(options.wish));
  Object object = to_object(created.token);
  object.emplace_back("token", created.secret);
  const std::string until =
      created.token.expires_at ? to_rfc3339(*created.token.expires_at, 0) : "";
  return Outcome{.document = {std::move(object), {{.text = created.secret + "\n"}}},
                 .note = "Token " + created.token.token_id + " (" + created.token.name + ", role " +
                         created.token.role + ") is valid until " + until + ". " +
                         early_text(options, created.token) + "It is shown this once."};
}

Result<Outcome> list(const Options& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Token> tokens, client->list_tokens(options.has_dead));
  Array rows;
  for (const Token& token : tokens)
    rows.push_back(to_object(token));
  std::vector<Column> columns{{"ID", "token_id"},
                              {"NAME", "name"},
                              {"ROLE", "role"},
                              {"SCOPES", "scopes"},
                              {"STATE", "state"},
                              {"AGE", "created_at", Style::kAge},
                              {"EXPIRES", "expires_at"},
                              {"LAST USED", "last_used_at", Style::kAge},
                              {"CREATED BY", "created_by", Style::kPlain, true},
                              {"REVOKED", "revoked_at", Style::kPlain, true},
                              {"REVOKED BY", "revoked_by", Style::kPlain, true}};
  return Outcome{.document = {Object{{"tokens", std::move(rows)}},
                              {{.path = "tokens", .columns = std::move(columns)}}},
                 .note = tokens.empty() ? "No tokens." : ""};
}

Result<Outcome> revoke(const Options& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const Token token, client->revoke_token(options.token));
  return Outcome{.document = {to_object(token),
                              {{.columns = {{"Token", "token_id"},
                                            {"Name", "name"},
                                            {"State", "state"},
                                            {"Revoked", "revoked_at"},
                                            {"By", "revoked_by"}},
                                .is_record = true}}}};
}

}  // namespace

void add_token(CLI::App& app, Invocation& invocation) {
  CLI::App& group = *app.add_subcommand("token", "Make, list and revoke tokens");
  group.require_subcommand(1);
  group.fallthrough();
  group.group("You and others");
  // Shared by the parser, which fills it, and the commands, which run after.
  const auto options = std::make_shared<Options>();
  CLI::App& make = add_command(group, "create", "Make a token and print it, once", invocation,
                               [options](Session& session) { return create(*options, session); });
  make.add_option("NAME", options->wish.name, "who or what will use it")->required();
  make.add_option("--role", options->wish.role, "viewer, approver or admin")
      ->required()
      ->option_text("ROLE");
  make.add_option("--scope", options->wish.scopes,
                  "narrow it to this (repeat it): runs:read, findings:read, nodes:read, "
                  "catalog:read, catalog:submit, scans:read, scans:import, triage:write, "
                  "nodes:command, nodes:admit, tokens:manage, audit:read")
      ->option_text("SCOPE")
      ->allow_extra_args(false);
  make.add_option("--expires", options->expires,
                  "when it ends (default: in 90d, or with the token that makes it)")
      ->option_text("DATE");
  CLI::App& show =
      add_command(group, "list", "List tokens, never the tokens themselves", invocation,
                  [options](Session& session) { return list(*options, session); });
  show.add_flag("-a,--all", options->has_dead, "revoked and expired ones, too");
  CLI::App& end = add_command(group, "revoke", "End a token now", invocation,
                              [options](Session& session) { return revoke(*options, session); });
  end.add_option("TOKEN", options->token, "its id or its name, never the token itself")->required();
}

}  // namespace assay::cli
