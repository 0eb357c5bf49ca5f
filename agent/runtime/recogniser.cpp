// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/recogniser.h"

#include <pthread.h>

#include <set>
#include <utility>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kIdleWait{60};
constexpr std::size_t kMaxUsers = 64;  // whose folders are looked into at once

RecognitionReport nothing_of(const RecognitionTask& task, std::string failure = "") {
  RecognitionReport report;
  report.run_id = task.run_id;
  report.key = task.start.key;
  report.failure = std::move(failure);
  return report;
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
    std::vector<Job> jobs;
    if (auto job = queue_.pop(stop, kIdleWait)) jobs.push_back(std::move(*job));
    while (!jobs.empty() && jobs.size() < options_.max_together) {
      auto more = queue_.pop(stop, std::chrono::milliseconds(0));
      if (!more) break;
      jobs.push_back(std::move(*more));
    }
    if (!jobs.empty() && !stop.stop_requested()) answer(std::move(jobs), stop);
  }
}

void NoteRecogniser::answer(std::vector<Job> jobs, const std::stop_token& stop) {
  const RuntimeNotes notes = read_notes(jobs);
  for (Job& job : jobs) {
    if (stop.stop_requested()) return;
    job.on_report(recognise(job.task, notes));
  }
}

RuntimeNotes NoteRecogniser::read_notes(const std::vector<Job>& jobs) const {
  NoteRoots roots = roots_;
  std::set<std::uint32_t> users;
  for (const Job& job : jobs)
    for (const std::uint32_t uid : {job.task.start.login.starter_uid, job.task.start.uid})
      if (uid != 0 && uid != catalog::Login::kNobody && users.size() < kMaxUsers) users.insert(uid);
  for (const std::uint32_t uid : users)
    for (std::string& root : oci_states_of_user(uid))
      roots.oci_states.push_back(std::move(root));
  return read_runtime_notes(roots);
}

RecognitionReport NoteRecogniser::recognise(const RecognitionTask& task,
                                            const RuntimeNotes& notes) const {
  RecognitionReport report = nothing_of(task, notes.gap);
  for (const RuntimeNote& note : notes.notes) {
    // A user's note is about that user's containers, and about no one else's.
    if (note.is_users_to_write && task.start.login.starter_uid == 0) continue;
    const auto lives = processes_.lives_on(note.init, task.start.key.root);
    if (!lives) {
      report.failure = lives.error().text();
      continue;
    }
    if (!*lives) continue;
    report.is_known = true;
    report.failure.clear();
    report.record = note.runtime + "'s note " + escape_untrusted(note.path, 300) +
                    (note.is_users_to_write ? ", which others than root may write" : "");
    report.names.container_id = note.id;
    report.names.runtime = note.runtime;
    report.names.is_bound_to_kernel = true;
    report.names.is_users_to_write = note.is_users_to_write;
    if (!note.is_users_to_write) return report;  // root's note is the better one
  }
  return report;
}

}  // namespace assay::agent
