// SPDX-License-Identifier: Apache-2.0
// Real containers by hand, and a sink that remembers what the probe said.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/probe/bpf_event_source.h"
#include "common/base/unique_fd.h"

namespace assay::tests {

/// Remembers everything; thread-safe.
class RecordingSink final : public agent::EventSink {
 public:
  void on_start(agent::ContainerStart start) override;
  void on_exec(agent::ContainerExec exec) override;
  void on_emptied(agent::RunEmptied emptied) override;
  void on_sweep(agent::SweepCompleted sweep) override;
  void on_gap(agent::ObservationGap gap) override;
  void on_noise(agent::RunNoise noise) override;
  /// Stored at once, unless told otherwise.
  void on_checkpoint(agent::Checkpoint checkpoint) override;
  bool has_room() const override { return has_room_; }

  std::vector<agent::ContainerStart> starts() const;
  std::vector<agent::ContainerExec> execs() const;
  std::vector<agent::RunEmptied> emptied() const;
  std::vector<agent::SweepCompleted> sweeps() const;
  std::vector<agent::ObservationGap> gaps() const;
  std::vector<agent::RunNoise> noises() const;

  /// Answers checkpoints; null: they are never stored.
  void store_for(agent::EventSource* source) { source_ = source; }
  void set_room(bool has_room) { has_room_ = has_room; }
  /// While held, the source's thread waits in its next call: an agent that is stopped.
  void hold(bool is_held);

  /// Waits until `condition` holds, at most 30 seconds; says whether it does.
  bool wait_for(const std::function<bool()>& condition) const;

 private:
  template <typename Change>
  void change(Change change);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<agent::ContainerStart> starts_;
  std::vector<agent::ContainerExec> execs_;
  std::vector<agent::RunEmptied> emptied_;
  std::vector<agent::SweepCompleted> sweeps_;
  std::vector<agent::ObservationGap> gaps_;
  std::vector<agent::RunNoise> noises_;
  bool is_held_ = false;
  std::atomic<agent::EventSource*> source_{nullptr};
  std::atomic<bool> has_room_{true};
};

/// A running program with a pipe to its input and from its output; killed and reaped when it goes.
class Program {
 public:
  explicit Program(std::vector<std::string> argv);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void write_line(const std::string& line);
  std::string read_line();
  void close_input() { input_.reset(); }
  /// Closes its input and waits for its end; its exit status.
  int finish();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  UniqueFd input_;
  UniqueFd output_;
};

/// Folders for one container below the test's own folder: layers, upper, work, merged.
/// The bottom layer holds /bin/starter. Removed at the end.
class Bundle {
 public:
  explicit Bundle(int layers);
  ~Bundle();
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  const std::string& path() const { return path_; }
  std::string layer(int index) const { return path_ + "/l/" + std::to_string(index); }
  /// As mount(2) takes it: top first, relative to path().
  std::string lowerdir() const;
  /// `starter run` of this bundle; see tests/support/starter.c.
  std::vector<std::string> run(const std::vector<std::string>& argv,
                               const std::vector<std::string>& options = {}) const;
  /// Whether `key` is that of a container on this bundle's upper directory.
  bool owns(const agent::RunKey& key) const {
    return key.root.inode == upper_inode_ && key.root.generation == upper_generation_;
  }

 private:
  std::string path_;
  int layers_;
  ino_t upper_inode_ = 0;
  std::uint32_t upper_generation_ = 0;  ///< inode numbers are used again at once
};

inline constexpr const char* kStarterInside = "/bin/starter";  ///< in a container

/// A container that waits for commands; its first line, the host's pid, is read.
struct HeldContainer {
  explicit HeldContainer(const Bundle& bundle, const std::vector<std::string>& options = {});
  /// Executes a program in it and waits for its end.
  void execute();
  Program program;
  std::string pid;
};

/// A container that ends at once; waits for its end.
void run_short(const Bundle& bundle, const std::vector<std::string>& options = {});
std::vector<std::unique_ptr<Bundle>> make_bundles(int count, int layers = 1);

/// A cgroup of its own, in the unified hierarchy, named as runtimes name them: 64 times `digit`.
class ContainerCgroup {
 public:
  explicit ContainerCgroup(char digit);
  ~ContainerCgroup();
  ContainerCgroup(const ContainerCgroup&) = delete;
  ContainerCgroup& operator=(const ContainerCgroup&) = delete;
  const std::string& path() const { return path_; }
  std::uint64_t id() const { return id_; }

 private:
  std::string path_;
  std::uint64_t id_ = 0;
};

std::string starter_path();
/// The inode's generation as the file system tells it (FS_IOC_GETVERSION).
std::uint32_t generation_of(const std::string& path);

std::vector<agent::ContainerStart> starts_of(const RecordingSink& sink, const Bundle& bundle);
std::vector<agent::ContainerExec> execs_of(const RecordingSink& sink, const Bundle& bundle);
std::size_t ends_of(const RecordingSink& sink, const Bundle& bundle);

/// A source that runs, settled: its first sweep is over.
struct RunningProbe {
  explicit RunningProbe(agent::ProbeOptions options = {},
                        std::optional<BootTime> absent_since = std::nullopt);
  SystemClock clock;
  RecordingSink sink;
  std::unique_ptr<agent::BpfEventSource> source;
};

/// A container that runs to its end; returns when the probe has told of it. As records keep their
/// order, everything that happened before it has been told too.
void run_to_end(const RunningProbe& probe);

}  // namespace assay::tests
