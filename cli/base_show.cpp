// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/about_view.h"
#include "cli/commands.h"
#include "cli/records.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

Value to_value(const catalog::Statement& statement) {
  return Object{{"sequence", statement.sequence},
                {"issued_at", statement.issued_at},
                {"action", catalog::to_string(statement.action)},
                {"reason", statement.reason}};
}

/// Annotations that are shown nowhere else.
Object notes_of(const catalog::Base& base, const catalog::About& about) {
  const auto claims = annotations_of(about);
  Object notes;
  for (const auto& [name, text] : base.annotations)
    if (!claims.contains(name) && name != catalog::kContactAnnotation &&
        name != catalog::kNoteAnnotation)
      notes.emplace_back(name, text);
  return notes;
}

/// `value` is an object: the base as JSON shows it.
Value with_history(const Value& value, const TrustedLog& trusted, const catalog::BaseId& id) {
  Array history;
  for (const auto& statement : trusted.verified.history)
    if (statement.base == id) history.push_back(to_value(statement));
  Object object = std::get<Object>(value.storage());
  object.emplace_back("history", std::move(history));
  return object;
}

std::vector<Section> sections(std::size_t stacks, const catalog::About& about) {
  std::vector<Section> shown{{.columns = {{"Base", "base"},
                                          {"Status", "status", Style::kVerdict},
                                          {"Reason", "reason"},
                                          {"Changed", "changed_at"},
                                          {"Signed by", "changed_by"},
                                          {"Deprecated until", "deprecated_until"},
                                          {"Expires", "expires_at"},
                                          {"Successor", "successor"},
                                          {"Contact", "contact"},
                                          {"Note", "note"},
                                          {"Approved", "approved_at"},
                                          {"Built", "built_at"},
                                          {"Notes", "notes"}},
                              .is_record = true}};
  add_about_sections(shown, about);
  for (std::size_t i = 0; i < stacks; ++i)
    shown.push_back({.title = "Layers, bottom first",
                     .path = "stacks." + std::to_string(i) + ".layers",
                     .columns = {{"DIFF ID", "diff_id", Style::kDigest},
                                 {"SHAPE", "shape", Style::kDigest},
                                 {"CONTENT", "content", Style::kDigest},
                                 {"DELETIONS", "deletions", Style::kDigest},
                                 {"ENTRIES", "entries"},
                                 {"BYTES", "content_bytes"}}});
  shown.push_back({.title = "History",
                   .path = "history",
                   .columns = {{"SEQUENCE", "sequence"},
                               {"TIME", "issued_at"},
                               {"ACTION", "action"},
                               {"REASON", "reason"}}});
  return shown;
}

Result<Outcome> show(const std::string& name, Session& session) {
  ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(name));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const catalog::Base* base, find_base(trusted.verified.catalog, id));
  const catalog::About about = about_from(base->annotations);
  Value value = with_history(cli::to_value(*base, trusted.verified.catalog.policy(), session.now()),
                             trusted, base->id);
  Object object = std::get<Object>(value.storage());
  object.emplace_back("notes", notes_of(*base, about));
  return Outcome{{std::move(object), sections(base->stacks.size(), about)}};
}

}  // namespace

void add_base_show(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto name = std::make_shared<std::string>();
  CLI::App& command =
      add_command(base, "show", "Print one base with its layers and history", invocation,
                  [name](Session& session) { return show(*name, session); });
  command.add_option("NAME", *name, "NAME, or NAME:VERSION where there are several")->required();
}

}  // namespace assay::cli
