// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/about_view.h"
#include "cli/commands.h"
#include "cli/records.h"
#include "common/base/encoding.h"

namespace assay::cli {
namespace {

Value to_value(const Trace& trace) {
  Object object{
      {"run", cli::to_value(trace.run)},          {"origin", cli::to_value(trace.origin)},
      {"layers", to_array(trace.layers)},         {"unsupported", trace.unsupported},
      {"execs", to_array(trace.execs)},           {"findings", to_array(trace.findings)},
      {"other_runs", to_texts(trace.other_runs)}, {"runs_on_same_stack", trace.runs_on_same_stack}};
  object.emplace_back("containment",
                      trace.containment ? cli::to_value(*trace.containment) : Value());
  object.emplace_back("view", cli::to_value(trace.view));
  object.emplace_back("recognition", cli::to_value(trace.recognition));
  add_about(object, trace.about);
  return object;
}

Section run_section() {
  return {.columns = {{"Container", "run.container"},
                      {"Run", "run.run_id"},
                      {"Container id", "run.names.container_id"},
                      {"Image", "run.names.image"},
                      {"Manifest digest", "run.names.manifest_digest"},
                      {"Config digest", "run.names.config_digest"},
                      {"Repo digest", "run.names.repo_digest", Style::kPlain, true},
                      {"Image id", "run.names.image_id", Style::kPlain, true},
                      {"Runtime", "run.names.runtime"},
                      {"Pod namespace", "run.names.pod_namespace", Style::kPlain, true},
                      {"Pod", "run.names.pod_name", Style::kPlain, true},
                      {"Labels", "run.names.labels", Style::kPlain, true},
                      {"Known", "recognition.state"},
                      {"Known by", "recognition.reason"},
                      {"Identity conflicts", "recognition.conflicts"},
                      {"Node", "run.node"},
                      {"Cluster", "run.cluster"},
                      {"Kind", "run.kind"},
                      {"State", "run.state"},
                      {"Started", "run.started_at"},
                      {"Ended", "run.ended_at"},
                      {"Found late", "run.is_late", Style::kPlain, true},
                      {"Verdict", "run.verdict.status", Style::kVerdict},
                      {"Rung", "run.verdict.rung"},
                      {"Reason", "run.verdict.reason"},
                      {"Exemption", "run.exemption"},
                      {"Catalog sequence", "run.verdict.catalog_sequence"},
                      {"Files", "containment.state", Style::kPlain, true},
                      {"Contradictions", "run.verdict.contradictions", Style::kPlain, true},
                      {"Own layers", "run.verdict.application_layers"},
                      {"Stack", "run.stack"},
                      {"Runs on this stack", "runs_on_same_stack"},
                      {"Other runs", "other_runs", Style::kPlain, true},
                      {"Not readable", "unsupported", Style::kPlain, true}},
          .is_record = true};
}

Section origin_section() {
  return {.title = "Started by",
          .columns = {{"Cause", "origin.cause"},
                      {"Pid", "run.process.pid"},
                      {"Pids in namespaces", "origin.namespace_pids"},
                      {"User", "origin.uid"},
                      {"Group", "origin.gid"},
                      {"Starter's user", "origin.login.starter_uid"},
                      {"Logged in as", "origin.login.login_uid"},
                      {"Login", "origin.login.login_session", Style::kPlain, true},
                      {"Session", "origin.login.session"},
                      {"Terminal", "origin.login.terminal"},
                      {"Session told by", "origin.login.told_by", Style::kPlain, true},
                      {"Executable", "run.executable"},
                      {"Arguments", "origin.arguments"},
                      {"Root", "origin.root_type"},
                      {"Cgroup", "run.cgroup_path"},
                      {"Mount namespace", "origin.mount_namespace", Style::kPlain, true},
                      {"Pid namespace", "origin.pid_namespace", Style::kPlain, true},
                      {"User namespace", "origin.user_namespace", Style::kPlain, true}},
          .is_record = true};
}

Section posture_section() {
  return {.title = "Posture at its start",
          .columns = {{"Traits", "origin.posture.traits"},
                      {"Capabilities", "origin.posture.capabilities"},
                      {"Seccomp", "origin.posture.seccomp"},
                      {"LSM label", "origin.posture.lsm_label"}},
          .is_record = true};
}

Section view_section() {
  return {.title = "What it sees of its base",
          .columns = {{"View", "view.state"},
                      {"Why", "view.reason"},
                      {"Looked at", "view.checked_at"},
                      {"Paths", "view.paths"},
                      {"Masked", "view.masked"},
                      {"Masked paths", "view.masked_paths"},
                      {"Covered elsewhere", "view.covered"},
                      {"Replaced by the image", "view.replaced"},
                      {"Covered paths", "view.covered_paths"},
                      {"Layers of the base", "view.layers", Style::kPlain, true},
                      {"Masked by the image", "view.by_image", Style::kPlain, true}},
          .is_record = true};
}

std::vector<Section> sections(const catalog::About& about) {
  std::vector<Section> shown{run_section()};
  add_about_sections(shown, about);
  const std::vector<Section> others{
      {.title = "Bases, the one that names the run first",
       .path = "run.verdict.matches",
       .columns = {{"BASE", "base"},
                   {"STATUS", "status", Style::kVerdict},
                   {"RUNG", "rung"},
                   {"LAYERS", "layers"},
                   {"ABOVE", "first_layer"}}},
      {.title = "Bases in its files",
       .path = "containment.bases",
       .columns = {{"BASE", "base"},
                   {"CONTAINED", "is_contained"},
                   {"SHARE", "share_percent"},
                   {"FILES", "files"},
                   {"CHANGED", "changed"},
                   {"MISSING", "missing"},
                   {"WHY", "why"}}},
      {.title = "Layers, bottom first",
       .path = "layers",
       .columns = {{"SHAPE", "shape", Style::kDigest},
                   {"CONTENT", "content", Style::kDigest},
                   {"CLAIMED DIFF ID", "claimed_diff_id", Style::kDigest},
                   {"CLAIMED CHAIN ID", "claimed_chain_id", Style::kDigest},
                   {"ENTRIES", "entries"},
                   {"BYTES", "content_bytes"},
                   {"INJECTED", "is_injected"},
                   {"GAP", "gap"},
                   {"TAMPERED", "tampered"},
                   {"NAME", "name", Style::kPlain, true},
                   {"INODE", "instance.inode", Style::kPlain, true},
                   {"GENERATION", "instance.generation", Style::kPlain, true},
                   {"FILE SYSTEM", "instance.file_system", Style::kPlain, true},
                   {"MUTABLE", "is_mutable", Style::kPlain, true},
                   {"CLAIM FOR DISPLAY", "is_claim_for_display", Style::kPlain, true},
                   {"CAPPED", "is_capped_at_shape", Style::kPlain, true}}},
      view_section(),
      origin_section(),
      posture_section(),
      {.title = "Ancestors, nearest first",
       .path = "origin.ancestors",
       .columns = {{"PID", "pid"}, {"NAME", "name"}, {"STARTED", "started_at"}}},
      {.title = "Executions",
       .path = "execs",
       .columns = {{"TIME", "time"},
                   {"PID", "process.pid"},
                   {"PARENT", "parent.name"},
                   {"USER", "uid"},
                   {"EXECUTABLE", "executable"},
                   {"FROM", "origin"},
                   {"FILE", "path"},
                   {"INTERPRETER", "is_interpreter", Style::kPlain, true},
                   {"ARGUMENTS", "arguments"}}},
      {.title = "Findings",
       .path = "findings",
       .columns = {{"KIND", "kind"},
                   {"STATE", "state"},
                   {"AGE", "opened_at", Style::kAge},
                   {"REASON", "reason"}}}};
  shown.insert(shown.end(), others.begin(), others.end());
  return shown;
}

struct Question {
  std::string target;
  std::string node;
};

Result<Outcome> trace_target(const Question& question, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  auto trace = client->get_trace(question.target, question.node);
  if (!trace && trace.error().code == ErrorCode::kNotFound)
    return std::move(trace.error()).with_context(escape_untrusted(question.target, 128));
  if (!trace) return std::move(trace.error());
  return Outcome{{to_value(*trace), sections(trace->about)}};
}

}  // namespace

void add_trace(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto question = std::make_shared<Question>();
  CLI::App& command =
      add_command(app, "trace", "Print everything known of one container", invocation,
                  [question](Session& session) { return trace_target(*question, session); });
  command.group("Containers and nodes");
  command
      .add_option("CONTAINER", question->target,
                  "container name, container id (12 digits are enough), or run id")
      ->required();
  command.add_option("--node", question->node, "only on this node")->option_text("[CLUSTER/]NODE");
}

}  // namespace assay::cli
