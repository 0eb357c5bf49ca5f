// SPDX-License-Identifier: Apache-2.0
// Who knows a run: whether a runtime of the node has a record of it, and whether somebody else has
// the identity that it goes by.
#include <algorithm>

#include "agent/core/auditor.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

using catalog::RecognitionState;

constexpr std::chrono::seconds kFirstLook{1};     // a runtime that writes late has written by then
constexpr std::chrono::seconds kBetweenLooks{2};  // before it is said that nobody knows it
constexpr std::chrono::seconds kLookAgain{30};    // a record may come, or a store be mounted
constexpr std::chrono::milliseconds kLookingPerTick{20};  // each look goes through the open runs
constexpr std::chrono::minutes kAnswerAwaited{2};  // longer than any reader takes: it got lost
constexpr std::size_t kShortId = 12;
constexpr const char* kStartedBy = "; it was ";

bool is_sought(RunKind kind) {
  // The others have findings or marks of their own (docs/threat-model.md "Who it is").
  // A sandbox is one by root's own record, and its helpers' roots stand in none.
  return kind == RunKind::kContainer || kind == RunKind::kInner;
}

std::string container_text(const ContainerNames& names) {
  std::string text = names.runtime.empty() ? "container " : names.runtime + "'s container ";
  text += escape_untrusted(names.container_id.substr(0, kShortId), 64);
  return names.name.empty() ? text : text + " (" + escape_untrusted(names.name, 128) + ")";
}

bool is_same_name(const ContainerNames& a, const ContainerNames& b) {
  return !a.name.empty() && a.name == b.name && a.runtime == b.runtime && a.pod_uid == b.pod_uid;
}

}  // namespace

void Auditor::seek_acquaintances(const RunKey& key, const Run& run, bool is_resumed) {
  if (ports_.recogniser == nullptr || run.recorded.has_value() || !is_sought(run.told.kind)) return;
  if (run.told.names.are_confirmed() && !is_resumed) return;  // the names say who knows it
  seeking_[key] = {0, ports_.clock.boot_now() + kFirstLook, std::nullopt, is_resumed};
}

void Auditor::look_for_acquaintances() {
  const BootTime began = ports_.clock.boot_now();
  std::vector<std::pair<BootTime, RunKey>> due;
  for (auto& [key, seeking] : seeking_)
    if (seeking.next <= began && !is_awaited(runs_.at(key), seeking))
      due.emplace_back(seeking.next, key);
  std::ranges::sort(due);  // who waits longest goes first, however many there are
  for (const auto& [next, key] : due) {
    if (ports_.clock.boot_now() - began > kLookingPerTick) return;
    if (!look_for_acquaintance(key, runs_.at(key), seeking_.at(key))) seeking_.erase(key);
  }
}

bool Auditor::is_awaited(const Run& run, Acquaintance& seeking) const {
  const BootTime now = ports_.clock.boot_now();
  if (seeking.asked && now - *seeking.asked > kAnswerAwaited) seeking.asked.reset();
  const bool awaits_claims = run.claims_asked && now - *run.claims_asked <= kAnswerAwaited;
  return seeking.asked || awaits_claims || run.emptied;
}

bool Auditor::look_for_acquaintance(const RunKey& key, Run& run, Acquaintance& seeking) {
  const bool was_told = run.told.recognition.state != RecognitionState::kUntold;
  if (run.told.names.are_confirmed()) {
    if (seeking.is_owed || was_told)
      tell_recognition(run, RecognitionState::kKnown,
                       "the record of " + container_text(run.told.names));
    return false;
  }
  if (seeking.looks > 0) find_conflict(key, run);
  if (run.told.names.is_bound_to_kernel) {  // by a record that others may write
    if (was_told && run.told.recognition.state != RecognitionState::kKnown)
      tell_recognition(
          run, RecognitionState::kKnown,
          "a record of " + container_text(run.told.names) + ", which others than root may write");
    return put_off(seeking);
  }
  if (const Run* outer = find_enclosing(key, run)) {
    // Of one in the container's own cgroup its kind says the same.
    if (run.told.kind != RunKind::kInner || was_told || seeking.is_owed)
      tell_recognition(run, RecognitionState::kKnown, "it started inside run " + outer->id);
    return false;
  }
  if (run.told.kind == RunKind::kInner && has_outer(key, run)) return put_off(seeking);
  if (!run.facts) {
    tell_recognition(run, RecognitionState::kUnclear,
                     "too many runs are open to keep who started each");
    return put_off(seeking);
  }
  seeking.asked = ports_.clock.boot_now();
  RecognitionTask task{run.id, *run.facts, run.told.names};
  task.start.key = key;
  task.start.process.key = run.first_process;
  ports_.recogniser->look(std::move(task), ports_.post_recognition);
  return true;
}

void Auditor::on_recognised(const RecognitionReport& report) {
  const auto found = seeking_.find(report.key);
  if (found == seeking_.end()) return;
  Run& run = runs_.at(report.key);
  if (run.id != report.run_id) return;
  Acquaintance& seeking = found->second;
  seeking.asked.reset();
  if (report.is_known) {
    const std::string& id = run.told.names.container_id;
    const bool is_its_name = id.empty() || id == report.names.container_id;
    if (is_its_name) complete_names(run.told.names, report.names);
    run.told.kind = kind_by_names(run.told.kind, run.told.names);
    tell_recognition(run, RecognitionState::kKnown, report.record);
    if (report.names.is_users_to_write) find_conflict(report.key, run);
    if (is_its_name) {
      seeking_.erase(found);
      return;
    }
    (void)put_off(seeking);
    return;
  }
  (void)put_off(seeking);
  if (seeking.looks < kLooks || run.emptied) return;
  if (report.failure.empty())
    tell_recognition(run, RecognitionState::kUnknown,
                     "no runtime on this node has a record of it; it was " +
                         lineage_text(run.facts ? *run.facts : ContainerStart{}));
  else if (run.told.recognition.state != RecognitionState::kUnknown)  // what is found out stays
    tell_recognition(run, RecognitionState::kUnclear, report.failure);
}

/// True: the run is looked at again.
bool Auditor::put_off(Acquaintance& seeking) const {
  seeking.looks = std::min(seeking.looks + 1, kLooks);
  seeking.next = ports_.clock.boot_now() + (seeking.looks < kLooks ? kBetweenLooks : kLookAgain);
  return true;
}

bool Auditor::tell_recognition(Run& run, RecognitionState state, std::string reason) {
  catalog::Recognition& told = run.told.recognition;
  reason.resize(std::min(reason.size(), catalog::kMaxRecognitionBytes));
  if (told.state == state && told.reason == reason) return false;
  told.state = state;
  told.reason = std::move(reason);
  tell_names(run.id, run.told);
  return true;
}

void Auditor::find_conflict(const RunKey& key, Run& run) {
  const std::string text = borrowed_text(key, run);
  std::vector<std::string>& known = run.told.recognition.conflicts;
  if (text.empty() || known.size() >= catalog::kMaxIdentityConflicts) return;
  // By whom it was started changes as its ancestors go.
  const auto is_same = [&](const std::string& one) {
    return one.substr(0, one.find(kStartedBy)) == text.substr(0, text.find(kStartedBy));
  };
  if (std::ranges::any_of(known, is_same)) return;
  known.push_back(text);
  tell_names(run.id, run.told);
}

/// What it borrows, and from whom; "" when it borrows nothing, or nobody can tell.
std::string Auditor::borrowed_text(const RunKey& key, const Run& run) const {
  const ContainerNames& names = run.told.names;
  if (names.are_confirmed() || find_enclosing(key, run) != nullptr) return "";
  const std::string who = run.facts ? kStartedBy + lineage_text(*run.facts) : "";
  for (const auto& [other_key, other] : runs_) {
    const ContainerNames& owner = other.told.names;
    if (other_key == key || !owner.are_confirmed()) continue;
    const bool is_same_id = !names.container_id.empty() && owner.container_id == names.container_id;
    if (!is_same_id && !(names.is_users_to_write && is_same_name(names, owner))) continue;
    // An exec in a container without a pid namespace of its own looks like anybody's.
    if (other.in_host_pid_namespace && !names.is_users_to_write) return "";
    const std::string subject = container_text(owner) + ": ";
    const std::string rightful = "run " + other.id + " (pid " +
                                 std::to_string(other.first_process.tgid) +
                                 "), as root's own record and the kernel say";
    if (names.is_users_to_write)
      return subject + "a record that others than root may write gives this run that identity, " +
             "which is that of " + rightful + who;
    return subject + "the cgroup of this run says that it is this one, which is " + rightful +
           ": it has another root, and none of that container's processes started it" + who;
  }
  if (!run.is_anothers_record) return "";
  return container_text(names) +
         ": the cgroup of this run says that it is this one, whose record " +
         "names another directory than the one that this run writes to" + who;
}

const Auditor::Run* Auditor::find_enclosing(const RunKey& key, const Run& run) const {
  const auto is_ancestor = [&](const ProcessKey& process) {
    return run.facts && std::ranges::any_of(run.facts->ancestors, [&](const ProcessInfo& one) {
             return one.key == process;
           });
  };
  const auto is_around = [&](std::uint64_t pid_namespace) {
    return run.facts && (run.facts->pid_namespace == pid_namespace ||
                         std::ranges::find(run.facts->outer_pid_namespaces, pid_namespace) !=
                             run.facts->outer_pid_namespaces.end());
  };
  for (const auto& [other_key, other] : runs_) {
    if (other_key == key || other.id == run.id) continue;
    const bool is_known = other.told.names.are_confirmed() ||
                          other.told.recognition.state == RecognitionState::kKnown;
    if (!is_known || other.emptied || other.pid_namespace == 0) continue;
    if (is_ancestor(other.first_process)) return &other;
    if (!other.in_host_pid_namespace && is_around(other.pid_namespace)) return &other;
  }
  return nullptr;
}

/// Whether a container that is told of by itself shares its namespace or cgroup: it has the
/// finding then.
bool Auditor::has_outer(const RunKey& key, const Run& run) const {
  return std::ranges::any_of(runs_, [&](const auto& one) {
    const auto& [other_key, other] = one;
    if (other_key == key) return false;
    if (other.told.kind != RunKind::kContainer && other.told.kind != RunKind::kSandbox)
      return false;
    return other.mount_namespace == run.mount_namespace || other_key.cgroup_id == key.cgroup_id;
  });
}

}  // namespace assay::agent
