// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "cli/base_change.h"
#include "cli/base_impact.h"
#include "cli/commands.h"
#include "cli/records.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

constexpr std::chrono::milliseconds kPollInterval{100};

struct Options {
  ChangeOptions change;
  std::string successor;
  std::uint32_t wait_s = 10;
};

/// Shows who is hit before anything happens, and asks.
Result<bool> is_agreed(const Options& options, const Impact& impact, Session& session) {
  if (options.change.is_confirmed || options.change.is_dry_run) return true;
  const Document shown{Object{{"impact", to_value(impact)}}, impact_sections("impact")};
  session.terminal().note(to_table(shown, {.now = session.now()}));
  session.terminal().note(impact_text(impact) + " and will be findings.");
  return session.terminal().confirm("Revoke " + impact.base + "?");
}

bool has_arrived(const Impact& impact, std::uint64_t sequence) {
  return impact.catalog_sequence >= sequence &&
         impact.agents_on_sequence >= impact.agents_connected;
}

/// Until every connected agent holds `sequence`, or the time is up.
Result<bool> wait_for_agents(const Options& options, const catalog::BaseId& base,
                             std::uint64_t sequence, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.wait_s);
  for (;;) {
    ASSAY_ASSIGN(const Impact impact, client->get_impact(base));
    if (has_arrived(impact, sequence)) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    session.terminal().progress(std::to_string(impact.agents_on_sequence) + " of " +
                                std::to_string(impact.agents_connected) + " agents hold it");
    std::this_thread::sleep_for(kPollInterval);
  }
}

/// Who holds the new head and who does not yet.
struct Delivery {
  Array agents;
  std::size_t connected = 0;
  std::size_t holding = 0;  ///< of the connected ones
  std::size_t away = 0;
};

Result<Delivery> delivery_of(std::uint64_t sequence, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Node> nodes, client->list_nodes());
  Delivery delivery;
  for (const Node& node : nodes) {
    const bool holds_it = node.catalog_sequence >= sequence;
    delivery.connected += node.is_connected ? 1 : 0;
    delivery.holding += node.is_connected && holds_it ? 1 : 0;
    delivery.away += node.is_connected ? 0 : 1;
    delivery.agents.push_back(Object{{"cluster", node.cluster},
                                     {"node", node.node},
                                     {"state", node.is_connected ? "connected" : "away"},
                                     {"catalog_sequence", node.catalog_sequence},
                                     {"holds_it", holds_it}});
  }
  return delivery;
}

std::string delivery_text(const Delivery& delivery) {
  std::string text = std::to_string(delivery.holding) + " of " +
                     std::to_string(delivery.connected) + " connected agents have it";
  if (delivery.away > 0)
    text += "; " + std::to_string(delivery.away) + " away get it when they connect";
  return text + ".";
}

std::vector<Section> sections() {
  std::vector<Section> shown{{.columns = {{"Base", "base"},
                                          {"Reason", "reason"},
                                          {"Successor", "successor"},
                                          {"Running on it", "impact.running"},
                                          {"Nodes", "impact.nodes"},
                                          {"Catalog sequence", "sequence"},
                                          {"Signed by", "key_id"},
                                          {"Dry run", "is_dry_run"}},
                              .is_record = true}};
  for (Section& section : impact_sections("impact"))
    shown.push_back(std::move(section));
  shown.push_back({.title = "Agents",
                   .path = "agents",
                   .columns = {{"NODE", "node"},
                               {"STATE", "state"},
                               {"CATALOG", "catalog_sequence"},
                               {"HOLDS IT", "holds_it"}}});
  return shown;
}

Result<std::string> report_delivery(const Options& options, const catalog::BaseId& base,
                                    Change& change, Session& session) {
  auto waited = wait_for_agents(options, base, change.sequence, session);
  session.terminal().end_progress();
  // The revocation stands: that nobody can be asked about it now is no failure of it.
  if (!waited)
    return base.text() + " is revoked; who has it could not be asked: " + waited.error().text();
  auto delivery = delivery_of(change.sequence, session);
  if (!delivery)
    return base.text() + " is revoked; who has it could not be asked: " + delivery.error().text();
  change.value.emplace_back("is_held_by_all_connected", *waited);
  change.value.emplace_back("agents", std::move(delivery->agents));
  return base.text() + " is revoked; " + delivery_text(*delivery);
}

Result<catalog::Statement> statement_of(const TrustedLog& trusted, const Options& options,
                                        const catalog::BaseId& id, WallTime now) {
  catalog::Statement statement =
      new_statement(trusted, options.change, id, catalog::Action::kRevoke, now);
  if (!options.successor.empty()) {
    ASSAY_ASSIGN(const catalog::BaseId successor, catalog::BaseId::parse(options.successor));
    ASSAY_ASSIGN(const catalog::Base* next, find_base(trusted.verified.catalog, successor));
    statement.successor = next->id.text();
  }
  return statement;
}

Result<Outcome> revoke(const Options& options, Session& session) {
  if (options.change.reason.empty())
    return Error{ErrorCode::kInvalidArgument, "--reason must say why the base is revoked"};
  ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(options.change.name));
  ASSAY_TRY(signing_key(options.change, session));  // before anyone is asked anything
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const catalog::Base* base, find_base(trusted.verified.catalog, id));
  if (base->status == catalog::BaseStatus::kRevoked)
    return Error{ErrorCode::kAlreadyExists, base->id.text() + " was revoked on " +
                                                to_rfc3339(base->changed_at, 0) + ": " +
                                                base->reason};
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const Impact impact, client->get_impact(base->id));
  ASSAY_ASSIGN(const bool go_on, is_agreed(options, impact, session));
  if (!go_on) return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was changed."};
  ASSAY_ASSIGN(const catalog::Statement statement,
               statement_of(trusted, options, base->id, session.now()));
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session));
  change.value.emplace_back("successor", statement.successor);
  change.value.emplace_back("impact", to_value(impact));
  std::string note =
      "Dry run: nothing was changed.\n" + impact_text(impact) + " and will be findings.";
  if (!options.change.is_dry_run && !options.change.change_file.empty())
    note = note_of(options.change, change, "");
  else if (!options.change.is_dry_run) {
    ASSAY_ASSIGN(note, report_delivery(options, base->id, change, session));
  }
  return Outcome{.document = {std::move(change.value), sections()}, .note = std::move(note)};
}

}  // namespace

void add_base_revoke(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(base, "revoke", "Sign a base as revoked; shows first who stands on it",
                  invocation, [options](Session& session) { return revoke(*options, session); });
  add_change_options(command, options->change);
  command.add_option("--successor", options->successor, "the base to move to")
      ->option_text("NAME[:VERSION]");
  command
      .add_option("--wait", options->wait_s,
                  "seconds to wait until every connected agent has it (default: 10)")
      ->option_text("SECONDS");
}

}  // namespace assay::cli
