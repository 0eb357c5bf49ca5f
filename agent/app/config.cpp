// SPDX-License-Identifier: Apache-2.0
#include "agent/app/config.h"

#include "agent/privacy/label_rules.h"
#include "agent/privacy/redactor.h"
#include "agent/runtime/disk_records.h"
#include "agent/runtime/runtime_notes.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

using Table = config::Table<AgentConfig>;

void add_identity(Table& table) {
  table.text("cluster", &AgentConfig::cluster, {.text = "Name of the cluster this node is part of"})
      .text("node", &AgentConfig::node,
            {.text = "Name of this node, as in its certificate; empty for the host's name"})
      .text("collector.address", &AgentConfig::collector_address,
            {.text = "HOST:PORT of the collector; empty to keep events in the outbox only",
             .is_live = true})
      .path("tls.ca", &AgentConfig::tls_ca,
            {.text = "Certificates of the authorities that may have issued the collector's",
             .is_live = true})
      .path("tls.cert", &AgentConfig::tls_certificate,
            {.text = "This agent's certificate", .is_live = true})
      .path("tls.key", &AgentConfig::tls_key,
            {.text = "The certificate's private key", .is_live = true})
      .path("enrol.token_file", &AgentConfig::enrol_token_file,
            {.text = "File with a join token, mode 600: the agent gets its certificate by it and "
                     "keeps it fresh, in state_dir; tls.* is not used then"})
      .path("enrol.service_account_file", &AgentConfig::enrol_service_account_file,
            {.text = "The same with a projected service account token of Kubernetes, read anew "
                     "each time"})
      .path("enrol.ca", &AgentConfig::enrol_ca,
            {.text = "Authorities of the collector's certificate, PEM, until some are kept; empty "
                     "for those that the join token names"})
      .path(
          "trust_file", &AgentConfig::trust_file,
          {.text = "Public keys that may sign the catalog; empty to trust none", .is_live = true});
}

void add_state(Table& table) {
  table
      .path("state_dir", &AgentConfig::state_dir,
            {.text = "Folder for outbox.db and state.db, mode 0700"})
      .size("outbox.max_bytes", &AgentConfig::outbox_max_bytes,
            {.text = "Events kept while the collector is away", .min = "1MiB", .is_live = true})
      .text("http.address", &AgentConfig::http_address,
            {.text = "HOST:PORT of /healthz, /readyz and /metrics; empty for none"})
      .path("local.socket", &AgentConfig::local_socket,
            {.text = "Unix socket of assay-agent verify, for root alone, in a folder that only the "
                     "agent's user may enter; empty for none"})
      .boolean("rights.seccomp", &AgentConfig::seccomp,
               {.text = "Refuse system calls that a running agent does not make"})
      .text("log.level", &AgentConfig::log_level,
            {.text = "Least level that is written",
             .values = {"debug", "info", "warn", "error"},
             .is_live = true})
      .text("log.format", &AgentConfig::log_format,
            {.text = "Form of a line", .values = {"text", "json"}, .is_live = true});
}

void add_watching(Table& table) {
  table
      .text("exec.level", &AgentConfig::exec_level,
            {.text = "Execs in containers that are recorded; foreign: of files from no layer",
             .values = {"off", "foreign", "all"},
             .is_live = true})
      .boolean("exec.arguments", &AgentConfig::arguments,
               {.text = "Record the arguments of programs", .is_live = true})
      .integer("exec.max_argument_bytes", &AgentConfig::max_argument_bytes,
               {.text = "Arguments beyond this are cut",
                .unit = "bytes",
                .max = "4096",
                .is_live = true})
      .list("privacy.redact_words", &AgentConfig::redact_words,
            {.text = "Words in the names of options, variables and headers whose values are left "
                     "out of recorded arguments; \"-\" is \"-\", \"_\" or nothing",
             .is_live = true})
      .list("privacy.redact_patterns", &AgentConfig::redact_patterns,
            {.text = "Regular expressions (RE2) of what else is left out of each argument: the "
                     "first group of a match, or all of it",
             .is_live = true})
      .list("privacy.labels", &AgentConfig::labels,
            {.text = "Keys of labels and annotations that leave the node; \"*\" is anything, the "
                     "first that matches decides, \"!KEY\" stays",
             .is_live = true})
      .size("probe.start_ring_bytes", &AgentConfig::probe_start_ring_bytes,
            {.text = "Ring buffer for starts", .min = "64KiB", .max = "256MiB"})
      .size("probe.exec_ring_bytes", &AgentConfig::probe_exec_ring_bytes,
            {.text = "Ring buffer for execs", .min = "64KiB", .max = "256MiB"})
      .duration("probe.sweep_interval", &AgentConfig::sweep_interval,
                {.text = "Time between two sweeps over all tasks",
                 .min = "1s",
                 .max = "1h",
                 .is_live = true})
      .integer("probe.exec_budget", &AgentConfig::exec_budget,
               {.text = "Execs of one container that are recorded each second",
                .min = "1",
                .max = "100000"})
      .integer(
          "probe.start_budget", &AgentConfig::start_budget,
          {.text = "New roots of one container that may wait in the ring buffer for starts once "
                   "it is half full",
           .min = "1",
           .max = "100000"})
      .path("probe.pin_dir", &AgentConfig::pin_dir,
            {.text = "Folder on bpffs where the probe is kept while the agent is away; empty to "
                     "keep none"})
      .boolean(
          "probe.keep_on_exit", &AgentConfig::keep_on_exit,
          {.text = "Keep the probe after a clean stop too, for an agent that follows at once"});
}

void add_identifying(Table& table) {
  table
      .integer("identify.shape_threads", &AgentConfig::shape_threads,
               {.text = "Threads that walk new layers", .min = "1", .max = "64"})
      .integer("identify.content_threads", &AgentConfig::content_threads,
               {.text = "Threads that hash new layers", .min = "1", .max = "64"})
      .boolean("identify.content_idle", &AgentConfig::content_idle,
               {.text = "Hash only when nothing else wants the CPU and the disk"})
      .size("identify.background_bytes", &AgentConfig::background_bytes,
            {.text = "Bytes that hashing and walking again read each second, together; 0 for "
                     "no limit",
             .is_live = true})
      .integer(
          "identify.background_cpu", &AgentConfig::background_cpu,
          {.text = "What they take of the CPU, together, in percent of one core; 0 for no limit",
           .max = "6400",
           .is_live = true})
      .integer(
          "identify.max_entries", &AgentConfig::max_entries,
          {.text = "Layers with more paths are not identified", .min = "1000", .is_live = true})
      .size("identify.max_content_bytes", &AgentConfig::max_content_bytes,
            {.text = "Layers with more content are not identified", .min = "1MiB", .is_live = true})
      .duration(
          "identify.rewalk_interval", &AgentConfig::rewalk_interval,
          {.text = "Time between two walks over a layer that a container runs on, to find what "
                   "was changed in it; 0s for none",
           .min = "0s",
           .max = "24h",
           .is_live = true})
      .text("identify.exact", &AgentConfig::exact,
            {.text = "Prove layers of running containers in the background, by the tar stream that "
                     "their store keeps",
             .values = {"off", "on"},
             .is_live = true})
      .duration("identify.exact_interval", &AgentConfig::exact_interval,
                {.text = "Time between two proofs of one layer; 0s for one each",
                 .min = "0s",
                 .max = "8760h",
                 .is_live = true})
      .list("runtime.docker_roots", &AgentConfig::docker_roots, {.text = "docker's data roots"})
      .list("runtime.containerd_states", &AgentConfig::containerd_states,
            {.text = "containerd's state folders"})
      .list("runtime.containers_storage_roots", &AgentConfig::containers_storage_roots,
            {.text = "Graph roots, additional image stores and run roots of podman and CRI-O"})
      .list(
          "runtime.oci_states", &AgentConfig::oci_states,
          {.text = "Folders in which OCI runtimes (runc, crun) keep the state of what they run; a "
                   "container that no folder of runtime.* knows is the finding rogue"})
      .list("runtime.containerd_sockets", &AgentConfig::containerd_sockets,
            {.text = "containerd's sockets to ask for claims and labels; none are needed"});
}

std::vector<std::string> check(const AgentConfig& config) {
  std::vector<std::string> problems;
  if (config.cluster.empty()) problems.emplace_back("cluster: must not be empty");
  for (const std::string& socket : config.containerd_sockets)
    if (!socket.starts_with('/'))
      problems.emplace_back("runtime.containerd_sockets: \"" + escape_untrusted(socket, 100) +
                            "\" is no absolute path of a unix socket");
  if (auto redactor = Redactor::create({config.redact_words, config.redact_patterns}); !redactor)
    problems.push_back(redactor.error().message);
  if (auto rules = LabelRules::create(config.labels); !rules)
    problems.push_back(rules.error().message);
  if (config.state_dir.empty()) problems.emplace_back("state_dir: must not be empty");
  if (!config.enrol_token_file.empty() && !config.enrol_service_account_file.empty())
    problems.emplace_back("enrol.token_file, enrol.service_account_file: give one of them");
  if (!config.enrol_service_account_file.empty() && config.enrol_ca.empty())
    problems.emplace_back(
        "enrol.ca: needed with enrol.service_account_file, which does not say whom to believe");
  if (config.collector_address.empty() || config.is_enrolling()) return problems;
  if (config.tls_ca.empty() || config.tls_certificate.empty() || config.tls_key.empty())
    problems.emplace_back(
        "tls.ca, tls.cert, tls.key: all are needed when collector.address is given");
  return problems;
}

Table make_table() {
  Table table("ASSAY_AGENT_");
  add_identity(table);
  add_state(table);
  add_watching(table);
  add_identifying(table);
  table.rule(check);
  return table;
}

}  // namespace

AgentConfig::AgentConfig() {
  RuntimeRoots roots = default_runtime_roots();
  docker_roots = std::move(roots.docker);
  containerd_states = std::move(roots.containerd);
  containers_storage_roots = std::move(roots.containers_storage);
  oci_states = default_oci_states();
}

const config::Table<AgentConfig>& config_table() {
  static const Table table = make_table();
  return table;
}

}  // namespace assay::agent
