// SPDX-License-Identifier: Apache-2.0
// assay-agent: the command line and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/app/config.h"
#include "agent/app/once.h"
#include "agent/app/probe_source.h"
#include "agent/app/record.h"
#include "agent/app/run.h"
#include "agent/app/verify_command.h"
#include "common/base/build_info.h"
#include "common/base/encoding.h"
#include "common/base/exit_code.h"
#include "common/config/cli_flags.h"
#include "common/config/key.h"
#include "common/manual/manual.h"

namespace {

using assay::ExitCode;
using assay::agent::AgentConfig;
using assay::agent::config_table;
using Loaded = assay::config::Loaded<AgentConfig>;

struct CommandLine {
  std::string file;
  assay::config::FlagValues flags;
  std::string recording;  ///< of record and replay
  std::string duration;
  std::string max_bytes;
  bool with_events = false;
  assay::agent::VerifyCommandOptions verify;
  assay::agent::OnceOptions once;
  assay::agent::PrintOptions check_print;
};

assay::Result<Loaded> load(const CommandLine& given) {
  assay::config::Sources sources;
  sources.flags = given.flags;
  sources.environment = assay::config::environment_with(config_table().environment_prefix());
  sources.file = given.file.empty() ? assay::agent::kDefaultConfigFile : given.file;
  sources.is_file_optional = given.file.empty();
  return config_table().load(sources);
}

template <typename Command>
ExitCode with_config(const CommandLine& given, Command command) {
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

ExitCode refuse(const assay::Error& error) {
  std::fprintf(stderr, "assay-agent: %s\n", assay::escape_untrusted(error.text()).c_str());
  return ExitCode::kUsage;
}

ExitCode record_to_file(const CommandLine& given) {
  assay::agent::RecordOptions options;
  options.file = given.recording;
  if (!given.duration.empty()) {
    const auto duration = assay::config::parse_duration(given.duration);
    if (!duration) return refuse(duration.error());
    options.duration =
        std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(*duration));
  }
  if (!given.max_bytes.empty()) {
    const auto bytes = assay::config::parse_size(given.max_bytes);
    if (!bytes) return refuse(bytes.error());
    options.max_bytes = static_cast<std::uint64_t>(*bytes);
  }
  const auto loaded = load(given);
  if (loaded) return assay::agent::record_node(loaded->config, options);
  std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
  return ExitCode::kUsage;
}

ExitCode verify(const CommandLine& given) {
  return with_config(given, [&](const AgentConfig& config) {
    return assay::agent::verify_node(config, given.verify);
  });
}

ExitCode once(const CommandLine& given) {
  assay::agent::OnceOptions options = given.once;
  if (!given.duration.empty()) {
    const auto timeout = assay::config::parse_duration(given.duration);
    if (!timeout) return refuse(timeout.error());
    options.timeout =
        std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(*timeout));
  }
  return with_config(
      given, [&](const AgentConfig& config) { return assay::agent::audit_once(config, options); });
}

void add_print_options(CLI::App& command, assay::agent::PrintOptions& options) {
  command.add_option("-o,--output", options.format, "table, wide, json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->option_text("FORMAT");
  command.add_flag_callback(
      "--no-headers", [&options] { options.has_headers = false; },
      "Leave the line of column names out");
}

void add_verify_options(CLI::App& command, assay::agent::VerifyCommandOptions& options) {
  command.add_option("TARGET", options.target,
                     "A container (its id or how that begins, its name, a run id) or a layer (diff "
                     "ID, shape or content digest, or how it begins); all layers when left out");
  command.add_option("--timeout", options.timeout, "How long it may take (default 10m)");
  add_print_options(command, options.print);
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
  CLI::App& once_command = *app.add_subcommand(
      "once", "Audit the containers that run now, print them, and end; needs no collector");
  once_command.add_option("--catalog", given.once.catalog,
                          "Judge by the catalog in FILE (from assay base export), signed by a key "
                          "of trust_file; default: the one that the agent of this node holds");
  once_command.add_option("--timeout", given.duration, "How long it may take (default 10m)");
  add_print_options(once_command, given.once.print);
  CLI::App& check = *app.add_subcommand("check", "Say what this machine offers and lacks");
  add_print_options(check, given.check_print);
  CLI::App& record = *app.add_subcommand(
      "record", "Write all that the probe sees, and what the node answers about it, to a file");
  record.add_option("FILE", given.recording, "A new file; it is made with mode 0600")->required();
  record.add_option("--duration", given.duration,
                    "Stop after this time, e.g. 30s (default: never)");
  record.add_option("--max-bytes", given.max_bytes, "Stop at this size (default 256MiB)");
  CLI::App& replay = *app.add_subcommand(
      "replay", "Print as JSON what the agent makes of a recording; needs no rights");
  replay.add_option("FILE", given.recording, "A file that record wrote")->required();
  replay.add_flag("--events", given.with_events, "Print each event as it would be sent, too");
  CLI::App& unpin =
      *app.add_subcommand("unpin", "Remove the probe that a killed agent left in the kernel");
  CLI::App& verify_command = *app.add_subcommand(
      "verify", "Have the agent of this node read layers again, every byte, and say what changed");
  add_verify_options(verify_command, given.verify);
  CLI::App& config = *app.add_subcommand("config", "The configuration");
  config.require_subcommand(1);
  CLI::App& config_check =
      *config.add_subcommand("check", "Read the configuration and print what is in effect");
  CLI::App& config_reference =
      *config.add_subcommand("reference", "Print all keys as a Markdown table");
  CLI::App& version =
      *app.add_subcommand("version", "Print the version, the commit and how it was built");
  // The probe executes this to see itself see something; it must do nothing.
  CLI::App& canary = *app.add_subcommand("canary", "")->group("");
  canary.allow_extras();
  for (CLI::App* command :
       {&run, &once_command, &check, &record, &unpin, &verify_command, &config_check})
    add_config_options(*command, given);

  std::string manual;
  assay::manual::add_manual(app, 8, manual);

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
  if (check)
    code = with_config(given, [&](const AgentConfig& loaded) {
      return assay::agent::check_machine(loaded, given.check_print);
    });
  if (record) code = record_to_file(given);
  if (replay) code = assay::agent::replay_file(given.recording, given.with_events);
  if (unpin) code = with_config(given, assay::agent::remove_probe);
  if (verify_command) code = verify(given);
  if (once_command) code = once(given);
  if (config_check) code = print_config(given);
  if (config_reference) std::fputs(config_table().reference_markdown().c_str(), stdout);
  std::fputs(manual.c_str(), stdout);
  if (version) std::fputs(assay::version_text("assay-agent").c_str(), stdout);
  return static_cast<int>(code);
}
