// SPDX-License-Identifier: Apache-2.0
// assay key new, assay key show.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/keys.h"

namespace assay::cli {
namespace {

struct NewOptions {
  std::string type = "ecdsa-p256";
  std::string prefix = "assay";
  bool has_passphrase = false;
  std::string passphrase_file;
};

/// Neither file may exist: a key that was signed with is never overwritten.
Result<void> refuse_existing(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return ok();
  return Error{ErrorCode::kAlreadyExists,
               path + " exists already and is not overwritten; choose another --out"};
}

Result<Outcome> make_key(const NewOptions& options, Session& session) {
  const std::string private_file = options.prefix + ".key", public_file = options.prefix + ".pub";
  ASSAY_TRY(refuse_existing(private_file));
  ASSAY_TRY(refuse_existing(public_file));
  const auto type =
      options.type == "ed25519" ? catalog::KeyType::kEd25519 : catalog::KeyType::kEcdsaP256;
  ASSAY_ASSIGN(const catalog::SigningKey key, catalog::SigningKey::generate(type));
  std::string passphrase;
  if (options.has_passphrase || !options.passphrase_file.empty()) {
    ASSAY_ASSIGN(passphrase, new_passphrase(options.passphrase_file, session.terminal()));
  }
  ASSAY_TRY(write_new_file(private_file, key.private_pem(passphrase), 0600));
  if (auto written = write_new_file(public_file, key.public_key().pem(), 0644); !written) {
    unlink(private_file.c_str());
    return std::move(written.error());
  }
  return Outcome{.document = {Object{{"key_id", key.public_key().key_id()},
                                     {"key_type", options.type},
                                     {"is_encrypted", !passphrase.empty()},
                                     {"private_key_file", private_file},
                                     {"public_key_file", public_file}},
                              {{.columns = {{"Key id", "key_id"},
                                            {"Type", "key_type"},
                                            {"Private key", "private_key_file"},
                                            {"Public key", "public_key_file"}},
                                .is_record = true}}},
                 .note = "Keep " + private_file + " off the collector; put " + public_file +
                         " into the trust file of every agent, collector and client."};
}

Result<Outcome> show_key(const std::string& file) {
  ASSAY_ASSIGN(const catalog::PublicKey key, load_public_key(file));
  return Outcome{{Object{{"key_id", key.key_id()}, {"public_key", key.pem()}},
                  {{.columns = {{"Key id", "key_id"}}, .is_record = true}}}};
}

}  // namespace

void add_key(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("key", "Make and show signing keys");
  group->group("Images and keys (no collector needed)")->require_subcommand(1);
  group->fallthrough();

  // Shared by the parser, which fills them, and the commands, which run after.
  const auto options = std::make_shared<NewOptions>();
  CLI::App& make =
      add_command(*group, "new", "Make a key pair: PREFIX.key and PREFIX.pub", invocation,
                  [options](Session& session) { return make_key(*options, session); });
  make.add_option("--type", options->type, "ecdsa-p256 (the default) or ed25519")
      ->check(CLI::IsMember({"ecdsa-p256", "ed25519"}).description(""))
      ->option_text("TYPE");
  make.add_option("--out", options->prefix,
                  "where to write, without .key and .pub (default: assay)")
      ->option_text("PREFIX");
  make.add_flag("--passphrase", options->has_passphrase,
                "encrypt the private key; its passphrase is asked for");
  make.add_option("--passphrase-file", options->passphrase_file,
                  "the same with the first line of FILE as the passphrase")
      ->option_text("FILE");

  const auto file = std::make_shared<std::string>();
  CLI::App& show = add_command(*group, "show", "Print the key id of a private or public key",
                               invocation, [file](Session&) { return show_key(*file); });
  show.add_option("FILE", *file, "PEM file")->required();
}

}  // namespace assay::cli
