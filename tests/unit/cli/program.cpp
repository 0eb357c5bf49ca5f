// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace assay::cli::tests {
namespace {

constexpr unsigned kDeadlineSeconds = 60;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts)
    out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// In the child, between fork and exec: only system calls.
[[noreturn]] void become(const std::string& folder, const std::string& out,
                         const std::string& error, char* const* words, char* const* environment) {
  const int in_fd = open("/dev/null", O_RDONLY);
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int error_fd = open(error.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(in_fd, 0);
  dup2(out_fd, 1);
  dup2(error_fd, 2);
  if (chdir(folder.c_str()) != 0) _exit(126);
  alarm(kDeadlineSeconds);
  execvpe(words[0], words, environment);
  _exit(127);
}

}  // namespace

Home::Home() {
  std::string pattern = (std::filesystem::temp_directory_path() / "assay-cli-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

Home::~Home() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Home::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ + "/" + name, std::ios::binary) << text;
}

std::string Home::read(const std::string& name) const {
  std::ostringstream text;
  text << std::ifstream(path_ + "/" + name, std::ios::binary).rdbuf();
  return text.str();
}

bool Home::has(const std::string& name) const {
  return std::filesystem::exists(path_ + "/" + name);
}

unsigned Home::mode_of(const std::string& name) const {
  struct stat info {};
  REQUIRE(stat((path_ + "/" + name).c_str(), &info) == 0);
  return info.st_mode & 07777;
}

Finished Home::assay(const std::vector<std::string>& words,
                     const std::vector<std::string>& environment) const {
  std::vector<std::string> all{ASSAY_PROGRAM};
  all.insert(all.end(), words.begin(), words.end());
  return run(std::move(all), environment);
}

Finished Home::run(std::vector<std::string> words,
                   const std::vector<std::string>& environment) const {
  std::vector<std::string> variables{"HOME=" + path_, "TMPDIR=" + path_,
                                     "PATH=/usr/local/bin:/usr/bin:/bin"};
  variables.insert(variables.end(), environment.begin(), environment.end());
  const auto word_pointers = pointers(words), variable_pointers = pointers(variables);
  const std::string out = path_ + "/.stdout", error = path_ + "/.stderr";
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) become(path_, out, error, word_pointers.data(), variable_pointers.data());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  Finished finished;
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  finished.out = read(".stdout");
  finished.error = read(".stderr");
  return finished;
}

}  // namespace assay::cli::tests
