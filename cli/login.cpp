// SPDX-License-Identifier: Apache-2.0
// `assay login`, `logout` and `whoami`.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "cli/commands.h"
#include "cli/login_store.h"
#include "cli/records.h"
#include "common/base/guarded_file.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxInputBytes = 4096;

/// The first line of stdin.
Result<std::string> read_stdin_line() {
  std::string text;
  while (text.find('\n') == std::string::npos && text.size() < kMaxInputBytes) {
    std::array<char, 512> block{};
    const ssize_t size = ::read(STDIN_FILENO, block.data(), block.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error("read the token from stdin");
    if (size == 0) break;
    text.append(block.data(), static_cast<std::size_t>(size));
  }
  return text.substr(0, text.find('\n'));
}

Result<std::string> token_for_login(bool is_piped, Session& session) {
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  if (is_piped) {
    ASSAY_ASSIGN(const std::string line, read_stdin_line());
    return parse_token(line);
  }
  if (!settings->token_file.empty()) return read_token_file(settings->token_file);
  ASSAY_ASSIGN(const std::string line,
               session.terminal().ask_secret("Token for " + settings->connection.address + ": ",
                                             {"token", "--with-token and a pipe"}));
  return parse_token(line);
}

Document document_of(const Identity& identity, const std::string& collector) {
  return {Object{{"name", identity.name},
                 {"role", identity.role},
                 {"scopes", to_texts(identity.scopes)},
                 {"means", identity.means},
                 {"token_id", identity.token_id},
                 {"expires_at", identity.expires_at},
                 {"collector", collector},
                 {"address", identity.address}},
          {{.columns = {{"Name", "name"},
                        {"Role", "role"},
                        {"Scopes", "scopes"},
                        {"By", "means"},
                        {"Token", "token_id"},
                        {"Expires", "expires_at"},
                        {"Collector", "collector"},
                        {"From", "address", Style::kPlain, true}},
            .is_record = true}}};
}

Result<Outcome> login(bool is_piped, Session& session) {
  ASSAY_ASSIGN(const LoginStore logins, LoginStore::open_default());
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  Connection connection = settings->connection;
  if (connection.address.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "no collector given (set --collector-address HOST:PORT)"};
  Login login;
  ASSAY_ASSIGN(login.token, token_for_login(is_piped, session));
  connection.token = login.token;
  if (!connection.ca_file.empty()) {
    auto ca = read_guarded_file(connection.ca_file, kMaxPemBytes, Guard::kTrusted);
    if (!ca) return std::move(ca.error()).with_context("tls.ca");
    login.ca = std::move(*ca);
  } else if (const auto before = logins.find(connection.address); before && *before) {
    login.ca = connection.ca_pem = (*before)->ca;
  }
  ASSAY_ASSIGN(Client client, Client::create(connection));
  ASSAY_ASSIGN(const Identity identity, client.who_am_i());
  ASSAY_TRY(logins.keep(connection.address, login));
  Outcome outcome{
      .document = document_of(identity, connection.address),
      .note = "Logged in; the token is kept in " + logins.file_of(connection.address) + "."};
  if (!settings->token_file.empty()) outcome.note += "\ntoken_file is set and comes before it.";
  return outcome;
}

Result<Outcome> logout(Session& session) {
  ASSAY_ASSIGN(const LoginStore logins, LoginStore::open_default());
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  const std::string& address = settings->connection.address;
  if (address.empty())
    return Error{ErrorCode::kInvalidArgument,
                 logins.collectors().empty()
                     ? "there is no login"
                     : "there are several logins: say which with --collector-address HOST:PORT"};
  ASSAY_ASSIGN(const bool was_there, logins.forget(address));
  return Outcome{.note = was_there ? "Logged out of " + address +
                                         ". The token itself stays valid until it expires or is "
                                         "revoked (assay token revoke)."
                                   : "There is no login at " + address + "."};
}

Result<Outcome> who_am_i(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const Identity identity, client->who_am_i());
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  return Outcome{.document = document_of(identity, settings->connection.address)};
}

}  // namespace

void add_login(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto is_piped = std::make_shared<bool>(false);
  CLI::App& command =
      add_command(app, "login", "Keep a token for this collector", invocation,
                  [is_piped](Session& session) { return login(*is_piped, session); });
  command.group("You and others");
  command.add_flag("--with-token", *is_piped,
                   "read the token from stdin, instead of asking for it");
  add_command(app, "logout", "Forget the token for this collector", invocation, logout)
      .group("You and others");
  add_command(app, "whoami", "Show who you are to the collector, and what you may", invocation,
              who_am_i)
      .group("You and others");
}

}  // namespace assay::cli
