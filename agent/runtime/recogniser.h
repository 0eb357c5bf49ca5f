// SPDX-License-Identifier: Apache-2.0
// Finds out which runtime's note is about a run: the one whose first process lives on its root.
#pragma once

#include <thread>
#include <vector>

#include "agent/runtime/runtime_notes.h"
#include "common/base/bounded_queue.h"

namespace assay::agent {

struct RecogniserOptions {
  std::size_t max_waiting = 10'000;  ///< runs; more are answered with a failure
  std::size_t max_together = 1'000;  ///< looked up with one reading of all notes
};

/// One thread reads the notes, once for all runs that wait. Notes of the user who started a run are
/// read as well: they are about that user's containers, and never confirm a name. Thread-safe.
/// Destroying it stops and joins.
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

  void run(const std::stop_token& stop);
  void answer(std::vector<Job> jobs, const std::stop_token& stop);
  RuntimeNotes read_notes(const std::vector<Job>& jobs) const;
  RecognitionReport recognise(const RecognitionTask& task, const RuntimeNotes& notes) const;

  const NoteRoots roots_;
  Processes& processes_;
  const RecogniserOptions options_;
  BoundedQueue<Job> queue_;
  std::jthread thread_;  // last: joined first
};

}  // namespace assay::agent
