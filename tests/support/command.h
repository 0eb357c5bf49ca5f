// SPDX-License-Identifier: Apache-2.0
// Programs and folders of a test: run to the end with a deadline, or as a daemon that is stopped by
// its pid. Failures throw, which Catch2 reports; none of this is in shipped code.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace assay::tests {

using Words = std::vector<std::string>;

/// A command line with more words at its end.
inline Words operator+(Words left, const Words& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

struct CommandResult {
  int exit_code = -1;  ///< 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

/// Runs `argv` (found through PATH) to its end. Throws when it cannot start or `timeout` passes
/// (then its process group is killed).
CommandResult run_command(const std::vector<std::string>& argv,
                          std::chrono::seconds timeout = std::chrono::seconds(180));
/// The same, and throws with the program's own words when the exit code is not 0. Returns stdout
/// without trailing newlines.
std::string must_run(const std::vector<std::string>& argv,
                     std::chrono::seconds timeout = std::chrono::seconds(180));
/// Whether `program` is in PATH.
bool has_program(const std::string& program);

/// Waits until `condition` holds; false when `timeout` passed first.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::seconds timeout = std::chrono::seconds(60));

/// A new folder below /tmp (kept short: socket paths have 107 bytes), removed with all mounts below
/// it when it goes.
class TempFolder {
 public:
  explicit TempFolder(const std::string& name = "test");
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// A program that runs in the background with its output in `log_path`; gets SIGTERM, and SIGKILL
/// when that does not help, as the object goes.
class Daemon {
 public:
  Daemon(const std::vector<std::string>& argv, std::string log_path);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();
  pid_t pid() const { return pid_; }
  bool is_running();
  /// The last lines of its output, for failure messages.
  std::string log_tail() const;
  void stop(std::chrono::seconds grace = std::chrono::seconds(20));

 private:
  pid_t pid_ = -1;
  std::string log_path_;
};

}  // namespace assay::tests
