// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/about_view.h"
#include "cli/base_change.h"
#include "cli/base_stack.h"
#include "cli/commands.h"
#include "cli/dates.h"
#include "cli/image_reading.h"
#include "common/base/sha256.h"

namespace assay::cli {
namespace {

constexpr std::size_t kVersionDigits = 12;

struct Options {
  ChangeOptions change;
  std::string source;
  std::string platform;
  std::string expires;
  std::string built;
  std::string contact;
  std::string note;
};

/// What names a version that nobody named: the top chain ID, or a directory's content.
Result<std::string> version_of(const image::Image& image) {
  const image::ImageLayer& top = image.layers.back();
  if (top.chain_id) return top.chain_id->hex().substr(0, kVersionDigits);
  if (top.fingerprint.content) return top.fingerprint.content->hex().substr(0, kVersionDigits);
  return Error{ErrorCode::kInternal, "the image was read without content"};
}

/// The set is submitted beside the statement, which names it.
std::vector<std::string> take_file_set(const DescribedImage& described, catalog::BaseStack& stack,
                                       Session& session) {
  if (!described.file_set) {
    session.terminal().note("warning: this base will not be found in flattened images: " +
                            described.no_file_set);
    return {};
  }
  std::string bytes = described.file_set->encode();
  stack.file_set = {FileSetDigest{sha256(bytes).bytes}, described.file_set->size()};
  return {std::move(bytes)};
}

/// Claims for people, as the source makes them.
std::map<std::string, std::string> annotations_of(const DescribedImage& described) {
  const image::Image& image = described.image;
  std::map<std::string, std::string> claims = cli::annotations_of(described.about);
  claims["assay.source-kind"] = image::to_string(image.kind);
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) claims[name] = text;
  };
  add("assay.reference", image.reference);
  add("assay.config-digest", image.config_digest);
  add("assay.created", image.created);
  return claims;
}

Array layer_values(const catalog::BaseStack& stack) {
  Array layers;
  for (const catalog::BaseLayer& layer : stack.layers)
    layers.push_back(Object{{"diff_id", layer.diff_id},
                            {"shape", layer.shape},
                            {"content", layer.content},
                            {"deletions", layer.deletions},
                            {"entries", layer.entries},
                            {"content_bytes", layer.content_bytes}});
  return layers;
}

std::vector<Section> sections(const catalog::About& about) {
  std::vector<Section> shown{{.columns = {{"Base", "base"},
                                          {"Platform", "platform"},
                                          {"Expires", "expires_at"},
                                          {"Files", "files"},
                                          {"Reason", "reason"},
                                          {"Catalog sequence", "sequence"},
                                          {"Signed by", "key_id"},
                                          {"Agents connected", "agents_connected"},
                                          {"Dry run", "is_dry_run"}},
                              .is_record = true},
                             {.title = "Layers, bottom first",
                              .path = "layers",
                              .columns = {{"DIFF ID", "diff_id", Style::kDigest},
                                          {"SHAPE", "shape", Style::kDigest},
                                          {"CONTENT", "content", Style::kDigest},
                                          {"ENTRIES", "entries"},
                                          {"BYTES", "content_bytes"}}}};
  add_about_sections(shown, about);
  return shown;
}

/// Approving what the catalog holds already changes a standing decision: that is asked for.
Result<bool> may_replace(const TrustedLog& trusted, const Options& options,
                         const catalog::BaseId& id, Session& session) {
  const catalog::Base* known = trusted.verified.catalog.find(id);
  if (known == nullptr || options.change.is_confirmed || options.change.is_dry_run) return true;
  session.terminal().note(id.text() + " is in the catalog already (" +
                          std::string(catalog::to_string(known->status)) + ").");
  return session.terminal().confirm("Approve it with these layers?");
}

/// What the person who signs says of the base.
Result<void> add_words(const Options& options, WallTime now, catalog::Statement& statement) {
  if (!options.contact.empty())
    statement.annotations[std::string(catalog::kContactAnnotation)] = options.contact;
  if (!options.note.empty())
    statement.annotations[std::string(catalog::kNoteAnnotation)] = options.note;
  if (!options.built.empty()) {
    ASSAY_ASSIGN(const WallTime built, parse_past_date(options.built, "--built", now));
    statement.annotations[std::string(catalog::kCreatedAnnotation)] = to_rfc3339(built, 0);
  }
  if (!options.expires.empty()) {
    ASSAY_ASSIGN(statement.expires_at, parse_date(options.expires, "--expires", now));
  }
  return ok();
}

Result<catalog::Statement> statement_of(const TrustedLog& trusted, const Options& options,
                                        const catalog::BaseId& id, const DescribedImage& described,
                                        WallTime now) {
  catalog::Statement statement =
      new_statement(trusted, options.change, id, catalog::Action::kApprove, now);
  ASSAY_ASSIGN(catalog::BaseStack stack, base_stack_of(described.image));
  statement.stacks.push_back(std::move(stack));
  statement.annotations = annotations_of(described);
  ASSAY_TRY(add_words(options, now, statement));
  return statement;
}

/// Approves the layers of a draft, as they are. Nodes reported them: whoever signs says that these
/// are the right ones.
Result<Outcome> approve_draft(const Options& options, const catalog::BaseId& id, Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const catalog::Base* base, find_base(trusted.verified.catalog, id));
  if (base->status != catalog::BaseStatus::kDraft)
    return Error{ErrorCode::kInvalidArgument,
                 base->id.text() + " is no draft: --from SOURCE must say which image it is"};
  catalog::Statement statement =
      new_statement(trusted, options.change, base->id, catalog::Action::kApprove, session.now());
  statement.stacks = base->stacks;
  ASSAY_TRY(add_words(options, session.now(), statement));
  session.terminal().note("warning: the layers of " + base->id.text() +
                          " are as nodes reported them when it was drafted, read from no image.");
  if (!options.change.is_confirmed && !options.change.is_dry_run) {
    ASSAY_ASSIGN(const bool is_agreed,
                 session.terminal().confirm("Approve " + base->id.text() + " with them?"));
    if (!is_agreed)
      return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was changed."};
  }
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session));
  change.value.emplace_back("platform", statement.stacks.front().platform);
  change.value.emplace_back("expires_at", statement.expires_at);
  change.value.emplace_back("files", Value());
  change.value.emplace_back("layers", layer_values(statement.stacks.front()));
  return Outcome{.document = {std::move(change.value), sections({})},
                 .note = options.change.is_dry_run ? "Dry run: nothing was changed."
                                                   : base->id.text() + " is approved."};
}

Result<Outcome> approve(const Options& options, Session& session) {
  const WallTime now = session.now();
  ASSAY_ASSIGN(catalog::BaseId id, catalog::BaseId::parse(options.change.name));
  if (options.source.empty()) return approve_draft(options, id, session);
  if (!options.expires.empty()) ASSAY_TRY(parse_date(options.expires, "--expires", now));
  ASSAY_TRY(signing_key(options.change, session));  // before a long read, not after it
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  image::ImageOptions wanted;
  wanted.platform = options.platform;
  wanted.wants_other_forms = true;
  ASSAY_ASSIGN(const DescribedImage described,
               read_described(options.source, std::move(wanted),
                              /*keeps_packages=*/false, session, FileSetWanted::kYes));
  const image::Image& image = described.image;
  if (image.layers.empty())
    return Error{ErrorCode::kInvalidArgument, options.source + ": this image has no layers"};
  if (id.version.empty()) {
    ASSAY_ASSIGN(id.version, version_of(image));
  }
  ASSAY_ASSIGN(catalog::Statement statement, statement_of(trusted, options, id, described, now));
  const auto file_sets = take_file_set(described, statement.stacks.front(), session);
  ASSAY_ASSIGN(const bool is_agreed, may_replace(trusted, options, id, session));
  if (!is_agreed) return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was changed."};
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session, file_sets));
  change.value.emplace_back("platform", statement.stacks.front().platform);
  change.value.emplace_back("expires_at", statement.expires_at);
  change.value.emplace_back(
      "files", described.file_set ? Value(std::uint64_t{described.file_set->size()}) : Value());
  change.value.emplace_back("layers", layer_values(statement.stacks.front()));
  add_about(change.value, described.about);
  return Outcome{.document = {std::move(change.value), sections(described.about)},
                 .note = note_of(options.change, change, id.text() + " is approved.")};
}

}  // namespace

void add_base_approve(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(base, "approve", "Sign a base as approved, from the image itself", invocation,
                  [options](Session& session) { return approve(*options, session); });
  add_change_options(command, options->change);
  command
      .add_option("--from", options->source,
                  "the image: OCI layout, OCI or docker archive, or directory; of a draft, none is "
                  "needed")
      ->option_text("SOURCE");
  command.add_option("--platform", options->platform, "which image of an index to read")
      ->option_text("OS/ARCH[/VARIANT]");
  command
      .add_option("--expires", options->expires, "from when on it is expired: 2026-12-31, or 90d")
      ->option_text("DATE");
  command
      .add_option("--built", options->built,
                  "when it was built, where the image does not say so: 2026-01-31")
      ->option_text("DATE");
  command.add_option("--contact", options->contact, "whom to ask about it")->option_text("TEXT");
  command.add_option("--note", options->note, "anything else that people should know")
      ->option_text("TEXT");
  command.footer(
      "Without a VERSION, the first 12 digits of the top chain ID (of a directory: of its "
      "content digest) are it.");
}

}  // namespace assay::cli
