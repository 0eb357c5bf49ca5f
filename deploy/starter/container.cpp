// SPDX-License-Identifier: Apache-2.0
#include "deploy/starter/container.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/base/unique_fd.h"

namespace assay::starter {
namespace {

// What the child tells its parent through a close-on-exec pipe: the time before execve, and, when a
// step failed, which one. The pipe's end is the news that execve succeeded.
struct Report {
  std::int64_t exec_unix_ns = 0;
  int failed_errno = 0;
  char failed_step[60] = {};
};

[[noreturn]] void fail(int report_fd, std::string_view step) {
  Report report;
  report.failed_errno = errno;
  step.copy(report.failed_step, sizeof(report.failed_step) - 1);
  const ssize_t written = write(report_fd, &report, sizeof(report));
  _exit(written == sizeof(report) ? 127 : 126);
}

void require(bool done, int report_fd, std::string_view step) {
  if (!done) fail(report_fd, step);
}

bool is_under(std::string_view path, std::string_view folder) {
  return path.substr(0, folder.size()) == folder &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

// A folder of every Debian root that holds none of the layers: a tmpfs is mounted over it, inside
// the container's mount namespace only.
std::string workspace_for(const ContainerSpec& spec) {
  for (const std::string candidate : {"/mnt", "/media", "/srv", "/opt"}) {
    bool is_free = access(candidate.c_str(), F_OK) == 0;
    for (const std::string& lower : spec.lowers)
      is_free = is_free && !is_under(lower, candidate);
    if (is_free) return candidate;
  }
  return {};
}

void mount_root(const ContainerSpec& spec, int report_fd) {
  const std::string workspace = workspace_for(spec);
  require(!workspace.empty(), report_fd, "find a folder to work in");
  require(mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, report_fd, "private mounts");
  require(mount("tmpfs", workspace.c_str(), "tmpfs", 0, "mode=755") == 0, report_fd, "mount tmpfs");
  for (const char* name : {"/upper", "/work", "/root"}) {
    require(mkdir((workspace + name).c_str(), 0755) == 0, report_fd, "mkdir");
  }
  std::string options = "upperdir=" + workspace + "/upper,workdir=" + workspace + "/work,lowerdir=";
  for (const std::string& lower : spec.lowers)
    options += lower + ":";
  options.pop_back();
  const std::string root = workspace + "/root";
  require(mount("overlay", root.c_str(), "overlay", 0, options.c_str()) == 0, report_fd,
          "mount overlay");
  require(chdir(root.c_str()) == 0, report_fd, "enter the root");
  // Not every image has /proc; a container without it still runs.
  if (access("proc", F_OK) == 0) {
    require(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
            report_fd, "mount proc");
  }
  require(syscall(SYS_pivot_root, ".", ".") == 0, report_fd, "pivot_root");
  require(umount2(".", MNT_DETACH) == 0, report_fd, "detach the host's root");
  require(chdir("/") == 0, report_fd, "enter the root");
}

[[noreturn]] void run_child(const ContainerSpec& spec, int report_fd) {
  require(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, report_fd, "prctl");
  mount_root(spec, report_fd);
  require(sethostname(spec.hostname.data(), spec.hostname.size()) == 0, report_fd, "sethostname");
  sigset_t none;
  sigemptyset(&none);
  require(sigprocmask(SIG_SETMASK, &none, nullptr) == 0, report_fd, "sigprocmask");
  std::vector<char*> argv;
  for (const std::string& word : spec.command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  setenv("PATH", path + strlen("PATH="), 1);  // for execvpe's own look-up
  Report report;
  report.exec_unix_ns = to_unix_ns(SystemClock().wall_now());
  require(write(report_fd, &report, sizeof(report)) == sizeof(report), report_fd, "report");
  execvpe(argv[0], argv.data(), environment);
  fail(report_fd, "exec " + spec.command[0]);
}

pid_t clone_child(int report_fd) {
  clone_args arguments = {};
  arguments.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  arguments.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid == 0) require(fcntl(report_fd, F_SETFD, FD_CLOEXEC) == 0, report_fd, "fcntl");
  return static_cast<pid_t>(pid);
}

// Reads until the pipe closes, which is when the child has exec'ed or is gone.
Report last_report(int fd) {
  Report last;
  last.failed_errno = ECHILD;
  Report next;
  while (true) {
    const ssize_t got = read(fd, &next, sizeof(next));
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(next)) return last;
    last = next;
  }
}

}  // namespace

Result<void> check(const ContainerSpec& spec) {
  if (spec.lowers.empty()) return Error{ErrorCode::kInvalidArgument, "at least one --lower", 0};
  if (spec.command.empty()) return Error{ErrorCode::kInvalidArgument, "no command to run", 0};
  for (const std::string& lower : spec.lowers) {
    if (lower[0] != '/' || lower.find_first_of(":,\\") != std::string::npos) {
      return Error{ErrorCode::kInvalidArgument,
                   "--lower " + lower + ": needs an absolute path without \":\", \",\" and \"\\\"",
                   0};
    }
    struct stat status = {};
    if (stat(lower.c_str(), &status) != 0) return system_error("--lower " + lower);
    if (!S_ISDIR(status.st_mode)) {
      return Error{ErrorCode::kInvalidArgument, "--lower " + lower + ": is not a directory", 0};
    }
  }
  return ok();
}

Result<StartedContainer> start_container(const ContainerSpec& spec) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return system_error("pipe2");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = clone_child(write_end.get());
  if (pid < 0) return system_error("clone3");
  if (pid == 0) run_child(spec, write_end.get());
  write_end.reset();
  const Report report = last_report(read_end.get());
  if (report.failed_errno != 0) {
    waitpid(pid, nullptr, 0);
    return system_error("container: " + std::string(report.failed_step), report.failed_errno);
  }
  return StartedContainer{pid, from_unix_ns(report.exec_unix_ns)};
}

}  // namespace assay::starter
