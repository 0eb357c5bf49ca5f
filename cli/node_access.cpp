// SPDX-License-Identifier: Apache-2.0
// assay node token …, assay node revoke, restore, forget; assay ca show.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/dates.h"
#include "cli/keys.h"

namespace assay::cli {
namespace {

struct TokenOptions {
  std::string nodes;
  std::string expires = "24h";
  std::uint32_t uses = 1;
  bool may_replace = false;
  std::string out;
};

struct NodeOptions {
  std::string node;
  std::string reason;
};

Value to_value(const JoinToken& token) {
  return Object{{"token_id", token.token_id},
                {"nodes", token.cluster + "/" + token.pattern},
                {"state", token.state},
                {"uses", token.uses},
                {"used", token.used},
                {"may_replace", token.may_replace},
                {"created_at", token.created_at},
                {"created_by", token.created_by},
                {"expires_at", token.expires_at},
                {"last_used_at", token.last_used_at},
                {"last_node", token.last_node},
                {"revoked_at", token.revoked_at}};
}

std::vector<Column> token_columns() {
  return {{"ID", "token_id"},
          {"NODES", "nodes"},
          {"STATE", "state"},
          {"USES", "uses"},
          {"USED", "used"},
          {"REPLACES", "may_replace"},
          {"EXPIRES", "expires_at"},
          {"LAST NODE", "last_node"},
          {"CREATED", "created_at", Style::kAge, true},
          {"BY", "created_by", Style::kPlain, true}};
}

/// Makes the token; with `file`, in there. One that could not be written is revoked again.
Result<CreatedJoinToken> make_token(const JoinTokenWish& wish, std::optional<NewFile>& file,
                                    Client& client) {
  ASSAY_ASSIGN(CreatedJoinToken created, client.create_join_token(wish));
  if (!file) return created;
  auto written = file->write(created.text + "\n");
  if (written) return created;
  const std::string& id = created.token.token_id;
  return std::move(written.error())
      .with_context(client.revoke_join_token(id)
                        ? "token " + id + " was made and is revoked again, as it was not written"
                        : "token " + id + " was made (assay node token revoke " + id + ")");
}

Result<Outcome> create_token(const TokenOptions& options, Session& session) {
  ASSAY_ASSIGN(const WallTime until, parse_date(options.expires, "--expires", session.now()));
  ASSAY_ASSIGN(Client * client, session.client());
  JoinTokenWish wish;
  wish.pattern = options.nodes;
  wish.lifetime = std::chrono::duration_cast<std::chrono::seconds>(until - session.now());
  wish.uses = options.uses;
  wish.may_replace = options.may_replace;
  std::optional<NewFile> file;  // before there is a token that has no place
  if (!options.out.empty()) {
    ASSAY_ASSIGN(NewFile made, NewFile::create(options.out, 0600));
    file.emplace(std::move(made));
  }
  ASSAY_ASSIGN(const CreatedJoinToken created, make_token(wish, file, *client));
  Object value = std::get<Object>(to_value(created.token).storage());
  std::vector<Column> columns{{"ID", "token_id"},
                              {"Nodes", "nodes"},
                              {"Uses", "uses"},
                              {"Replaces keys", "may_replace"},
                              {"Expires", "expires_at"}};
  if (options.out.empty()) {
    value.emplace_back("token", created.text);
    columns.push_back({"Token", "token"});
  } else {
    value.emplace_back("file", options.out);
    columns.push_back({"File", "file"});
  }
  return Outcome{.document = {std::move(value), {{.columns = columns, .is_record = true}}},
                 .note =
                     "The token is told once and kept nowhere. Put it into a file with mode "
                     "600 on the node, and name that in enrol.token_file."};
}

Result<Outcome> list_tokens(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<JoinToken> tokens, client->list_join_tokens());
  Array rows;
  for (const JoinToken& token : tokens)
    rows.push_back(to_value(token));
  return Outcome{.document = {Object{{"tokens", std::move(rows)}},
                              {{.path = "tokens", .columns = token_columns()}}},
                 .note = tokens.empty() ? "There are no join tokens." : ""};
}

Result<Outcome> revoke_token(const std::string& id, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const JoinToken token, client->revoke_join_token(id));
  return Outcome{.document = {to_value(token), {{.columns = token_columns(), .is_record = true}}},
                 .note = "Nobody joins with it any more; nodes that did keep their certificates."};
}

Outcome outcome_of(const NodeAccessChange& change, const std::string& note) {
  return Outcome{.document = {Object{{"cluster", change.cluster},
                                     {"node", change.node},
                                     {"had_stream", change.had_stream}},
                              {{.columns = {{"Cluster", "cluster"},
                                            {"Node", "node"},
                                            {"Stream ended", "had_stream"}},
                                .is_record = true}}},
                 .note = note};
}

Result<Outcome> revoke_node(const NodeOptions& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const NodeAccessChange change, client->revoke_node(options.node, options.reason));
  return outcome_of(change, "It is refused until \"assay node restore " + change.cluster + "/" +
                                change.node +
                                "\". Its agent goes on, and keeps events in its outbox.");
}

Result<Outcome> restore_node(const NodeOptions& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const NodeAccessChange change, client->restore_node(options.node));
  return outcome_of(change, "It is let in again, with the key that it had.");
}

Result<Outcome> forget_node(const NodeOptions& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const NodeAccessChange change, client->forget_node(options.node));
  return outcome_of(change,
                    "Its next enrolment may come with another key. Its events and its present "
                    "certificate stay.");
}

Result<Outcome> show_authorities(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Authority> authorities, client->authorities());
  Array rows;
  std::string pem;
  for (const Authority& one : authorities) {
    rows.push_back(
        Object{{"sha256", one.digest}, {"is_issuing", one.is_issuing}, {"pem", one.pem}});
    pem += one.pem;
  }
  return Outcome{
      .document = {Object{{"authorities", std::move(rows)}}, {{.text = std::move(pem)}}}};
}

void add_join_token(CLI::App& node, Invocation& invocation) {
  CLI::App& token = *node.add_subcommand("token", "Tokens by which nodes join (role admin)");
  token.require_subcommand(1);
  token.fallthrough();
  const auto options = std::make_shared<TokenOptions>();
  CLI::App& create =
      add_command(token, "create", "Make a token; it is told once", invocation,
                  [options](Session& session) { return create_token(*options, session); });
  create
      .add_option("--node", options->nodes,
                  "for these nodes only: a name, or a pattern with *; any node of the "
                  "collector's cluster when left out")
      ->option_text("[CLUSTER/]PATTERN");
  create.add_option("--expires", options->expires, "until when it may be used: 24h, 2026-12-31")
      ->option_text("DATE")
      ->capture_default_str();
  create.add_option("--uses", options->uses, "how many nodes may join with it")
      ->capture_default_str();
  create.add_flag("--replace", options->may_replace,
                  "also for nodes that are known by another key");
  create.add_option("--out", options->out, "write it there (mode 600) instead of printing it")
      ->option_text("FILE");
  add_command(token, "list", "List tokens, without their secrets", invocation, list_tokens);
  const auto id = std::make_shared<std::string>();
  add_command(token, "revoke", "Make a token useless", invocation,
              [id](Session& session) { return revoke_token(*id, session); })
      .add_option("ID", *id, "of assay node token list")
      ->required();
}

}  // namespace

void add_node_access(CLI::App& node, Invocation& invocation) {
  add_join_token(node, invocation);
  const auto options = std::make_shared<NodeOptions>();
  const auto add = [&](const char* name, const char* text,
                       Result<Outcome> (*work)(const NodeOptions&, Session&)) -> CLI::App& {
    CLI::App& command =
        add_command(node, name, text, invocation,
                    [options, work](Session& session) { return work(*options, session); });
    command.add_option("NODE", options->node, "[CLUSTER/]NODE")->required();
    return command;
  };
  add("revoke", "Refuse a node from now on, and end its stream", revoke_node)
      .add_option("--reason", options->reason, "why, for the audit log and the node's log");
  add("restore", "Let a revoked node in again", restore_node);
  add("forget", "Let a node enrol with another key", forget_node);
}

void add_ca(CLI::App& app, Invocation& invocation) {
  CLI::App& group = *app.add_subcommand("ca", "The authorities that the collector trusts");
  group.require_subcommand(1);
  group.fallthrough();
  group.group("Containers and nodes");
  add_command(group, "show", "Print them as PEM: a ca.pem for agents and people", invocation,
              show_authorities);
}

}  // namespace assay::cli
