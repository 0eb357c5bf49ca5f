// SPDX-License-Identifier: Apache-2.0
// The blast radius of a base: who runs it, where, since when.
#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "collector/store/sqlite/queries.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

/// Counts while the rows come. Runs of one stack come together, and are mostly of one group.
class Tally {
 public:
  void add(std::int64_t node, std::int64_t started_ns, std::string_view pod_namespace,
           std::string_view owner) {
    Group& group = group_of(pod_namespace, owner);
    if (group.view.running++ == 0) group.view.since_ns = started_ns;
    group.view.since_ns = std::min(group.view.since_ns, started_ns);
    if (group.last_node == node) return;
    group.last_node = node;
    group.nodes.insert(node);
    nodes_.insert(node);
  }

  void finish(ImpactView& impact) {
    std::set<std::string> namespaces, owners;
    for (auto& [key, group] : groups_) {
      group.view.nodes = group.nodes.size();
      impact.running += group.view.running;
      if (impact.since_ns == 0 || group.view.since_ns < impact.since_ns)
        impact.since_ns = group.view.since_ns;
      if (!group.view.pod_namespace.empty()) namespaces.insert(group.view.pod_namespace);
      if (!group.view.owner.empty()) owners.insert(group.view.owner);
      impact.groups.push_back(std::move(group.view));
    }
    impact.nodes = nodes_.size();
    impact.namespaces = namespaces.size();
    impact.owners = owners.size();
    std::ranges::sort(impact.groups, [](const ImpactGroup& a, const ImpactGroup& b) {
      if (a.running != b.running) return a.running > b.running;
      return std::tie(a.pod_namespace, a.owner) < std::tie(b.pod_namespace, b.owner);
    });
    if (impact.groups.size() > kMaxImpactGroups) impact.groups.resize(kMaxImpactGroups);
  }

 private:
  struct Group {
    ImpactGroup view;
    std::unordered_set<std::int64_t> nodes;
    std::int64_t last_node = -1;
  };

  Group& group_of(std::string_view pod_namespace, std::string_view owner) {
    if (last_ != nullptr && last_->view.pod_namespace == pod_namespace &&
        last_->view.owner == owner)
      return *last_;
    key_.assign(pod_namespace);
    key_ += '\0';
    key_ += owner;
    const auto [at, is_new] = groups_.try_emplace(key_);
    last_ = &at->second;
    if (is_new) {
      last_->view.pod_namespace = pod_namespace;
      last_->view.owner = owner;
    }
    return *last_;
  }

  std::string key_;
  std::unordered_map<std::string, Group> groups_;  // their places in memory stay
  Group* last_ = nullptr;
  std::unordered_set<std::int64_t> nodes_;
};

/// A run by when it started; greater is newer.
using StartedRun = std::pair<std::int64_t, std::int64_t>;

/// Counts all, and gives the keys of the newest runs.
Result<std::vector<std::int64_t>> count_groups(Database& database, const std::string& base,
                                               ImpactView& impact) {
  const std::size_t colon = base.find(':');
  const bool is_any_version = colon == std::string::npos;
  ASSAY_ASSIGN(
      Statement * query,
      database.prepare(
          std::string("SELECT r.node_id, r.started_ns, r.pod_namespace, r.owner, r.run_key FROM"
                      " (SELECT DISTINCT stack_id FROM stack_matches WHERE base_name=?1") +
          (is_any_version ? "" : " AND base_version=?2") +
          ") m CROSS JOIN runs r INDEXED BY runs_running_by_stack"
          " ON r.stack_id = m.stack_id WHERE r.ended_ns = 0"));
  if (is_any_version)
    query->bind(base);
  else
    query->bind(base.substr(0, colon), base.substr(colon + 1));
  Tally tally;
  std::vector<StartedRun> started;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    tally.add(query->integer(0), query->integer(1), query->text(2), query->text(3));
    started.emplace_back(query->integer(1), query->integer(4));
  }
  query->reset();
  tally.finish(impact);
  const auto count = std::min<std::size_t>(started.size(), kMaxImpactRuns);
  std::ranges::partial_sort(started, started.begin() + static_cast<std::ptrdiff_t>(count),
                            std::ranges::greater());
  std::vector<std::int64_t> newest;
  for (std::size_t i = 0; i < count; ++i)
    newest.push_back(started[i].second);
  return newest;
}

}  // namespace

Result<ImpactView> query_impact(Database& database, const std::string& base) {
  ImpactView impact;
  ASSAY_ASSIGN(const auto newest, count_groups(database, base, impact));
  ASSAY_ASSIGN(Statement * total,
               database.prepare("SELECT ifnull(sum(running), 0) FROM stacks WHERE running > 0"));
  ASSAY_ASSIGN(const bool is_row, total->step());
  if (is_row) impact.running_total = static_cast<std::uint64_t>(total->integer(0));
  total->reset();
  ASSAY_ASSIGN(impact.runs, query_runs_by_key(database, newest));
  return impact;
}

}  // namespace assay::collector
