// SPDX-License-Identifier: Apache-2.0
// The subcommands: each function declares one with its options; once it is named on the command
// line it becomes `invocation.command`. `invocation` must outlive parsing and the command.
#pragma once

#include <functional>
#include <string>

#include "cli/session.h"

namespace CLI {  // NOLINT: not our name
class App;
}

namespace assay::cli {

void add_version(CLI::App& app, Invocation& invocation);
void add_check(CLI::App& app, Invocation& invocation);
void add_fingerprint(CLI::App& app, Invocation& invocation);
void add_key(CLI::App& app, Invocation& invocation);
void add_ps(CLI::App& app, Invocation& invocation);
void add_findings(CLI::App& app, Invocation& invocation);
/// `assay finding …`
void add_finding(CLI::App& app, Invocation& invocation);
/// `assay login`, `logout` and `whoami`
void add_login(CLI::App& app, Invocation& invocation);
/// `assay token …`
void add_token(CLI::App& app, Invocation& invocation);
void add_audit(CLI::App& app, Invocation& invocation);
void add_trace(CLI::App& app, Invocation& invocation);
void add_nodes(CLI::App& app, Invocation& invocation);
/// `assay node …`
void add_node(CLI::App& app, Invocation& invocation);
void add_node_access(CLI::App& node, Invocation& invocation);
/// `assay ca …`
void add_ca(CLI::App& app, Invocation& invocation);
void add_where(CLI::App& app, Invocation& invocation);
/// `assay scan …`
void add_scan(CLI::App& app, Invocation& invocation);

/// `assay base …`
void add_base(CLI::App& app, Invocation& invocation);
void add_base_approve(CLI::App& base, Invocation& invocation);
void add_base_deprecate(CLI::App& base, Invocation& invocation);
void add_base_revoke(CLI::App& base, Invocation& invocation);
void add_base_discover(CLI::App& base, Invocation& invocation);
void add_base_impact(CLI::App& base, Invocation& invocation);
void add_base_export(CLI::App& base, Invocation& invocation);
void add_base_compare(CLI::App& base, Invocation& invocation);
void add_base_history(CLI::App& base, Invocation& invocation);
void add_base_list(CLI::App& base, Invocation& invocation);
void add_base_show(CLI::App& base, Invocation& invocation);

/// `assay log …`
void add_log(CLI::App& app, Invocation& invocation);
void add_log_verify(CLI::App& log, Invocation& invocation);
void add_log_changes(CLI::App& log, Invocation& invocation);
/// `assay root …`
void add_root(CLI::App& app, Invocation& invocation);
/// `assay bundle …`
void add_bundle(CLI::App& app, Invocation& invocation);

/// `assay policy …`
void add_policy(CLI::App& app, Invocation& invocation);
void add_policy_test(CLI::App& policy, Invocation& invocation);

/// What -o of a command takes besides table, wide and json: sarif and junit (its outcome has a
/// report), svg (its document has a picture), or yaml (its document
/// has a file, or its values are written so).
enum class Formats { kUsual, kWithReports, kWithPicture, kWithFile };

/// A subcommand of `parent` that answers with a document: it has -o and --no-headers, and takes the
/// global options as well. Not for commands that only hold others.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& text,
                      Invocation& invocation, Command command, Formats formats = Formats::kUsual);

}  // namespace assay::cli
