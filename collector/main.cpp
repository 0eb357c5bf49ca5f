// SPDX-License-Identifier: Apache-2.0
// assay-collector: the command line and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "collector/app/commands.h"
#include "common/base/build_info.h"
#include "common/base/encoding.h"
#include "common/config/cli_flags.h"
#include "common/manual/manual.h"
#include "common/service/http_endpoint.h"

namespace {

using assay::ExitCode;
using assay::collector::CollectorConfig;
using assay::collector::config_table;
using Loaded = assay::config::Loaded<CollectorConfig>;

struct CommandLine {
  std::string file;
  assay::config::FlagValues flags;
  std::string dir;
  std::string address;
  assay::collector::InitRequest init;
  assay::collector::IssueRequest issue;
};

assay::Result<Loaded> load(const CommandLine& given, bool needs_trust) {
  assay::config::Sources sources;
  sources.flags = given.flags;
  sources.environment = assay::config::environment_with(config_table().environment_prefix());
  sources.file = given.file.empty() ? assay::collector::kDefaultConfigFile : given.file;
  sources.is_file_optional = given.file.empty();
  // init and issue need no key that signs the catalog; they only ask where the data lie.
  if (auto& texts = sources.flags["trust_file"]; !needs_trust && texts.empty()) texts = {"none"};
  return config_table().load(sources);
}

/// Problems of a configuration stand one per line, each beginning with its place.
ExitCode fail_config(const assay::Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return ExitCode::kUsage;
}

ExitCode run(const CommandLine& given) {
  const auto loaded = load(given, true);
  if (!loaded) return fail_config(loaded.error());
  return assay::collector::run_collector(*loaded, [given] { return load(given, true); });
}

ExitCode print_config(const CommandLine& given) {
  const auto loaded = load(given, true);
  if (!loaded) return fail_config(loaded.error());
  std::fputs(config_table().effective_yaml(*loaded).c_str(), stdout);
  return ExitCode::kOk;
}

/// DIR of init and issue: --dir, else the configured data_dir.
assay::Result<std::string> data_dir(const CommandLine& given) {
  if (!given.dir.empty()) return given.dir;
  auto loaded = load(given, false);
  if (!loaded) return std::move(loaded.error());
  return loaded->config.data_dir;
}

ExitCode init(CommandLine given) {
  auto dir = data_dir(given);
  if (!dir) return fail_config(dir.error());
  given.init.dir = *dir;
  if (!given.address.empty()) {
    const auto where = assay::service::parse_host_port(given.address);
    given.init.host = where ? where->host : given.address;
  }
  return assay::collector::run_init(given.init);
}

ExitCode issue(CommandLine given) {
  auto dir = data_dir(given);
  if (!dir) return fail_config(dir.error());
  given.issue.dir = *dir;
  return assay::collector::run_issue(given.issue);
}

ExitCode in_data_dir(const CommandLine& given,
                     const std::function<ExitCode(const std::string&)>& work) {
  const auto dir = data_dir(given);
  return dir ? work(*dir) : fail_config(dir.error());
}

/// `assay-collector ca …`; `code` is set by the one that is named.
void add_ca(CLI::App& app, CommandLine& given, ExitCode& code) {
  namespace collector = assay::collector;
  CLI::App& ca = *app.add_subcommand("ca", "The authority that issues certificates");
  ca.require_subcommand(1);
  CLI::App& show = *ca.add_subcommand("show", "Print the authorities that are trusted");
  CLI::App& server = *ca.add_subcommand("renew-server", "Issue the server's certificate anew");
  CLI::App& rotate = *ca.add_subcommand("rotate", "Replace the authority, in three steps");
  rotate.require_subcommand(1);
  show.callback([&] { code = in_data_dir(given, collector::run_show_authorities); });
  server.callback([&] { code = in_data_dir(given, collector::run_renew_server); });
  std::vector<CLI::App*> all{&ca, &show, &server, &rotate};
  const auto add_step = [&](const char* name, const char* text, collector::RotationStep step) {
    CLI::App& command = *rotate.add_subcommand(name, text);
    command.callback([&given, &code, step] {
      code = in_data_dir(
          given, [step](const std::string& dir) { return collector::run_rotate(dir, step); });
    });
    all.push_back(&command);
  };
  add_step("prepare", "A second authority is made, and trusted", collector::RotationStep::kPrepare);
  add_step("activate", "It issues from now on", collector::RotationStep::kActivate);
  add_step("retire", "The first one is trusted no longer", collector::RotationStep::kRetire);
  for (CLI::App* command : all)
    command->fallthrough();
  for (CLI::App* command : {&show, &server, all[4], all[5], all[6]})
    command->add_option("--dir", given.dir, "Folder of the authority (default: data_dir)");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Keeps what agents report, judges it, and answers.", "assay-collector");
  app.require_subcommand(1);
  CommandLine given;
  app.add_option("--config", given.file,
                 std::string("Configuration file (default ") +
                     assay::collector::kDefaultConfigFile + ", which may be absent)");
  assay::config::add_flags(app, config_table().keys(), given.flags);

  CLI::App& run_command = *app.add_subcommand("run", "Serve until SIGTERM");
  CLI::App& init_command =
      *app.add_subcommand("init", "Make an authority, the server's certificate and a first user");
  CLI::App& issue_command = *app.add_subcommand("issue", "Issue a client certificate");
  CLI::App& config_command = *app.add_subcommand("config", "The configuration");
  config_command.require_subcommand(1);
  CLI::App& check_command =
      *config_command.add_subcommand("check", "Read the configuration and print what is in effect");
  CLI::App& reference_command =
      *config_command.add_subcommand("reference", "Print all keys as a Markdown table");
  CLI::App& version_command =
      *app.add_subcommand("version", "Print the version, the commit and how it was built");
  // Options of the program may stand after the command as well.
  for (CLI::App* command : {&run_command, &init_command, &issue_command, &config_command,
                            &check_command, &reference_command, &version_command})
    command->fallthrough();

  for (CLI::App* command : {&init_command, &issue_command})
    command->add_option("--dir", given.dir, "Folder of the authority (default: data_dir)");
  init_command.add_option("--cluster", given.init.cluster, "Name of the cluster of nodes")
      ->capture_default_str();
  init_command.add_option("--address", given.address,
                          "HOST or HOST:PORT that agents and clients will use");
  CLI::Option& node = *issue_command.add_option("--node", given.issue.node,
                                                "For the agent of this node, [CLUSTER/]NAME");
  issue_command.add_option("--user", given.issue.user, "For this person")->excludes(&node);
  issue_command
      .add_option("--role", given.issue.role,
                  "What that person may: viewer (read), approver (change the catalog too), admin "
                  "(command nodes too)")
      ->excludes(&node)
      ->capture_default_str();
  issue_command.add_option("--out", given.issue.out, "Folder for ca.pem, cert.pem and key.pem")
      ->required();

  ExitCode code = ExitCode::kOk;
  add_ca(app, given, code);

  std::string manual;
  assay::manual::add_manual(app, 8, manual);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "assay-collector: %s\nSee assay-collector --help.\n",
                 assay::escape_untrusted(error.what()).c_str());
    return static_cast<int>(ExitCode::kUsage);
  }
  if (run_command) code = run(given);
  if (init_command) code = init(given);
  if (issue_command) code = issue(given);
  if (check_command) code = print_config(given);
  if (reference_command) std::fputs(config_table().reference_markdown().c_str(), stdout);
  std::fputs(manual.c_str(), stdout);
  if (version_command) std::fputs(assay::version_text("assay-collector").c_str(), stdout);
  return static_cast<int>(code);
}
