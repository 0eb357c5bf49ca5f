// SPDX-License-Identifier: Apache-2.0
// Runs the built program `assay` in a home of its own, the way a user does.
#pragma once

#include <string>
#include <vector>

namespace assay::cli::tests {

struct Finished {
  int exit_code = -1;  ///< 128 + signal when it was killed
  std::string out;
  std::string error;
};

/// A temporary folder that is the program's home and working folder; gone with this object.
class Home {
 public:
  Home();
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home();

  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  bool has(const std::string& name) const;
  unsigned mode_of(const std::string& name) const;

  /// `assay WORDS…` without a terminal, with an environment of HOME and TMPDIR only, plus
  /// `environment`
  /// ("NAME=VALUE"). Killed after 60 s.
  Finished assay(const std::vector<std::string>& words,
                 const std::vector<std::string>& environment = {}) const;
  /// Any program of the PATH, likewise.
  Finished run(std::vector<std::string> words,
               const std::vector<std::string>& environment = {}) const;

 private:
  std::string path_;
};

}  // namespace assay::cli::tests
