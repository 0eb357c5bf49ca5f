// SPDX-License-Identifier: Apache-2.0
// The program `assay`: parses, runs one command, prints its answer.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/output/gate_report.h"
#include "common/config/cli_flags.h"
#include "common/config/key.h"
#include "common/manual/manual.h"
#include "common/output/json.h"
#include "common/output/table.h"
#include "common/output/yaml.h"

namespace assay::cli {
namespace {

void declare(CLI::App& app, Invocation& invocation) {
  app.name("assay");
  app.require_subcommand(1);
  app.set_version_flag("--version", "assay " ASSAY_VERSION, "Print the version");
  app.add_option("--config", invocation.global.config_file, "configuration file")
      ->option_text("FILE");
  app.add_flag_callback(
      "--debug", [] { setenv("GRPC_VERBOSITY", "DEBUG", 1); }, "print what the connection does");
  config::add_flags(app, settings_table().keys(), invocation.global.flags);
  add_ps(app, invocation);
  add_findings(app, invocation);
  add_finding(app, invocation);
  add_trace(app, invocation);
  add_nodes(app, invocation);
  add_node(app, invocation);
  add_ca(app, invocation);
  add_base(app, invocation);
  add_policy(app, invocation);
  add_log(app, invocation);
  add_root(app, invocation);
  add_bundle(app, invocation);
  add_scan(app, invocation);
  add_where(app, invocation);
  add_check(app, invocation);
  add_login(app, invocation);
  add_token(app, invocation);
  add_audit(app, invocation);
  add_fingerprint(app, invocation);
  add_key(app, invocation);
  add_version(app, invocation);
  app.footer("Every command has --help. Exit codes: docs/exit-codes.md.");
}

int fail(Terminal& terminal, const Error& error) {
  terminal.note("assay: " + error.text());
  return static_cast<int>(exit_code_for(error));
}

/// A word where a command belongs is named as such; CLI11 only says that a command is missing.
std::string problem_of(const CLI::App& app, const CLI::ParseError& error) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands(nullptr))
    commands.push_back(command->get_name());
  // With fallthrough() a word that nobody knew ends at the top.
  std::vector<std::string> left = app.remaining();
  for (const CLI::App* above = app.get_parent(); left.empty() && above; above = above->get_parent())
    left = above->remaining();
  if (commands.empty() || left.empty() || left.front().starts_with("-")) return error.what();
  const std::string near = config::closest(left.front(), commands);
  return "there is no command \"" + left.front() + "\"" +
         (near.empty() ? "" : "; did you mean " + near + "?");
}

/// CLI11's help goes to stdout with 0; everything else is one line on stderr and 2.
int end_parsing(const CLI::App& app, Terminal& terminal, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const CLI::App* deepest = &app;
  std::string command = app.get_name();
  for (auto used = deepest->get_subcommands(); !used.empty(); used = deepest->get_subcommands()) {
    deepest = used.front();
    command += " " + deepest->get_name();
  }
  terminal.note("assay: " + problem_of(*deepest, error) + " (see " + command + " --help)");
  return static_cast<int>(ExitCode::kUsage);
}

std::string print(const Outcome& outcome, const Invocation& invocation, const Terminal& terminal,
                  WallTime now) {
  if (invocation.format == Format::kJson) return to_json(outcome.document);
  if (invocation.format == Format::kSvg) return outcome.document.picture;
  if (invocation.format == Format::kYaml)
    return outcome.document.file.empty() ? to_yaml(outcome.document) : outcome.document.file;
  if (invocation.format == Format::kSarif && outcome.report) return to_sarif(*outcome.report);
  if (invocation.format == Format::kJunit && outcome.report) return to_junit(*outcome.report, now);
  return to_table(outcome.document, {.is_wide = invocation.format == Format::kWide,
                                     .has_headers = invocation.has_headers,
                                     .has_colour = terminal.has_colour(),
                                     .now = now});
}

int run(const Invocation& invocation, Terminal& terminal) {
  const SystemClock clock;
  Session session(invocation.global, terminal, clock);
  const Result<Outcome> outcome = invocation.command(session);
  terminal.end_progress();
  if (!outcome) return fail(terminal, outcome.error());
  if (!outcome->document.value.is_null()) {
    const std::string text = print(*outcome, invocation, terminal, clock.wall_now());
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      return fail(terminal, system_error("write to stdout"));
  }
  if (!outcome->note.empty()) terminal.note(outcome->note);
  return static_cast<int>(outcome->exit_code);
}

int start(int argc, char** argv) {
  setenv("GRPC_VERBOSITY", "NONE", 0);  // its errors reach the user as ours, once
  Terminal terminal;
  Invocation invocation;
  CLI::App app("Which base image does every container stand on, and may it?");
  declare(app, invocation);
  std::string manual;
  manual::add_manual(app, 1, manual);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_parsing(app, terminal, error);
  }
  if (!invocation.command) {
    std::fputs(manual.c_str(), stdout);
    return static_cast<int>(ExitCode::kOk);
  }
  return run(invocation, terminal);
}

}  // namespace
}  // namespace assay::cli

int main(int argc, char** argv) {
  return assay::cli::start(argc, argv);
}
