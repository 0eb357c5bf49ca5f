// SPDX-License-Identifier: Apache-2.0
// `assay log sign`, `submit` and `renew`: changes that several people sign, and new heads.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/base_change.h"
#include "cli/commands.h"
#include "cli/signer_names.h"
#include "cli/trusted_log.h"
#include "common/base/file.h"
#include "common/catalog/change_file.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

struct Options {
  ChangeOptions change;
  std::string file;
};

struct Pending {
  TrustedLog trusted;
  catalog::ChangeFile file;
  PreparedChange prepared;
};

Result<catalog::ChangeFile> read_change(const std::string& path) {
  ASSAY_ASSIGN(const std::string text, read_file(path, catalog::kMaxChangeFileBytes));
  auto file = catalog::ChangeFile::from_json(text);
  if (!file) return std::move(file.error()).with_context(path);
  return file;
}

/// The change as it is in the file, checked against the log as it is now.
Result<Pending> read_pending(const std::string& path, Session& session) {
  ASSAY_ASSIGN(catalog::ChangeFile file, read_change(path));
  ASSAY_ASSIGN(TrustedLog trusted, fetch_trusted_log(session));
  auto prepared = check_change(trusted, file.change);
  if (!prepared)
    return std::move(prepared.error())
        .with_context(path +
                      " does not fit the catalog as it is now; if that has changed since, "
                      "the change must be made anew");
  return Pending{std::move(trusted), std::move(file), std::move(*prepared)};
}

std::vector<Section> sections() {
  return {{.columns = {{"Action", "action"},
                       {"Of", "subject"},
                       {"Reason", "reason"},
                       {"Catalog sequence", "sequence"},
                       {"Root version", "root_version"},
                       {"Head expires", "head_expires_at"},
                       {"Signed by", "signed_by"},
                       {"Signatures", "signatures"},
                       {"Needed", "signatures_needed"}},
           .is_record = true}};
}

Result<Object> to_value(const PreparedChange& prepared) {
  const catalog::VerifiedLog& verified = prepared.verified;
  const bool has_statement = !prepared.change.statement.empty();
  Object object{{"action", "renew-head"}, {"subject", Value()}, {"reason", Value()}};
  if (has_statement) {
    const catalog::Statement& statement = verified.history.back();
    object = {{"action", catalog::to_string(statement.action)},
              {"subject", statement.policy ? "policy" : statement.base.text()},
              {"reason", statement.reason}};
  }
  ASSAY_ASSIGN(const auto envelope,
               catalog::Envelope::from_json(has_statement ? prepared.change.statement
                                                          : prepared.change.head));
  const auto signers = catalog::verified_by(envelope, verified.trust.keys);
  object.emplace_back("sequence", verified.head.sequence);
  object.emplace_back("root_version", verified.trust.version);
  object.emplace_back("head_expires_at", verified.head.expires_at);
  object.emplace_back("signed_by", signer_text(signers, verified.trust));
  object.emplace_back("signatures", std::uint64_t{prepared.signatures});
  object.emplace_back("signatures_needed", std::uint64_t{prepared.needed});
  return object;
}

Result<Outcome> sign(const Options& options, Session& session) {
  ASSAY_ASSIGN(Pending pending, read_pending(options.file, session));
  ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options.change, session));
  ASSAY_TRY(expect_trusted_key(pending.prepared.verified.trust, key));
  ASSAY_ASSIGN(Object shown, to_value(pending.prepared));
  if (!options.change.is_confirmed) {
    session.terminal().note(to_table({Value(shown), sections()}, {.now = session.now()}));
    ASSAY_ASSIGN(const bool is_agreed, session.terminal().confirm("Sign this?"));
    if (!is_agreed) return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was signed."};
  }
  catalog::ChangeFile signed_file = pending.file;
  for (std::string* envelope : {&signed_file.change.statement, &signed_file.change.head}) {
    if (envelope->empty()) continue;
    ASSAY_ASSIGN(*envelope, catalog::add_signature(*envelope, key));
  }
  ASSAY_ASSIGN(const PreparedChange checked, check_change(pending.trusted, signed_file.change));
  ASSAY_TRY(write_file_atomically(options.file, signed_file.to_json(), 0644));
  ASSAY_ASSIGN(Object value, to_value(checked));
  return Outcome{.document = {std::move(value), sections()},
                 .note = checked.is_complete()
                             ? "It has all signatures: assay log submit " + options.file
                             : "It needs more signatures: pass " + options.file + " on."};
}

Result<Outcome> submit(const Options& options, Session& session) {
  ASSAY_ASSIGN(const Pending pending, read_pending(options.file, session));
  const PreparedChange& prepared = pending.prepared;
  if (!prepared.is_complete())
    return Error{ErrorCode::kUntrusted,
                 options.file + " has " + std::to_string(prepared.signatures) + " of " +
                     std::to_string(prepared.needed) +
                     " signatures: others add theirs with assay log sign " + options.file};
  ASSAY_ASSIGN(const Submitted submitted, submit_change(prepared, pending.file.file_sets, session));
  ASSAY_ASSIGN(Object value, to_value(prepared));
  value.emplace_back("agents_connected", submitted.agents_connected);
  return Outcome{.document = {std::move(value), sections()}, .note = "The change is made."};
}

Result<Outcome> renew(const Options& options, Session& session) {
  ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options.change, session));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  if (trusted.log.statements.empty())
    return Error{ErrorCode::kInvalidArgument, "the catalog is empty: it has no head to renew"};
  ASSAY_TRY(expect_trusted_key(trusted.verified.trust, key));
  ASSAY_ASSIGN(const catalog::SignedChange change,
               catalog::sign_new_head(trusted.verified.head, session.now(), {key}));
  return apply_head(trusted, change, options.change, session);
}

}  // namespace

Result<Outcome> apply_head(const TrustedLog& trusted, const catalog::SignedChange& change,
                           const ChangeOptions& options, Session& session) {
  ASSAY_ASSIGN(const PreparedChange prepared, check_change(trusted, change));
  Object value;
  if (!change.head.empty()) {
    ASSAY_ASSIGN(value, to_value(prepared));
  } else {
    value = {{"action", "root"}, {"root_version", prepared.verified.trust.version}};
  }
  const bool is_complete = change.head.empty() || prepared.is_complete();
  Change done{std::move(value), prepared.verified.head.sequence, prepared.signatures,
              prepared.needed};
  if (!options.change_file.empty()) {
    ASSAY_TRY(write_change_file(options.change_file, change, {}));
  } else if (!options.is_dry_run) {
    if (!is_complete) return incomplete(prepared);
    ASSAY_ASSIGN(const Submitted submitted, submit_change(prepared, {}, session));
    done.value.emplace_back("agents_connected", submitted.agents_connected);
  }
  std::string note = note_of(options, done, "The log has a new head.");
  return Outcome{.document = {std::move(done.value), sections()}, .note = std::move(note)};
}

void add_log_changes(CLI::App& log, Invocation& invocation) {
  // Shared by the parser, which fills them, and the commands, which run after.
  const auto sign_options = std::make_shared<Options>();
  CLI::App& one = add_command(
      log, "sign", "Add your signature to a change that someone else has made", invocation,
      [sign_options](Session& session) { return sign(*sign_options, session); });
  one.add_option("FILE", sign_options->file, "of --sign-only; the signature is added in it")
      ->required();
  add_key_options(one, sign_options->change);
  one.add_flag("-y,--yes", sign_options->change.is_confirmed, "do not ask");

  const auto submit_options = std::make_shared<Options>();
  CLI::App& two =
      add_command(log, "submit", "Hand in a change that has all its signatures", invocation,
                  [submit_options](Session& session) { return submit(*submit_options, session); });
  two.add_option("FILE", submit_options->file, "of --sign-only")->required();

  const auto renew_options = std::make_shared<Options>();
  CLI::App& three =
      add_command(log, "renew", "Sign a new head: the log holds for another 30 days", invocation,
                  [renew_options](Session& session) { return renew(*renew_options, session); });
  add_key_options(three, renew_options->change);
  three
      .add_option("--sign-only", renew_options->change.change_file,
                  "write it to FILE for others to sign, submit nothing")
      ->option_text("FILE");
  three.add_flag("--dry-run", renew_options->change.is_dry_run, "check everything, change nothing");
}

}  // namespace assay::cli
