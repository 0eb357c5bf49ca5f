// SPDX-License-Identifier: Apache-2.0
// `assay bundle`: statements of the catalog as Sigstore bundles, and bundles of anybody verified.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "cli/keys.h"
#include "cli/trusted_log.h"
#include "common/base/file.h"
#include "common/catalog/bundle.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxArtifactBytes = 256 << 20;

struct Options {
  std::uint64_t sequence = 0;
  std::string file;
  std::string signer;  ///< id of a key, or its first digits; "": the first that signed
  std::string key_file;
  std::string artifact;
};

Result<Outcome> write(const Options& options, Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  if (options.sequence == 0 || options.sequence > trusted.log.statements.size())
    return Error{ErrorCode::kNotFound, "the log has entries 1 to " +
                                           std::to_string(trusted.log.statements.size()) +
                                           "; assay log shows them"};
  const std::size_t at = options.sequence - 1;
  ASSAY_ASSIGN(const catalog::Envelope envelope,
               catalog::Envelope::from_json(trusted.log.statements[at]));
  for (const catalog::KeySet& set : trusted.verified.trust.key_sets())
    for (const catalog::PublicKey& key : set.keys) {
      const auto& signers = trusted.verified.signers[at];
      const bool has_signed = std::ranges::find(signers, key.key_id()) != signers.end();
      if (!has_signed || !key.key_id().starts_with(options.signer)) continue;
      ASSAY_ASSIGN(const std::string bundle, catalog::make_bundle(envelope, key));
      ASSAY_TRY(write_new_file(options.file, bundle, 0644));
      return Outcome{.document = {Object{{"file", options.file},
                                         {"sequence", options.sequence},
                                         {"key_id", key.key_id()},
                                         {"public_key", key.pem()}},
                                  {{.columns = {{"File", "file"},
                                                {"Catalog sequence", "sequence"},
                                                {"Signed by", "key_id"}},
                                    .is_record = true}}}};
    }
  return Error{ErrorCode::kNotFound, "no such key has signed entry " +
                                         std::to_string(options.sequence) +
                                         "; assay log -o json shows who did"};
}

Result<Outcome> verify(const Options& options) {
  ASSAY_ASSIGN(const catalog::PublicKey key, load_public_key(options.key_file));
  ASSAY_ASSIGN(const std::string text, read_file(options.file, catalog::kMaxBundleBytes));
  std::optional<std::string> artifact;
  if (!options.artifact.empty()) {
    ASSAY_ASSIGN(artifact, read_file(options.artifact, kMaxArtifactBytes));
  }
  auto bundle = catalog::Bundle::from_json(text);
  if (!bundle) return std::move(bundle.error()).with_context(options.file);
  auto content = catalog::verify_bundle(*bundle, key, artifact);
  if (!content) return std::move(content.error()).with_context(options.file);
  Array subjects;
  for (const std::string& subject : content->subjects)
    subjects.push_back(Object{{"subject", subject}});
  return Outcome{.document = {Object{{"file", options.file},
                                     {"media_type", bundle->media_type},
                                     {"key_id", key.key_id()},
                                     {"predicate_type", content->predicate_type},
                                     {"subjects", std::move(subjects)}},
                              {{.columns = {{"File", "file"},
                                            {"Signed by", "key_id"},
                                            {"Predicate type", "predicate_type"}},
                                .is_record = true},
                               {.title = "It is about",
                                .path = "subjects",
                                .columns = {{"SUBJECT", "subject"}}}}},
                 .note = "The signature is good. No transparency log was asked."};
}

}  // namespace

void add_bundle(CLI::App& app, Invocation& invocation) {
  CLI::App* bundle =
      app.add_subcommand("bundle", "Write statements as Sigstore bundles, and verify bundles");
  bundle->group("Catalog of bases")->require_subcommand(1);
  bundle->fallthrough();
  // Shared by the parser, which fills it, and the commands, which run after.
  const auto options = std::make_shared<Options>();
  CLI::App& one =
      add_command(*bundle, "write", "Write an entry of the log as a Sigstore bundle", invocation,
                  [options](Session& session) { return write(*options, session); });
  one.add_option("SEQUENCE", options->sequence, "the entry's number in assay log")->required();
  one.add_option("--out", options->file, "where to")->required()->option_text("FILE");
  one.add_option("--signer", options->signer, "whose signature, by key id (default: the first)")
      ->option_text("KEYID");

  CLI::App& two = add_command(*bundle, "verify", "Verify a bundle that was signed with a key",
                              invocation, [options](Session&) { return verify(*options); });
  two.add_option("FILE", options->file, "the bundle")->required();
  two.add_option("--key", options->key_file, "the public key")->required()->option_text("FILE");
  two.add_option("--artifact", options->artifact, "the file that was signed")->option_text("FILE");
}

}  // namespace assay::cli
