// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/schema.h"

namespace assay::collector {
namespace {

// 0 stands for "not yet" in *_ns columns, so that "running" and "open" are plain comparisons that
// partial indexes can use.
constexpr const char* kFirst = R"sql(
CREATE TABLE nodes(
  node_id INTEGER PRIMARY KEY,
  cluster TEXT NOT NULL,
  node TEXT NOT NULL,
  last_seen_ns INTEGER NOT NULL DEFAULT 0,
  version TEXT NOT NULL DEFAULT '',
  kernel TEXT NOT NULL DEFAULT '',
  boot_id TEXT NOT NULL DEFAULT '',
  probe_state TEXT NOT NULL DEFAULT '',
  probe_detail TEXT NOT NULL DEFAULT '',
  probe_sent INTEGER NOT NULL DEFAULT 0,
  probe_lost INTEGER NOT NULL DEFAULT 0,
  queue_dropped INTEGER NOT NULL DEFAULT 0,
  outbox_events INTEGER NOT NULL DEFAULT 0,
  outbox_bytes INTEGER NOT NULL DEFAULT 0,
  running INTEGER NOT NULL DEFAULT 0,
  layers_pending INTEGER NOT NULL DEFAULT 0,
  rss_bytes INTEGER NOT NULL DEFAULT 0,
  cpu_ns INTEGER NOT NULL DEFAULT 0,
  catalog_sequence INTEGER NOT NULL DEFAULT 0,
  catalog_is_stale INTEGER NOT NULL DEFAULT 0,
  acknowledged INTEGER NOT NULL DEFAULT 0,
  UNIQUE(cluster, node)) STRICT;

CREATE TABLE epochs(
  node_id INTEGER NOT NULL REFERENCES nodes,
  epoch BLOB NOT NULL,
  acknowledged INTEGER NOT NULL,
  PRIMARY KEY(node_id, epoch)) STRICT, WITHOUT ROWID;

CREATE TABLE stacks(
  stack_id INTEGER PRIMARY KEY,
  node_id INTEGER NOT NULL REFERENCES nodes,
  digest BLOB NOT NULL,
  is_described INTEGER NOT NULL DEFAULT 0,
  unsupported TEXT NOT NULL DEFAULT '',
  layers INTEGER NOT NULL DEFAULT 0,
  running INTEGER NOT NULL DEFAULT 0,
  judged_round INTEGER NOT NULL DEFAULT 0,
  verdict TEXT NOT NULL DEFAULT 'pending',
  rung TEXT NOT NULL DEFAULT 'none',
  reason TEXT NOT NULL DEFAULT '',
  contradictions TEXT NOT NULL DEFAULT '[]',
  application_layers INTEGER NOT NULL DEFAULT 0,
  catalog_sequence INTEGER NOT NULL DEFAULT 0,
  UNIQUE(node_id, digest)) STRICT;
CREATE INDEX stacks_to_judge_running ON stacks(judged_round) WHERE is_described = 1 AND running > 0;
CREATE INDEX stacks_to_judge ON stacks(judged_round) WHERE is_described = 1;
CREATE INDEX stacks_by_verdict ON stacks(verdict);
CREATE INDEX stacks_undescribed ON stacks(node_id) WHERE is_described = 0;

CREATE TABLE stack_matches(
  stack_id INTEGER NOT NULL REFERENCES stacks,
  position INTEGER NOT NULL,
  base_name TEXT NOT NULL,
  base_version TEXT NOT NULL,
  status TEXT NOT NULL,
  rung TEXT NOT NULL,
  layers INTEGER NOT NULL,
  first_layer INTEGER NOT NULL,
  PRIMARY KEY(stack_id, position)) STRICT, WITHOUT ROWID;
CREATE INDEX stack_matches_by_base ON stack_matches(base_name, base_version, stack_id);

CREATE TABLE layers(
  layer_id INTEGER PRIMARY KEY,
  node_id INTEGER NOT NULL REFERENCES nodes,
  key BLOB NOT NULL,
  file_system TEXT NOT NULL,
  inode INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  birth_ns INTEGER NOT NULL,
  claimed_diff_id BLOB,
  shape BLOB,
  content BLOB,
  deletions BLOB,
  exact_diff_id BLOB,
  is_capped_at_shape INTEGER NOT NULL,
  is_mutable INTEGER NOT NULL,
  gap TEXT NOT NULL,
  name TEXT NOT NULL,
  is_injected INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  content_bytes INTEGER NOT NULL,
  UNIQUE(node_id, key)) STRICT;
CREATE INDEX layers_by_content ON layers(content) WHERE content IS NOT NULL;
CREATE INDEX layers_by_shape ON layers(shape) WHERE shape IS NOT NULL;

CREATE TABLE stack_layers(
  stack_id INTEGER NOT NULL REFERENCES stacks,
  position INTEGER NOT NULL,
  layer_id INTEGER NOT NULL REFERENCES layers,
  PRIMARY KEY(stack_id, position)) STRICT, WITHOUT ROWID;
CREATE INDEX stack_layers_by_layer ON stack_layers(layer_id);

CREATE TABLE runs(
  run_key INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  node_id INTEGER NOT NULL REFERENCES nodes,
  stack_id INTEGER NOT NULL REFERENCES stacks,
  kind TEXT NOT NULL,
  cause TEXT NOT NULL,
  is_late INTEGER NOT NULL,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL DEFAULT 0,
  end_is_approximate INTEGER NOT NULL DEFAULT 0,
  is_open INTEGER NOT NULL DEFAULT 1,
  is_overdue INTEGER NOT NULL DEFAULT 0,
  overdue_at_ns INTEGER NOT NULL DEFAULT 0,
  container_id TEXT NOT NULL DEFAULT '',
  container_name TEXT NOT NULL DEFAULT '',
  runtime TEXT NOT NULL DEFAULT '',
  image TEXT NOT NULL DEFAULT '',
  image_id TEXT NOT NULL DEFAULT '',
  pod_name TEXT NOT NULL DEFAULT '',
  pod_namespace TEXT NOT NULL DEFAULT '',
  pod_uid TEXT NOT NULL DEFAULT '',
  labels TEXT NOT NULL DEFAULT '{}',
  executable TEXT NOT NULL,
  arguments TEXT NOT NULL,
  arguments_truncated INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  process_start_ns INTEGER NOT NULL,
  process_name TEXT NOT NULL,
  ancestors TEXT NOT NULL,
  namespace_pids TEXT NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  cgroup_path TEXT NOT NULL,
  cgroup_id INTEGER NOT NULL,
  mount_namespace INTEGER NOT NULL,
  pid_namespace INTEGER NOT NULL,
  user_namespace INTEGER NOT NULL,
  root_type TEXT NOT NULL,
  agent_verdict TEXT NOT NULL DEFAULT '',
  agent_base TEXT NOT NULL DEFAULT '',
  agent_catalog_sequence INTEGER NOT NULL DEFAULT 0,
  verdict_differs INTEGER NOT NULL DEFAULT 0,
  UNIQUE(run_id, node_id)) STRICT;
CREATE INDEX runs_by_time ON runs(started_ns, run_key);
CREATE INDEX runs_running ON runs(started_ns, run_key) WHERE ended_ns = 0;
CREATE INDEX runs_by_node ON runs(node_id, started_ns, run_key);
CREATE INDEX runs_by_stack ON runs(stack_id, started_ns);
CREATE INDEX runs_running_by_stack ON runs(stack_id, started_ns) WHERE ended_ns = 0;
CREATE INDEX runs_open_by_stack ON runs(stack_id) WHERE is_open = 1;
CREATE INDEX runs_overdue ON runs(overdue_at_ns) WHERE overdue_at_ns > 0;
CREATE INDEX runs_by_container_id ON runs(container_id, started_ns) WHERE container_id <> '';
CREATE INDEX runs_by_container_name ON runs(container_name, started_ns) WHERE container_name <> '';

CREATE TABLE execs(
  exec_key INTEGER PRIMARY KEY,
  run_key INTEGER NOT NULL REFERENCES runs,
  time_ns INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  process_start_ns INTEGER NOT NULL,
  process_name TEXT NOT NULL,
  parent_pid INTEGER NOT NULL,
  parent_start_ns INTEGER NOT NULL,
  parent_name TEXT NOT NULL,
  uid INTEGER NOT NULL,
  executable TEXT NOT NULL,
  arguments TEXT NOT NULL,
  arguments_truncated INTEGER NOT NULL,
  is_from_upper INTEGER NOT NULL) STRICT;
CREATE INDEX execs_by_run ON execs(run_key, time_ns);

CREATE TABLE findings(
  finding_key INTEGER PRIMARY KEY,
  finding_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  opened_ns INTEGER NOT NULL,
  changed_ns INTEGER NOT NULL,
  resolved_ns INTEGER NOT NULL DEFAULT 0,
  resolved_reason TEXT NOT NULL DEFAULT '',
  node_id INTEGER NOT NULL REFERENCES nodes,
  run_key INTEGER REFERENCES runs,
  base TEXT NOT NULL) STRICT;
CREATE INDEX findings_by_time ON findings(opened_ns, finding_key);
CREATE INDEX findings_open ON findings(opened_ns, finding_key) WHERE resolved_ns = 0;
CREATE INDEX findings_open_by_kind ON findings(kind, opened_ns, finding_key) WHERE resolved_ns = 0;
CREATE INDEX findings_by_run ON findings(run_key, kind) WHERE run_key IS NOT NULL;
CREATE INDEX findings_by_node ON findings(node_id, kind) WHERE run_key IS NULL;

CREATE TABLE catalog_log(
  sequence INTEGER PRIMARY KEY,
  statement BLOB NOT NULL,
  submitted_by TEXT NOT NULL,
  received_ns INTEGER NOT NULL) STRICT;
CREATE TABLE catalog_head(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  head BLOB NOT NULL) STRICT;

CREATE TABLE judging(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  round INTEGER NOT NULL,
  catalog_sequence INTEGER NOT NULL,
  began_ns INTEGER NOT NULL) STRICT;
INSERT INTO judging VALUES(1, 1, 0, 0);

CREATE TABLE audit_log(
  audit_key INTEGER PRIMARY KEY,
  time_ns INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
CREATE INDEX audit_log_by_time ON audit_log(time_ns);
)sql";

// A stack has as many runs as a node starts: its runs are settled over several transactions.
constexpr const char* kUnsettledStacks = R"sql(
CREATE TABLE unsettled_stacks(
  stack_id INTEGER PRIMARY KEY REFERENCES stacks,
  after_run_key INTEGER NOT NULL) STRICT;
)sql";

// What the layers say of themselves, for people.
constexpr const char* kStackAbout = R"sql(
ALTER TABLE stacks ADD COLUMN about TEXT NOT NULL DEFAULT '';
)sql";

// Full states: which are wanted and told (node_states), and which runs they told (told_in). Epochs
// are rows with an order, so that the one before can be found. What heartbeats say.
constexpr const char* kStatesAndHealth = R"sql(
CREATE TABLE node_states(
  node_id INTEGER PRIMARY KEY REFERENCES nodes,
  boot_id TEXT NOT NULL,
  request INTEGER NOT NULL,
  is_wanted INTEGER NOT NULL,
  wanted_because TEXT NOT NULL,
  state INTEGER NOT NULL,
  is_telling INTEGER NOT NULL,
  is_torn INTEGER NOT NULL,
  is_ending INTEGER NOT NULL,
  state_ns INTEGER NOT NULL,
  told INTEGER NOT NULL,
  added INTEGER NOT NULL,
  reopened INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  finding_id TEXT NOT NULL,
  gap TEXT NOT NULL,
  gap_from_ns INTEGER NOT NULL,
  missing INTEGER NOT NULL) STRICT;
CREATE INDEX node_states_ending ON node_states(node_id) WHERE is_ending = 1;

ALTER TABLE runs ADD COLUMN told_in INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_running_by_node ON runs(node_id, told_in) WHERE ended_ns = 0;

CREATE TABLE epochs_2(
  epoch_key INTEGER PRIMARY KEY AUTOINCREMENT,
  node_id INTEGER NOT NULL REFERENCES nodes,
  epoch BLOB NOT NULL,
  acknowledged INTEGER NOT NULL,
  last_event_ns INTEGER NOT NULL DEFAULT 0,
  UNIQUE(node_id, epoch)) STRICT;
INSERT INTO epochs_2(node_id, epoch, acknowledged) SELECT node_id, epoch, acknowledged FROM epochs;
DROP TABLE epochs;
ALTER TABLE epochs_2 RENAME TO epochs;

ALTER TABLE nodes ADD COLUMN heartbeat_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN clock_offset_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN probe_is_attached INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN probe_has_seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN lost_starts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN lost_execs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN recursion_misses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN map_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN late_starts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN outbox_dropped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN outbox_oldest_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN catalog_expires_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN started_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN degraded TEXT NOT NULL DEFAULT '[]';
)sql";

// Image name, manifest digest, config digest, diff ID and chain ID are columns of their own.
constexpr const char* kClaims = R"sql(
ALTER TABLE runs ADD COLUMN config_digest BLOB;
ALTER TABLE runs ADD COLUMN manifest_digest BLOB;
ALTER TABLE runs ADD COLUMN repo_digest BLOB;
ALTER TABLE runs ADD COLUMN claim_conflicts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE layers ADD COLUMN claimed_chain_id BLOB;
ALTER TABLE layers ADD COLUMN is_claim_for_display INTEGER NOT NULL DEFAULT 0;
)sql";

// File sets: of stacks whose layers match no base, what was found in them, and those of bases. The
// new round looks which stacks of before need one.
constexpr const char* kFileSets = R"sql(
ALTER TABLE stacks ADD COLUMN file_set_state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stacks ADD COLUMN file_set_from INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stacks_file_set_wanted ON stacks(node_id) WHERE file_set_state = 1;

CREATE TABLE stack_file_sets(
  stack_id INTEGER PRIMARY KEY REFERENCES stacks,
  first_layer INTEGER NOT NULL,
  gap TEXT NOT NULL,
  files BLOB NOT NULL) STRICT;

CREATE TABLE stack_containments(
  stack_id INTEGER PRIMARY KEY REFERENCES stacks,
  key BLOB NOT NULL,
  found TEXT NOT NULL) STRICT;

CREATE TABLE base_file_sets(
  digest BLOB PRIMARY KEY,
  files BLOB NOT NULL) STRICT;

UPDATE judging SET round = round + 1 WHERE EXISTS (SELECT 1 FROM stacks);
)sql";

// The policy's exemptions, whether a container's names are its own, and who answers for it. One
// index on running runs answers both "newest first" and "who must be told".
constexpr const char* kExemptions = R"sql(
ALTER TABLE runs ADD COLUMN exemption TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN is_bound_to_kernel INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN is_users_to_write INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_exempt ON runs(stack_id) WHERE exemption <> '';
DROP INDEX runs_running_by_stack;
CREATE INDEX runs_running_by_stack ON runs(stack_id, started_ns, pod_namespace, owner,
  node_id) WHERE ended_ns = 0;
CREATE INDEX stacks_running ON stacks(running) WHERE running > 0;
)sql";

// Reports of scanners and VEX documents, attached to bases.
constexpr const char* kScans = R"sql(
CREATE TABLE scans(
  scan_key INTEGER PRIMARY KEY AUTOINCREMENT,
  base_name TEXT NOT NULL,
  base_version TEXT NOT NULL,
  digest BLOB NOT NULL,
  format TEXT NOT NULL,
  tool TEXT NOT NULL,
  tool_version TEXT NOT NULL,
  scope TEXT NOT NULL,
  matched_by TEXT NOT NULL,
  image TEXT NOT NULL,
  image_id BLOB,
  scanned_ns INTEGER NOT NULL,
  is_time_said INTEGER NOT NULL,
  imported_ns INTEGER NOT NULL,
  imported_by TEXT NOT NULL,
  unknown INTEGER NOT NULL DEFAULT 0,
  low INTEGER NOT NULL DEFAULT 0,
  medium INTEGER NOT NULL DEFAULT 0,
  high INTEGER NOT NULL DEFAULT 0,
  critical INTEGER NOT NULL DEFAULT 0,
  excluded INTEGER NOT NULL DEFAULT 0,
  application INTEGER NOT NULL DEFAULT 0,
  unattributed INTEGER NOT NULL DEFAULT 0,
  UNIQUE(base_name, base_version, digest)) STRICT;
CREATE INDEX scans_by_base ON scans(base_name, base_version, scope, scanned_ns);

CREATE TABLE scan_findings(
  scan_key INTEGER NOT NULL REFERENCES scans,
  position INTEGER NOT NULL,
  vulnerability TEXT NOT NULL,
  aliases TEXT NOT NULL,
  severity INTEGER NOT NULL,
  severity_said TEXT NOT NULL,
  package TEXT NOT NULL,
  purl TEXT NOT NULL,
  installed TEXT NOT NULL,
  fixed TEXT NOT NULL,
  layer BLOB,
  origin TEXT NOT NULL,
  status TEXT NOT NULL,
  status_said TEXT NOT NULL,
  applicability TEXT NOT NULL,
  vex_said TEXT NOT NULL,
  PRIMARY KEY(scan_key, position)) STRICT, WITHOUT ROWID;

CREATE TABLE scan_names(
  name TEXT NOT NULL COLLATE NOCASE,
  scan_key INTEGER NOT NULL REFERENCES scans,
  position INTEGER NOT NULL,
  PRIMARY KEY(name, scan_key, position)) STRICT, WITHOUT ROWID;

CREATE TABLE vex_statements(
  scan_key INTEGER NOT NULL REFERENCES scans,
  position INTEGER NOT NULL,
  vulnerability TEXT NOT NULL,
  aliases TEXT NOT NULL,
  packages TEXT NOT NULL,
  applicability TEXT NOT NULL,
  status_said TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  PRIMARY KEY(scan_key, position)) STRICT, WITHOUT ROWID;

CREATE INDEX runs_running_by_config ON runs(config_digest)
  WHERE ended_ns = 0 AND config_digest IS NOT NULL;
)sql";

// Versions of the root, which says whose keys may sign.
constexpr const char* kCatalogRoots = R"sql(
CREATE TABLE catalog_roots(
  version INTEGER PRIMARY KEY,
  root BLOB NOT NULL,
  submitted_by TEXT NOT NULL,
  received_ns INTEGER NOT NULL) STRICT;
)sql";

// What a revocation under a whole fleet reads: verdicts are computed once for all stacks of the
// same evidence, and the runs under a base are counted in one index.
constexpr const char* kEvidence = R"sql(
ALTER TABLE stacks ADD COLUMN evidence BLOB;
DROP INDEX runs_running_by_stack;
CREATE INDEX runs_running_by_stack ON runs(stack_id, started_ns, pod_namespace, owner, node_id,
  ended_ns) WHERE ended_ns = 0;
)sql";

// What was changed in a layer's directory after it was first read.
constexpr const char* kTampered = R"sql(
ALTER TABLE layers ADD COLUMN tampered TEXT NOT NULL DEFAULT '';
)sql";

// What runs see of their bases, and the stacks of those that hide them from themselves.
constexpr const char* kViews = R"sql(
ALTER TABLE runs ADD COLUMN view TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN masked TEXT NOT NULL DEFAULT '';
ALTER TABLE stacks ADD COLUMN seen_layers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stacks ADD COLUMN is_masked INTEGER NOT NULL DEFAULT 0;
)sql";

// From where a change or a refused try came.
constexpr const char* kAuditPeer = R"sql(
ALTER TABLE audit_log ADD COLUMN peer TEXT NOT NULL DEFAULT '';
)sql";

// What is over is found by when the collector was told, whatever an agent says of the time.
constexpr const char* kRetention = R"sql(
ALTER TABLE runs ADD COLUMN end_told_ns INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET end_told_ns = ended_ns WHERE ended_ns > 0;
CREATE INDEX runs_ended ON runs(end_told_ns, run_key) WHERE end_told_ns > 0;
CREATE INDEX findings_resolved ON findings(resolved_ns, finding_key) WHERE resolved_ns > 0;
)sql";

// Nodes' certificates, who is kept out, and the tokens by which nodes join.
constexpr const char* kEnrolment = R"sql(
CREATE TABLE join_tokens(
  token_id TEXT PRIMARY KEY,
  secret BLOB NOT NULL,
  cluster TEXT NOT NULL,
  pattern TEXT NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL,
  may_replace INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_ns INTEGER NOT NULL,
  last_used_ns INTEGER NOT NULL,
  last_node TEXT NOT NULL,
  revoked_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE node_identities(
  cluster TEXT NOT NULL,
  node TEXT NOT NULL,
  public_key BLOB,
  serial TEXT NOT NULL,
  not_before_ns INTEGER NOT NULL,
  expires_ns INTEGER NOT NULL,
  method TEXT NOT NULL,
  node_uid TEXT NOT NULL,
  is_forgotten INTEGER NOT NULL,
  revoked_ns INTEGER NOT NULL,
  revoked_by TEXT NOT NULL,
  revoked_reason TEXT NOT NULL,
  PRIMARY KEY(cluster, node)) STRICT, WITHOUT ROWID;
)sql";

// Tokens of people: never themselves, only hashes.
constexpr const char* kTokens = R"sql(
CREATE TABLE tokens(
  token_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  scopes TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_ns INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_ns INTEGER NOT NULL,
  last_used_ns INTEGER NOT NULL,
  revoked_ns INTEGER NOT NULL,
  revoked_by TEXT NOT NULL) STRICT;
)sql";

// What people do about findings, and who did it.
constexpr const char* kTriage = R"sql(
ALTER TABLE findings ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN acknowledged_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE findings ADD COLUMN acknowledged_note TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN assignee TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN assigned_by TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN muted_by TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN muted_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE findings ADD COLUMN muted_until_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE findings ADD COLUMN muted_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN muted_as TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX findings_muted ON findings(muted_until_ns) WHERE muted_until_ns > 0;
CREATE INDEX findings_acknowledged ON findings(opened_ns, finding_key)
  WHERE acknowledged_ns > 0 AND resolved_ns = 0;
CREATE TABLE triage_history(
  entry_key INTEGER PRIMARY KEY,
  finding_key INTEGER NOT NULL REFERENCES findings,
  time_ns INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  note TEXT NOT NULL,
  assignee TEXT NOT NULL,
  muted_until_ns INTEGER NOT NULL) STRICT;
CREATE INDEX triage_history_by_finding ON triage_history(finding_key, entry_key);
)sql";

// Who knows a run, who else goes by its identity, and who started it.
constexpr const char* kRecognition = R"sql(
ALTER TABLE runs ADD COLUMN login TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN recognition TEXT NOT NULL DEFAULT 'untold';
ALTER TABLE runs ADD COLUMN recognition_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN rogue TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN identity_conflicts TEXT NOT NULL DEFAULT '';
)sql";

// What a container could do when it started, and where what it executed came from.
constexpr const char* kProvenance = R"sql(
ALTER TABLE runs ADD COLUMN posture TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN posture_traits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE execs ADD COLUMN origin TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE execs ADD COLUMN path TEXT NOT NULL DEFAULT '';
ALTER TABLE execs ADD COLUMN is_interpreter INTEGER NOT NULL DEFAULT 0;
)sql";

}  // namespace

const std::vector<std::string>& migrations() {
  static const std::vector<std::string> all{
      kFirst,    kUnsettledStacks, kStackAbout,   kStatesAndHealth, kClaims,
      kFileSets, kScans,           kCatalogRoots, kExemptions,      kEvidence,
      kTampered, kViews,           kAuditPeer,    kRetention,       kEnrolment,
      kTokens,   kTriage,          kRecognition,  kProvenance};
  return all;
}

}  // namespace assay::collector
