// SPDX-License-Identifier: Apache-2.0
// What every command is given, and what it gives back.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/client.h"
#include "cli/output/document.h"
#include "cli/output/gate_report.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/catalog/signing.h"

namespace assay::cli {

struct GlobalOptions {
  config::FlagValues flags;
  std::string config_file;
};

/// Settings and connection are made when a command first asks for them: `fingerprint` and `key`
/// work without any. Not thread-safe.
class Session {
 public:
  Session(const GlobalOptions& options, Terminal& terminal, const Clock& clock)
      : options_(options), terminal_(terminal), clock_(clock) {}

  Terminal& terminal() { return terminal_; }
  WallTime now() const { return clock_.wall_now(); }
  /// With the collector of the only login when no other is named. Errors: kInvalidArgument.
  Result<const Settings*> settings();
  /// The connection with the token of `token_file`, else of the login at this collector, else with
  /// the client certificate. Errors: those of settings(), read_token_file(), LoginStore::find().
  Result<Connection> connection();
  /// Whether `key` was given as a flag of this call.
  bool has_flag(const std::string& key) const {
    const auto found = options_.flags.find(key);
    return found != options_.flags.end() && !found->second.empty();
  }
  /// The key that was read from `file` before; null when none was.
  const catalog::SigningKey* signing_key(const std::string& file) const {
    return key_ && key_->first == file ? &key_->second : nullptr;
  }
  void remember_signing_key(const std::string& file, const catalog::SigningKey& key) {
    key_ = {file, key};
  }
  /// Errors: those of settings() and Client::create().
  Result<Client*> client();

 private:
  const GlobalOptions& options_;
  Terminal& terminal_;
  const Clock& clock_;
  std::optional<Settings> settings_;
  std::optional<Client> client_;
  std::optional<std::pair<std::string, catalog::SigningKey>> key_;
};

enum class Format { kTable, kWide, kJson, kSvg, kYaml, kSarif, kJunit };

/// What a command found out.
struct Outcome {
  Document document = {};
  ExitCode exit_code = ExitCode::kOk;
  std::string note = {};                  ///< for people, on stderr after the data
  std::optional<GateReport> report = {};  ///< what SARIF and JUnit print
};

using Command = std::function<Result<Outcome>(Session&)>;

/// What was asked for on the command line.
struct Invocation {
  GlobalOptions global;
  Command command;  ///< set by the subcommand that was named
  Format format = Format::kTable;
  bool has_headers = true;
};

}  // namespace assay::cli
