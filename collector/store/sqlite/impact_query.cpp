// SPDX-License-Identifier: Apache-2.0
// The blast radius of a base: who runs it, where, since when.
#include <algorithm>
#include <future>
#include <limits>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "collector/store/sqlite/queries.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr std::int64_t kManyStacks = 10'000;

/// Numbers of rows, of which there are few and which begin at 1.
class RowSet {
 public:
  void insert(std::int64_t id) {
    const auto at = static_cast<std::size_t>(id);
    if (at >= is_in_.size()) is_in_.resize(at + 1);
    if (!is_in_[at]) ++size_;
    is_in_[at] = true;
  }
  void insert(const RowSet& other) {
    for (std::size_t at = 0; at < other.is_in_.size(); ++at)
      if (other.is_in_[at]) insert(static_cast<std::int64_t>(at));
  }
  std::size_t size() const { return size_; }

 private:
  std::vector<bool> is_in_;
  std::size_t size_ = 0;
};

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
    group.nodes.push_back(node);
    nodes_.insert(node);
  }

  /// What was counted of other stacks.
  void add(const Tally& other) {
    nodes_.insert(other.nodes_);
    for (const auto& [key, theirs] : other.groups_) {
      Group& group = group_of(theirs.view.pod_namespace, theirs.view.owner);
      if (group.view.running == 0) group.view.since_ns = theirs.view.since_ns;
      group.view.since_ns = std::min(group.view.since_ns, theirs.view.since_ns);
      group.view.running += theirs.view.running;
      group.nodes.insert(group.nodes.end(), theirs.nodes.begin(), theirs.nodes.end());
    }
  }

  void finish(ImpactView& impact) {
    std::set<std::string> namespaces, owners;
    for (auto& [key, group] : groups_) {
      group.view.nodes = group.count_nodes();
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
    std::vector<std::int64_t> nodes;  ///< some of them several times
    std::int64_t last_node = -1;

    std::uint64_t count_nodes() {
      std::ranges::sort(nodes);
      return static_cast<std::uint64_t>(std::unique(nodes.begin(), nodes.end()) - nodes.begin());
    }
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
  RowSet nodes_;
};

/// The newest runs of many that come in any order.
class Newest {
 public:
  void add(std::int64_t started_ns, std::int64_t key) {
    const Started run{started_ns, key};
    if (heap_.size() < kMaxImpactRuns) {
      heap_.push_back(run);
      std::ranges::push_heap(heap_, std::ranges::greater());
    } else if (heap_.front() < run) {
      std::ranges::pop_heap(heap_, std::ranges::greater());
      heap_.back() = run;
      std::ranges::push_heap(heap_, std::ranges::greater());
    }
  }
  void add(const Newest& other) {
    for (const auto& [started_ns, key] : other.heap_)
      add(started_ns, key);
  }
  /// Their keys, the newest first.
  std::vector<std::int64_t> take() {
    std::ranges::sort(heap_, std::ranges::greater());
    std::vector<std::int64_t> keys;
    for (const Started& run : heap_)
      keys.push_back(run.second);
    return keys;
  }

 private:
  using Started = std::pair<std::int64_t, std::int64_t>;  ///< when, which; greater is newer
  std::vector<Started> heap_;                             ///< the oldest at the front
};

/// What is asked for, as the queries' conditions.
struct BaseCondition {
  std::string name;
  std::string version;  ///< "": any

  explicit BaseCondition(const std::string& base) {
    const std::size_t colon = base.find(':');
    name = base.substr(0, colon);
    if (colon != std::string::npos) version = base.substr(colon + 1);
  }
  /// For ?1 and ?2, which bind() binds.
  std::string sql() const {
    return version.empty() ? "base_name=?1 AND ?2=''" : "base_name=?1 AND base_version=?2";
  }
};

/// The stacks from `first` on and before `end`.
struct StackRange {
  std::int64_t first = 0;
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
};

struct Counted {
  Tally tally;
  Newest newest;
};

Result<Counted> count_runs(Database& database, const BaseCondition& base, StackRange range) {
  ASSAY_ASSIGN(
      Statement * query,
      database.prepare("SELECT r.node_id, r.started_ns, r.pod_namespace, r.owner, r.run_key FROM"
                       " (SELECT DISTINCT stack_id FROM stack_matches WHERE " +
                       base.sql() +
                       " AND stack_id>=?3 AND stack_id<?4) m"
                       " CROSS JOIN runs r INDEXED BY runs_running_by_stack"
                       " ON r.stack_id = m.stack_id WHERE r.ended_ns = 0"));
  query->bind(base.name, base.version, range.first, range.end);
  Counted counted;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    counted.tally.add(query->integer(0), query->integer(1), query->view(2), query->view(3));
    counted.newest.add(query->integer(1), query->integer(4));
  }
  query->reset();
  return counted;
}

/// Where to divide the base's stacks in two; nothing when they are not worth a thread.
Result<std::optional<std::int64_t>> middle_of(Database& database, const BaseCondition& base) {
  const std::string all = " FROM stack_matches WHERE " + base.sql();
  ASSAY_ASSIGN(Statement * query, database.prepare("SELECT (SELECT min(stack_id)" + all +
                                                   "), (SELECT max(stack_id)" + all + ")"));
  query->bind(base.name, base.version);
  ASSAY_ASSIGN(const bool is_row, query->step());
  const std::int64_t first = is_row ? query->integer(0) : 0;
  const std::int64_t last = is_row ? query->integer(1) : 0;
  query->reset();
  if (last - first < kManyStacks) return std::optional<std::int64_t>();
  return std::optional(first + (last - first) / 2);
}

/// Counts all, one half on each connection when there are many.
Result<Counted> count_all(Database& database, Database* second, const BaseCondition& base) {
  if (second == nullptr) return count_runs(database, base, {});
  ASSAY_ASSIGN(const auto middle, middle_of(database, base));
  if (!middle) return count_runs(database, base, {});
  std::future<Result<Counted>> other;
  try {
    other = std::async(std::launch::async,
                       [&] { return count_runs(*second, base, {.first = *middle}); });
  } catch (const std::system_error&) {  // no thread is to be had now
    return count_runs(database, base, {});
  }
  auto counted = count_runs(database, base, {.end = *middle});
  auto rest = other.get();
  if (!counted) return counted;
  if (!rest) return rest;
  counted->tally.add(rest->tally);
  counted->newest.add(rest->newest);
  return counted;
}

Result<std::uint64_t> count_running(Database& database) {
  ASSAY_ASSIGN(Statement * total,
               database.prepare("SELECT ifnull(sum(running), 0) FROM stacks WHERE running > 0"));
  ASSAY_ASSIGN(const bool is_row, total->step());
  const auto running = is_row ? static_cast<std::uint64_t>(total->integer(0)) : 0;
  total->reset();
  return running;
}

}  // namespace

Result<ImpactView> query_impact(Database& database, Database* second, const std::string& base) {
  ImpactView impact;
  ASSAY_ASSIGN(Counted counted, count_all(database, second, BaseCondition(base)));
  counted.tally.finish(impact);
  ASSAY_ASSIGN(impact.running_total, count_running(database));
  ASSAY_ASSIGN(impact.runs, query_runs_by_key(database, counted.newest.take()));
  return impact;
}

}  // namespace assay::collector
