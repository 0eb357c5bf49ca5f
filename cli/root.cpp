// SPDX-License-Identifier: Apache-2.0
// `assay root`: which keys may sign the catalog, in versions that old and new keys sign.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/base_change.h"
#include "cli/commands.h"
#include "cli/keys.h"
#include "cli/signer_names.h"
#include "common/base/encoding.h"
#include "common/base/file.h"

namespace assay::cli {
namespace {

using catalog::Root;
using catalog::RootFile;

constexpr std::size_t kMaxFileBytes = 16 << 20;
constexpr std::size_t kLeastDigits = 8;

struct Options {
  std::string file;
  ChangeOptions change;
  std::vector<std::string> keys;  ///< PUB or PUB=OWNER
  std::vector<std::string> mark_keys;
  std::vector<std::string> removed;  ///< ids, or their first digits
  std::uint32_t threshold = 0;       ///< 0: as it is, else 1
  std::uint32_t root_threshold = 0;
};

Result<RootFile> read_root_file(const std::string& path) {
  ASSAY_ASSIGN(const std::string text, read_file(path, kMaxFileBytes));
  auto file = RootFile::from_json(text);
  if (!file) return std::move(file.error()).with_context(path);
  return file;
}

Result<void> add_public_key(Root& root, std::vector<catalog::PublicKey>& to,
                            const std::string& word) {
  const std::size_t sign = word.find('=');
  ASSAY_ASSIGN(catalog::PublicKey key, load_public_key(word.substr(0, sign)));
  for (const catalog::PublicKey& known : to)
    if (known.key_id() == key.key_id())
      return Error{ErrorCode::kInvalidArgument,
                   "key " + key.key_id().substr(0, 12) + " is in the root already"};
  if (sign != std::string::npos) root.owners[key.key_id()] = word.substr(sign + 1);
  to.push_back(std::move(key));
  return ok();
}

Result<void> remove_key(Root& root, const std::string& digits) {
  const auto is_it = [&](const catalog::PublicKey& key) {
    return key.key_id().starts_with(digits);
  };
  const auto count =
      std::ranges::count_if(root.keys, is_it) + std::ranges::count_if(root.mark_keys, is_it);
  if (digits.size() < kLeastDigits || count != 1)
    return Error{count == 0 ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
                 "--remove " + escape_untrusted(digits, 80) + ": " +
                     (count == 0 ? "the root has no such key" : "write more digits of the id")};
  std::erase_if(root.keys, is_it);
  std::erase_if(root.mark_keys, is_it);
  return ok();
}

Result<void> change_root(Root& root, const Options& options) {
  for (const std::string& digits : options.removed)
    ASSAY_TRY(remove_key(root, digits));
  for (const std::string& word : options.keys)
    ASSAY_TRY(add_public_key(root, root.keys, word));
  for (const std::string& word : options.mark_keys)
    ASSAY_TRY(add_public_key(root, root.mark_keys, word));
  if (options.threshold != 0) {
    root.threshold = options.threshold;
    root.root_threshold = std::max(root.root_threshold, root.threshold);  // unless one is given
  }
  if (options.root_threshold != 0) root.root_threshold = options.root_threshold;
  root.reason = options.change.reason;
  return ok();
}

std::vector<Section> sections() {
  return {{.columns = {{"File", "file"},
                       {"Version", "version"},
                       {"Issued", "issued_at"},
                       {"Reason", "reason"},
                       {"Signatures for a change", "threshold"},
                       {"Signatures for a root", "root_threshold"},
                       {"Signed by old keys", "signed_by_old"},
                       {"Signed by new keys", "signed_by_new"},
                       {"Complete", "is_complete"}},
           .is_record = true},
          {.title = "Keys",
           .path = "keys",
           .columns = {{"KEY ID", "key_id"}, {"USE", "use"}, {"OWNER", "owner"}}}};
}

Array key_values(const Root& root) {
  Array keys;
  const auto add = [&](const std::vector<catalog::PublicKey>& from, const char* use) {
    for (const catalog::PublicKey& key : from) {
      const auto owner = root.owners.find(key.key_id());
      keys.push_back(Object{{"key_id", key.key_id()},
                            {"use", use},
                            {"owner", owner == root.owners.end() ? Value() : owner->second}});
    }
  };
  add(root.keys, "sign");
  add(root.mark_keys, "mark");
  return keys;
}

bool is_complete(const RootFile& file) {
  return catalog::extend_trust(catalog::TrustRoot{}, file.envelopes).has_value();
}

Result<Outcome> show_file(const std::string& path, const RootFile& file) {
  ASSAY_ASSIGN(const Root root, file.last());
  ASSAY_ASSIGN(const catalog::RootSignatures signatures, file.signatures());
  ASSAY_ASSIGN(catalog::TrustRoot names, file.before_last());
  names.owners.insert(root.owners.begin(), root.owners.end());
  const bool complete = is_complete(file);
  return Outcome{.document = {Object{{"file", path},
                                     {"version", root.version},
                                     {"issued_at", root.issued_at},
                                     {"reason", root.reason},
                                     {"threshold", root.threshold},
                                     {"root_threshold", root.root_threshold},
                                     {"signed_by_old", signer_text(signatures.by_old, names)},
                                     {"signed_by_new", signer_text(signatures.by_new, names)},
                                     {"is_complete", complete},
                                     {"keys", key_values(root)}},
                              sections()},
                 .note = complete ? ""
                                  : "Not all signatures are there yet: others add theirs with "
                                    "assay root sign " +
                                        path + "."};
}

/// `root` as the last version of `file`, signed when a key was named.
Result<void> append(RootFile& file, const Root& root, const Options& options, Session& session) {
  std::string payload = catalog::to_in_toto(root);
  if (auto readable = catalog::root_from_in_toto(payload); !readable)
    return Error{ErrorCode::kInvalidArgument, std::move(readable.error().message)};
  ASSAY_ASSIGN(const catalog::Envelope unsigned_one,
               catalog::sign_envelope(std::move(payload), catalog::kInTotoPayloadType, {}));
  std::string envelope = unsigned_one.to_json();
  if (!options.change.key_file.empty()) {
    ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options.change, session));
    ASSAY_ASSIGN(envelope, catalog::add_signature(envelope, key));
  }
  file.envelopes.push_back(std::move(envelope));
  return ok();
}

Result<Outcome> init(const Options& options, Session& session) {
  Root root;
  root.issued_at = session.now();
  ASSAY_TRY(change_root(root, options));
  RootFile file;
  ASSAY_TRY(append(file, root, options, session));
  ASSAY_TRY(write_new_file(options.file, file.to_json(), 0644));
  return show_file(options.file, file);
}

Result<Outcome> rotate(const Options& options, Session& session) {
  ASSAY_ASSIGN(RootFile file, read_root_file(options.file));
  auto trust = catalog::extend_trust(catalog::TrustRoot{}, file.envelopes);
  if (!trust) return std::move(trust.error()).with_context(options.file);
  ASSAY_ASSIGN(Root root, file.last());
  ++root.version;
  root.issued_at = session.now();
  ASSAY_TRY(change_root(root, options));
  ASSAY_TRY(append(file, root, options, session));
  ASSAY_TRY(write_file_atomically(options.file, file.to_json(), 0644));
  return show_file(options.file, file);
}

Result<Outcome> sign(const Options& options, Session& session) {
  ASSAY_ASSIGN(RootFile file, read_root_file(options.file));
  ASSAY_ASSIGN(const catalog::TrustRoot before, file.before_last());
  ASSAY_ASSIGN(const Root root, file.last());
  ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options.change, session));
  const std::string& id = key.public_key().key_id();
  const auto is_it = [&](const catalog::PublicKey& known) { return known.key_id() == id; };
  if (std::ranges::none_of(root.keys, is_it) && std::ranges::none_of(before.keys, is_it))
    return Error{ErrorCode::kUntrusted, "key " + id.substr(0, 12) +
                                            " is neither in this version of the root nor in the "
                                            "one before it: its signature would not count"};
  ASSAY_ASSIGN(file.envelopes.back(), catalog::add_signature(file.envelopes.back(), key));
  ASSAY_TRY(write_file_atomically(options.file, file.to_json(), 0644));
  return show_file(options.file, file);
}

Result<Outcome> show(const Options& options) {
  ASSAY_ASSIGN(const RootFile file, read_root_file(options.file));
  return show_file(options.file, file);
}

/// The versions that the collector lacks, with a head that the newest keys sign.
Result<Outcome> submit(const Options& options, Session& session) {
  ASSAY_ASSIGN(const RootFile file, read_root_file(options.file));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  const catalog::TrustRoot& held = trusted.verified.trust;
  auto next = catalog::extend_trust(held, file.envelopes);
  if (!next) return std::move(next.error()).with_context(options.file);
  if (next->version == held.version)
    return Outcome{.note = "The collector has version " + std::to_string(held.version) +
                           " already; nothing was changed."};
  catalog::SignedChange change;
  if (!trusted.log.statements.empty()) {
    ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options.change, session));
    ASSAY_TRY(expect_trusted_key(*next, key));
    ASSAY_ASSIGN(change, catalog::sign_new_head(trusted.verified.head, session.now(), {key}));
  }
  change.roots.assign(next->roots.begin() + static_cast<std::ptrdiff_t>(held.roots.size()),
                      next->roots.end());
  return apply_head(trusted, change, options.change, session);
}

void add_contents(CLI::App& command, Options& options) {
  command
      .add_option("--add", options.keys, "public key that may sign, and whose it is (repeat it)")
      ->option_text("FILE[=OWNER]")
      ->allow_extra_args(false);
  command
      .add_option("--add-mark-key", options.mark_keys,
                  "public key of a collector, for freshness marks (its mark-key.pem.pub)")
      ->option_text("FILE[=OWNER]")
      ->allow_extra_args(false);
  command.add_option("--threshold", options.threshold, "signatures that a change needs")
      ->option_text("N");
  command
      .add_option("--root-threshold", options.root_threshold,
                  "signatures that a version of the root needs (default: at least --threshold)")
      ->option_text("N");
  command.add_option("--reason", options.change.reason, "why")->option_text("TEXT");
  add_key_options(command, options.change);
}

}  // namespace

void add_root(CLI::App& app, Invocation& invocation) {
  CLI::App* root = app.add_subcommand("root", "Say which keys may sign the catalog");
  root->group("Catalog of bases")->require_subcommand(1);
  root->fallthrough();
  // Shared by the parser, which fills it, and the commands, which run after.
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* text, auto run) -> CLI::App& {
    CLI::App& command =
        add_command(*root, name, text, invocation,
                    [options, run](Session& session) { return run(*options, session); });
    command.add_option("FILE", options->file, "the root file, with all versions")->required();
    return command;
  };
  add_contents(add("init", "Make version 1 of a root file", init), *options);
  CLI::App& next = add("rotate", "Add a version with other keys or thresholds", rotate);
  add_contents(next, *options);
  next.add_option("--remove", options->removed, "key that may not sign any more, by its id")
      ->option_text("KEYID")
      ->allow_extra_args(false);
  add_key_options(add("sign", "Add your signature to the newest version", sign), options->change);
  add("show", "Show the newest version and who signed it",
      [](const Options& given, Session&) { return show(given); });
  CLI::App& last = add("submit", "Hand the new versions to the collector and so to all", submit);
  add_key_options(last, options->change);
  last.add_option("--sign-only", options->change.change_file,
                  "write it to FILE for others to sign the head, submit nothing")
      ->option_text("FILE");
  last.add_flag("--dry-run", options->change.is_dry_run, "check everything, change nothing");
}

}  // namespace assay::cli
