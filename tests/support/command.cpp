// SPDX-License-Identifier: Apache-2.0
#include "tests/support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "common/base/unique_fd.h"

extern char** environ;

namespace assay::tests {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(20);

std::string join(const std::vector<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv)
    line += (line.empty() ? "" : " ") + word;
  return line;
}

// Starts `argv` in a process group of its own with the given descriptors as stdout and stderr.
pid_t spawn(const std::vector<std::string>& argv, int out_fd, int err_fd) {
  std::vector<char*> words;
  for (const std::string& word : argv)
    words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, words[0], &actions, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0)
    throw std::runtime_error("cannot start " + join(argv) + ": " + std::strerror(failure));
  return pid;
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    std::array<int, 2> ends = {};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
};

// False at the end of the stream.
bool drain(int fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void unmount_below(const std::string& folder) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::vector<std::string> points;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string point;
    for (int i = 0; i < 5; ++i)
      fields >> point;
    if (point.starts_with(folder + "/")) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point)
    ::umount2(point->c_str(), MNT_DETACH);
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& argv, std::chrono::seconds timeout) {
  Pipe out;
  Pipe err;
  const pid_t pid = spawn(argv, out.write_end.get(), err.write_end.get());
  out.write_end.reset();
  err.write_end.reset();
  CommandResult result;
  const auto deadline = Clock::now() + timeout;
  // A detached child may keep the pipes open, so the end is the program's own exit.
  int status = 0;
  bool has_exited = false;
  std::array<pollfd, 2> polled = {pollfd{out.read_end.get(), POLLIN, 0},
                                  pollfd{err.read_end.get(), POLLIN, 0}};
  while (true) {
    const int ready = ::poll(polled.data(), polled.size(), has_exited ? 0 : 20);
    bool got_bytes = false;
    for (std::size_t i = 0; ready > 0 && i < polled.size(); ++i) {
      if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      got_bytes = drain(polled[i].fd, i == 0 ? result.out : result.err) || got_bytes;
      if (!got_bytes && (polled[i].revents & POLLIN) == 0) polled[i].fd = -1;
    }
    if (has_exited && !got_bytes) break;
    has_exited = has_exited || ::waitpid(pid, &status, WNOHANG) == pid;
    if (!has_exited && Clock::now() > deadline) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      throw std::runtime_error("deadline passed: " + join(argv) + "\n" + result.out + result.err);
    }
  }
  result.exit_code = exit_code_of(status);
  return result;
}

std::string must_run(const std::vector<std::string>& argv, std::chrono::seconds timeout) {
  CommandResult result = run_command(argv, timeout);
  if (result.exit_code != 0)
    throw std::runtime_error(join(argv) + " ended with " + std::to_string(result.exit_code) + "\n" +
                             result.out + result.err);
  while (result.out.ends_with('\n'))
    result.out.pop_back();
  return result.out;
}

bool has_program(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

bool wait_until(const std::function<bool()>& condition, std::chrono::seconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

TempFolder::TempFolder(const std::string& name) : path_("/tmp/assay-" + name + "-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make " + path_);
}

TempFolder::~TempFolder() {
  unmount_below(path_);
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Daemon::Daemon(const std::vector<std::string>& argv, std::string log_path)
    : log_path_(std::move(log_path)) {
  const UniqueFd log(::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) throw std::runtime_error("cannot write " + log_path_);
  pid_ = spawn(argv, log.get(), log.get());
}

Daemon::~Daemon() {
  stop();
}

bool Daemon::is_running() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

std::string Daemon::log_tail() const {
  std::ifstream log(log_path_);
  std::string text((std::istreambuf_iterator<char>(log)), {});
  return text.size() > 4000 ? text.substr(text.size() - 4000) : text;
}

void Daemon::stop(std::chrono::seconds grace) {
  if (!is_running()) return;
  ::kill(pid_, SIGTERM);
  if (wait_until([this] { return !is_running(); }, grace)) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace assay::tests
