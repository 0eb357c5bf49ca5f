// SPDX-License-Identifier: Apache-2.0
#include "cli/settings.h"

#include <unistd.h>

#include <cstdlib>

namespace assay::cli {
namespace {

constexpr const char* kPrefix = "ASSAY_";

config::Table<Settings> make_table() {
  const auto connection = [](auto member) {
    return [member](Settings & settings) -> auto& {
      return settings.connection.*member;
    };
  };
  config::Table<Settings> table(kPrefix);
  table.text("collector.address", connection(&Connection::address),
             {.text = "HOST:PORT of the collector"});
  table.path("tls.ca", connection(&Connection::ca_file),
             {.text = "PEM file of the CA that the collector's certificate must come from"});
  table.path("tls.cert", connection(&Connection::cert_file),
             {.text = "PEM file of your own client certificate"});
  table.path("tls.key", connection(&Connection::key_file), {.text = "PEM file of its key"});
  table.path("token_file", &Settings::token_file,
             {.text = "file with a token, mode 0600, instead of what assay login keeps"});
  table.duration("timeout", connection(&Connection::timeout),
                 {.text = "how long one call may take", .min = "1s", .max = "1h"});
  table.path(
      "trust_file", &Settings::trust_file,
      {.text = "public keys that may sign the catalog: PEM one after the other, or JSON with a "
               "threshold"});
  table.path("signing_key", &Settings::signing_key_file,
             {.text = "private key that signs your changes of the catalog"});
  table.path("signing_passphrase_file", &Settings::signing_passphrase_file,
             {.text = "file whose first line is the passphrase of that key; else it is asked for"});
  return table;
}

std::string default_file() {
  if (const char* file = std::getenv("ASSAY_CONFIG"); file != nullptr && *file != '\0') return file;
  const char* home = std::getenv("HOME");
  const char* config_home = std::getenv("XDG_CONFIG_HOME");
  std::string folder = config_home == nullptr ? "" : config_home;
  if (folder.empty() && home != nullptr) folder = std::string(home) + "/.config";
  if (!folder.empty()) {
    std::string own = folder + "/assay/config.yaml";
    if (access(own.c_str(), F_OK) == 0) return own;
  }
  return "/etc/assay/cli.yaml";
}

}  // namespace

const config::Table<Settings>& settings_table() {
  static const config::Table<Settings> table = make_table();
  return table;
}

Result<Settings> load_settings(const config::FlagValues& flags, const std::string& file) {
  config::Sources sources;
  sources.flags = flags;
  sources.environment = config::environment_with(kPrefix);
  sources.file = file.empty() ? default_file() : file;
  sources.is_file_optional = file.empty() && std::getenv("ASSAY_CONFIG") == nullptr;
  sources.allows_unknown_variables = true;  // ASSAY_AGENT_… and ASSAY_COLLECTOR_… are not ours
  auto loaded = settings_table().load(sources);
  if (!loaded) return std::move(loaded.error());
  return std::move(loaded->config);
}

}  // namespace assay::cli
