// SPDX-License-Identifier: Apache-2.0
// assay-agent: the command line and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/app/config.h"
#include "agent/app/probe_source.h"
#include "agent/app/run.h"
#include "common/base/encoding.h"
#include "common/base/exit_code.h"
#include "common/config/cli_flags.h"

namespace {

using assay::ExitCode;
using assay::agent::AgentConfig;
using assay::agent::config_table;
using Loaded = assay::config::Loaded<AgentConfig>;

struct CommandLine {
  std::string file;
  assay::config::FlagValues flags;
};

assay::Result<Loaded> load(const CommandLine& given) {
  assay::config::Sources sources;
  sources.flags = given.flags;
  sources.environment = assay::config::environment_with(config_table().environment_prefix());
  sources.file = given.file.empty() ? assay::agent::kDefaultConfigFile : given.file;
  sources.is_file_optional = given.file.empty();
  return config_table().load(sources);
}

ExitCode with_config(const CommandLine& given, ExitCode (*command)(const AgentConfig&)) {
  const auto loaded = load(given);
  if (loaded) return command(loaded->config);
  std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
  return ExitCode::kUsage;
}

ExitCode run_agent(const CommandLine& given) {
  const auto loaded = load(given);
  if (loaded)
    return assay::agent::run_agent(
        *loaded, {[given] { return load(given); }, assay::agent::make_probe_source});
  std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
  return ExitCode::kUsage;
}

ExitCode print_config(const CommandLine& given) {
  const auto loaded = load(given);
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
    return ExitCode::kUsage;
  }
  std::fputs(config_table().effective_yaml(*loaded).c_str(), stdout);
  return ExitCode::kOk;
}

void add_config_options(CLI::App& command, CommandLine& given) {
  command.add_option("--config", given.file,
                     std::string("Configuration file (default ") +
                         assay::agent::kDefaultConfigFile + ", which may be absent)");
  assay::config::add_flags(command, config_table().keys(), given.flags);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tells which base image every container on this node stands on.", "assay-agent");
  app.require_subcommand(1);
  CommandLine given;
  CLI::App& run = *app.add_subcommand("run", "Watch this node until SIGTERM");
  CLI::App& check = *app.add_subcommand("check", "Say what this machine offers and lacks");
  CLI::App& config = *app.add_subcommand("config", "The configuration");
  config.require_subcommand(1);
  CLI::App& config_check =
      *config.add_subcommand("check", "Read the configuration and print what is in effect");
  CLI::App& config_reference =
      *config.add_subcommand("reference", "Print all keys as a Markdown table");
  CLI::App& version = *app.add_subcommand("version", "Print the version");
  // The probe executes this to see itself see something; it must do nothing.
  CLI::App& canary = *app.add_subcommand("canary", "")->group("");
  canary.allow_extras();
  for (CLI::App* command : {&run, &check, &config_check})
    add_config_options(*command, given);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "assay-agent: %s\nSee assay-agent --help.\n",
                 assay::escape_untrusted(error.what()).c_str());
    return static_cast<int>(ExitCode::kUsage);
  }
  ExitCode code = ExitCode::kOk;
  if (run) code = run_agent(given);
  if (check) code = with_config(given, assay::agent::check_machine);
  if (config_check) code = print_config(given);
  if (config_reference) std::fputs(config_table().reference_markdown().c_str(), stdout);
  if (version) std::printf("assay-agent %s\n", ASSAY_VERSION);
  return static_cast<int>(code);
}
