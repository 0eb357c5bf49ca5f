// SPDX-License-Identifier: Apache-2.0
// Runs a program and ends it with SIGKILL right after the Nth file-changing system call of one of
// its threads (kill_at.bpf.c). Needs root.
//
//   kill_at THREAD N COMMAND [ARGUMENT…]      N = 0: only counts
//
// At the end prints "steps N" (and "killed in system call M") on stdout; exit code 0 when the
// program was killed so or ended by itself with 0. SIGTERM is handed on.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kill_at_bpf.skel.h"

namespace {

pid_t child = -1;

void hand_on(int number) {
  if (child > 0) kill(child, number);
}

/// A child that executes `command` once a byte comes through `gate`.
pid_t start_behind(int gate, char** command) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (read(gate, &byte, 1) == 1) execv(command[0], command);
  std::perror(command[0]);
  _exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: kill_at THREAD N COMMAND [ARGUMENT…]\n");
    return 2;
  }
  int gate[2];
  if (pipe(gate) != 0) return 1;
  child = start_behind(gate[0], argv + 3);
  kill_at_bpf* skeleton = kill_at_bpf__open_and_load();
  if (skeleton == nullptr) {
    std::fprintf(stderr, "kill_at: the BPF program cannot be loaded\n");
    return 3;
  }
  skeleton->bss->target_tgid = static_cast<__u32>(child);
  skeleton->bss->kill_at = std::strtoull(argv[2], nullptr, 10);
  std::strncpy(skeleton->bss->target_comm, argv[1], sizeof(skeleton->bss->target_comm) - 1);
  if (kill_at_bpf__attach(skeleton) != 0) {
    std::fprintf(stderr, "kill_at: the BPF program cannot be attached\n");
    return 3;
  }
  signal(SIGTERM, hand_on);
  if (write(gate[1], "x", 1) != 1) return 1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  std::printf("steps %llu\n", static_cast<unsigned long long>(skeleton->bss->steps));
  const bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (is_killed)
    std::printf("killed in system call %llu\n",
                static_cast<unsigned long long>(skeleton->bss->killed_in));
  kill_at_bpf__destroy(skeleton);
  return is_killed ? 0 : WEXITSTATUS(status);
}
