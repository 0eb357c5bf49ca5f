// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/recogniser.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kIdleWait{60};
constexpr std::size_t kMaxUsers = 64;           // whose notes are kept at hand
constexpr std::uint32_t kOverlay = 0x794c7630;  // OVERLAYFS_SUPER_MAGIC

RecognitionReport nothing_of(const RecognitionTask& task, std::string failure = "") {
  RecognitionReport report;
  report.run_id = task.run_id;
  report.key = task.start.key;
  report.failure = std::move(failure);
  return report;
}

/// Whose notes may be about the run. Of what root started no user's note says anything.
std::vector<std::uint32_t> users_of(const RecognitionTask& task) {
  const std::uint32_t starter = task.start.login.starter_uid;
  std::vector<std::uint32_t> users;
  if (starter == 0) return users;
  for (const std::uint32_t uid : {starter, task.start.uid})
    if (uid != 0 && uid != catalog::Login::kNobody &&
        std::find(users.begin(), users.end(), uid) == users.end())
      users.push_back(uid);
  return users;
}

void tell_note(const RuntimeNote& note, RecognitionReport& report) {
  report.is_known = true;
  report.failure.clear();
  report.record = note.runtime + "'s note " + escape_untrusted(note.path, 300) +
                  (note.is_users_to_write ? ", which others than root may write" : "");
  report.names.container_id = note.id;
  report.names.runtime = note.runtime;
  report.names.is_bound_to_kernel = true;
  report.names.is_users_to_write = note.is_users_to_write;
}

}  // namespace

NoteRecogniser::NoteRecogniser(NoteRoots roots, Processes& processes, RecogniserOptions options)
    : roots_(std::move(roots)),
      processes_(processes),
      options_(options),
      queue_(options.max_waiting) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-known");
}

NoteRecogniser::~NoteRecogniser() {
  thread_.request_stop();
  thread_.join();
}

void NoteRecogniser::look(RecognitionTask task, Callback on_report) {
  RecognitionReport refused = nothing_of(task, "too many runs wait to be looked up");
  Callback tell = on_report;
  if (!queue_.try_push({std::move(task), std::move(on_report)})) tell(std::move(refused));
}

void NoteRecogniser::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<Job> jobs = std::exchange(put_off_, {});
    const std::size_t most = jobs.size() + options_.max_together;
    if (jobs.empty())
      if (auto job = queue_.pop(stop, kIdleWait)) jobs.push_back(std::move(*job));
    while (!jobs.empty() && jobs.size() < most) {
      auto more = queue_.pop(stop, std::chrono::milliseconds(0));
      if (!more) break;
      jobs.push_back(std::move(*more));
    }
    if (!jobs.empty() && !stop.stop_requested()) answer(std::move(jobs), stop);
  }
}

void NoteRecogniser::answer(std::vector<Job> jobs, const std::stop_token& stop) {
  const PlacedNotes shared = place(read_runtime_notes(roots_, {}, stop), stop);
  std::vector<Unanswered> rest;
  for (Job& job : jobs) {
    if (stop.stop_requested()) return;
    RecognitionReport report = nothing_of(job.task);
    look_among(shared, job.task, report);
    if (report.is_known || users_of(job.task).empty())
      job.on_report(std::move(report));
    else
      rest.push_back({std::move(job), std::move(report)});
  }
  answer_by_users_notes(std::move(rest), stop);
}

void NoteRecogniser::answer_by_users_notes(std::vector<Unanswered> jobs,
                                           const std::stop_token& stop) {
  const auto until = std::chrono::steady_clock::now() + options_.max_users_time;
  std::map<std::uint32_t, PlacedNotes> placed;
  bool is_first = true;  // each turn answers one at least
  for (auto& [job, report] : jobs) {
    const bool is_late = !is_first && std::chrono::steady_clock::now() >= until;
    is_first = false;
    if (is_late && put_off_.size() < options_.max_waiting) {
      put_off_.push_back(std::move(job));
      continue;
    }
    if (is_late) report.failure = "there was no time for the notes of the user who started it";
    for (const std::uint32_t uid : users_of(job.task)) {
      if (report.is_known || is_late) break;
      if (!placed.contains(uid)) {
        if (placed.size() >= kMaxUsers) placed.clear();
        const UserNoteRoots roots = options_.roots_of_user(uid);
        placed[uid] = place(read_users_notes(uid, roots, options_.user_limits, stop), stop);
      }
      look_among(placed[uid], job.task, report);
    }
    if (stop.stop_requested()) return;
    job.on_report(std::move(report));
  }
}

NoteRecogniser::PlacedNotes NoteRecogniser::place(RuntimeNotes found,
                                                  const std::stop_token& stop) const {
  PlacedNotes placed;
  placed.failure = std::move(found.gap);
  for (RuntimeNote& note : found.notes) {
    if (stop.stop_requested()) break;
    const auto device = processes_.root_device(note.init);
    if (!device)
      placed.failure = device.error().text();
    else if (*device)
      placed.notes.emplace(**device, std::move(note));
  }
  return placed;
}

void NoteRecogniser::look_among(const PlacedNotes& placed, const RecognitionTask& task,
                                RecognitionReport& report) const {
  if (!placed.failure.empty()) report.failure = placed.failure;
  const RootIdentity& root = task.start.key.root;
  // Other file systems (btrfs) may show a process another device than the kernel tells of.
  const auto [begin, end] = root.magic == kOverlay
                                ? placed.notes.equal_range(root.device)
                                : std::pair(placed.notes.begin(), placed.notes.end());
  for (auto one = begin; one != end; ++one) {
    const RuntimeNote& note = one->second;
    // A user's note is about that user's containers, and about no one else's.
    if (note.is_users_to_write && task.start.login.starter_uid == 0) continue;
    const auto lives = processes_.lives_on(note.init, root);
    if (!lives) {
      if (!report.is_known) report.failure = lives.error().text();
      continue;
    }
    if (!*lives) continue;
    if (!report.is_known || !note.is_users_to_write) tell_note(note, report);
    if (!note.is_users_to_write) return;  // root's note is the better one
  }
}

}  // namespace assay::agent
