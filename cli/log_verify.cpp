// SPDX-License-Identifier: Apache-2.0
// `assay log verify`: the whole log against the pinned keys, and what exactly was checked.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/catalog_file.h"
#include "cli/commands.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

struct Check {
  std::string what;
  bool is_good = true;
  std::string detail;
};

Check head_check(const catalog::VerifiedLog& verified, WallTime now) {
  if (verified.head.sequence == 0) return {"head", true, "the log is empty"};
  const bool is_stale = catalog::is_stale(verified.head, now);
  return {"freshness", !is_stale,
          (is_stale ? "the head expired on " : "the head holds until ") +
              to_rfc3339(verified.head.expires_at, 0)};
}

/// The mark is asked for where the root names keys for it; an export is not fresh by nature.
Check mark_check(const catalog::SignedLog& log, const catalog::VerifiedLog& verified,
                 bool is_export, WallTime now) {
  if (verified.trust.mark_keys.empty()) return {"mark", true, "the root asks for none"};
  if (is_export) return {"mark", true, "not asked of an export"};
  if (log.mark.empty()) return {"mark", false, "the collector gives none"};
  const auto mark = catalog::verify_mark(log.mark, verified.trust);
  if (!mark) return {"mark", false, mark.error().text()};
  if (mark->last != verified.head.last || mark->catalog_id != verified.head.catalog_id)
    return {"mark", false, "it is of another end of the log"};
  return {
      "mark", mark->expires_at > now,
      (mark->expires_at > now ? "holds until " : "was over on ") + to_rfc3339(mark->expires_at, 0)};
}

std::vector<Check> checks_of(const catalog::SignedLog& log, const catalog::VerifiedLog& verified,
                             bool is_export, WallTime now) {
  const std::string entries = std::to_string(verified.history.size());
  const std::string root = verified.trust.version == 0
                               ? "a list of keys in the trust file"
                               : "version " + std::to_string(verified.trust.version);
  return {
      {"root", true, root},
      {"signatures", true,
       entries + " entries and the head, " + std::to_string(verified.trust.threshold) + " of " +
           std::to_string(verified.trust.keys.size()) + " keys now"},
      {"chain", true, entries + " entries, each names the one before it"},
      {"life of bases", true,
       std::to_string(verified.catalog.bases().size()) + " bases, every change was allowed"},
      {"head", true, "names entry " + std::to_string(verified.head.sequence) + ", the last one"},
      {"seen before", true, "continues what this machine has seen of the catalog"},
      head_check(verified, now),
      mark_check(log, verified, is_export, now)};
}

Outcome report(const catalog::SignedLog& log, const catalog::VerifiedLog& verified, bool is_export,
               WallTime now) {
  Array checks;
  bool is_good = true;
  for (const Check& check : checks_of(log, verified, is_export, now)) {
    is_good = is_good && check.is_good;
    checks.push_back(Object{{"check", check.what},
                            {"is_good", check.is_good},
                            {"result", check.is_good ? "good" : "NOT GOOD"},
                            {"detail", check.detail}});
  }
  return Outcome{
      .document = {Object{{"is_good", is_good},
                          {"catalog_id", verified.catalog.id()},
                          {"catalog_sequence", verified.catalog.sequence()},
                          {"head", verified.head.last},
                          {"root_version", verified.trust.version},
                          {"checks", std::move(checks)}},
                   {{.columns = {{"Catalog", "catalog_id"},
                                 {"Catalog sequence", "catalog_sequence"},
                                 {"Root version", "root_version"}},
                     .is_record = true},
                    {.path = "checks",
                     .columns = {{"CHECK", "check"}, {"RESULT", "result"}, {"DETAIL", "detail"}}}}},
      .exit_code = is_good ? ExitCode::kOk : ExitCode::kNegative,
      .note = is_good ? "The log is good." : "The log is genuine, but it is not fresh."};
}

Result<Outcome> verify(const std::string& file, Session& session) {
  if (file.empty()) {
    ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
    return report(trusted.log, trusted.verified, false, session.now());
  }
  ASSAY_ASSIGN(const CatalogFile exported, read_catalog_file(file, session));
  return report({}, exported.verified, true, session.now());
}

}  // namespace

void add_log_verify(CLI::App& log, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto file = std::make_shared<std::string>();
  CLI::App& command =
      add_command(log, "verify", "Verify the log from its first byte to its head", invocation,
                  [file](Session& session) { return verify(*file, session); });
  command.add_option("--file", *file, "an exported catalog, not the collector's log")
      ->option_text("FILE");
  command.footer(
      "Ends with 0 when all is good, with 1 when it is genuine but not fresh, with 4 when it is "
      "refused.");
}

}  // namespace assay::cli
