// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/canary.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/random.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

Result<std::string> make_token() {
  std::array<char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return system_error("getrandom");
  return "assay-canary-" + to_hex({bytes.data(), bytes.size()});
}

// Runs argv[0] detached from our input and output, with default signals and no environment.
int spawn_quietly(pid_t& pid, std::vector<char*>& argv) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  for (const int fd : {0, 1, 2})
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::array<char*, 1> environment{nullptr};
  const int error =
      ::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

}  // namespace

Result<void> Canary::launch(const std::vector<std::string>& command, BootTime deadline) {
  reap();
  if (command.empty()) return Error{ErrorCode::kInvalidArgument, "no canary command"};
  ASSAY_ASSIGN(std::string token, make_token());
  std::vector<std::string> arguments = command;
  arguments.push_back(token);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (const int error = spawn_quietly(pid_, argv); error != 0) {
    pid_ = -1;
    return system_error("execute the canary " + command.front(), error);
  }
  token_ = std::move(token);
  deadline_ = deadline;
  return ok();
}

bool Canary::recognise(const CanarySeen& seen) {
  if (token_.empty() || seen.arguments.empty() || seen.arguments.back() != token_) return false;
  reap();
  return true;
}

void Canary::reap() {
  token_.clear();
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace assay::agent
