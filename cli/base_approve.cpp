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

Result<catalog::Statement> statement_of(const TrustedLog& trusted, const Options& options,
                                        const catalog::BaseId& id, const DescribedImage& described,
                                        WallTime now) {
  catalog::Statement statement =
      new_statement(trusted, options.change, id, catalog::Action::kApprove, now);
  ASSAY_ASSIGN(catalog::BaseStack stack, base_stack_of(described.image));
  statement.stacks.push_back(std::move(stack));
  statement.annotations = annotations_of(described);
  if (!options.expires.empty()) {
    ASSAY_ASSIGN(statement.expires_at, parse_date(options.expires, "--expires", now));
  }
  return statement;
}

Result<Outcome> approve(const Options& options, Session& session) {
  const WallTime now = session.now();
  ASSAY_ASSIGN(catalog::BaseId id, catalog::BaseId::parse(options.change.name));
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
                  "the image: OCI layout, OCI or docker archive, or directory")
      ->required()
      ->option_text("SOURCE");
  command.add_option("--platform", options->platform, "which image of an index to read")
      ->option_text("OS/ARCH[/VARIANT]");
  command
      .add_option("--expires", options->expires, "from when on it is expired: 2026-12-31, or 90d")
      ->option_text("DATE");
  command.footer(
      "Without a VERSION, the first 12 digits of the top chain ID (of a directory: of its "
      "content digest) are it.");
}

}  // namespace assay::cli
