// SPDX-License-Identifier: Apache-2.0
// Finds out which runtime's note is about a run: the one whose first process lives on its root.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "agent/runtime/runtime_notes.h"
#include "common/base/bounded_queue.h"

namespace assay::agent {

struct RecogniserOptions {
  std::size_t max_waiting = 10'000;  ///< runs; more are answered with a failure
  std::size_t max_together = 1'000;  ///< looked up with one reading of all notes
  /// For users' notes, before runs that came since are looked for in root's.
  std::chrono::milliseconds max_users_time{5'000};
  std::function<UserNoteRoots(std::uint32_t uid)> roots_of_user = note_roots_of_user;
  NoteLimits user_limits = kUserNoteLimits;
};

/// One thread reads root's notes, once for all runs that wait, and answers whom they know. For the
/// others it reads the notes of the user who started the run: they are about that user's containers
/// alone, never confirm a name, and what hinders reading them is said of no one else's runs.
/// Thread-safe. Destroying it stops and joins.
class NoteRecogniser final : public Recogniser {
 public:
  /// `processes` outlives it.
  NoteRecogniser(NoteRoots roots, Processes& processes, RecogniserOptions options = {});
  ~NoteRecogniser() override;

  void look(RecognitionTask task, Callback on_report) override;

 private:
  struct Job {
    RecognitionTask task;
    Callback on_report;
  };

  /// Notes by the device of the root that their processes live on.
  struct PlacedNotes {
    std::multimap<std::uint64_t, RuntimeNote> notes;
    std::string failure;  ///< why some may be missing, "" when none is
  };
  struct Unanswered {
    Job job;
    RecognitionReport report;  ///< by root's notes
  };

  void run(const std::stop_token& stop);
  void answer(std::vector<Job> jobs, const std::stop_token& stop);
  void answer_by_users_notes(std::vector<Unanswered> jobs, const std::stop_token& stop);
  PlacedNotes place(RuntimeNotes found, const std::stop_token& stop) const;
  void look_among(const PlacedNotes& placed, const RecognitionTask& task,
                  RecognitionReport& report) const;

  const NoteRoots roots_;
  Processes& processes_;
  const RecogniserOptions options_;
  BoundedQueue<Job> queue_;
  std::vector<Job> put_off_;  ///< of the thread: there was no time for their users' notes
  std::jthread thread_;       // last: joined first
};

}  // namespace assay::agent
