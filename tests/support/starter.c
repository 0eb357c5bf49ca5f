// SPDX-License-Identifier: Apache-2.0
// A container runtime and a container's program in one static binary: clone, overlay, pivot_root,
// exec, nothing else. The tests drive it through its input and output.
//
// starter run BASE LOWERDIR [option…] -- PROGRAM ARGUMENT…
//     Mounts BASE/merged as an overlay of LOWERDIR (as mount(2) takes it, relative to BASE),
//     BASE/upper and BASE/work in new mount and pid namespaces, makes it the root, executes
//     PROGRAM.
//     --no-exec: does not execute, ends when its input closes.  --read-only: without an upper.
//     --helper: a child executes, after the process that made the root has exited (as
//     systemd-nspawn does it), in a mount namespace of its own and without a pid namespace; "pid N"
//     is that process.
//     --init: a child executes; the process that made the root waits for it and executes nothing.
//     --threads: executes from a thread that is not the leader.
//     --hook: lets a child of it execute `true` first, as runtimes run a startContainer hook.
//     --injected: mounts this program's own file over /bin/starter, as docker mounts an init.
//     --own-pids: stays in the pid namespace it is in.
//     --lower-by WAY: how the layers are told to the kernel (starter_root.h).
//     --cgroup DIRECTORY: goes there first, and so does the container.
//     Prints "pid N" (the host's number) first; ends with the program's status.
// starter join PID PROGRAM ARGUMENT…     enters the mount and pid namespaces of PID and executes.
// starter join-root PID PROGRAM ARGUMENT…    enters its mount namespace alone.
// starter chroot DIRECTORY PROGRAM ARGUMENT…
// starter true                           ends at once.
// starter storm COUNT                    forks, and executes `true` in the child, so many times.
// starter roots COUNT                    gives so many children one after the other a mount
//                                        namespace and a root of their own (pivot_root), in which
//                                        they execute `true`.
// starter silent-root                    gives a child a mount namespace and a root of its own, in
//                                        which it executes nothing and ends.
// starter namespaces COUNT [--user]      gives so many children a mount namespace of their own, in
//                                        which they execute `true` on the same root; --user: and a
//                                        user namespace, as `unshare -Urm` does.
// starter leave                          ends, but leaves a child that prints "alone" once it is
//                                        the last one, and ends when its input closes.
// starter memory                         executes `true` of a copy of itself in memory (memfd).
// starter deleted FILE                   executes `true` of a copy of itself that was FILE and is
//                                        deleted.
// starter hold                           prints "ready"; for each line "exec" executes `true` in a
//                                        child and prints "done"; ends when its input closes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "starter_root.h"

static void die(const char* what) {
  fprintf(stderr, "starter: %s: %s\n", what, strerror(errno));
  exit(120);
}

struct container {
  struct starter_root root;
  int no_exec;
  int threads;
  int hook;
  int injected;
  int own_pids;
  int helper;
  int init;
  char** argv;
};

static void* exec_in_thread(void* argument) {
  char** argv = argument;
  execv(argv[0], argv);
  die(argv[0]);
  return NULL;
}

static void wait_for_end_of_input(void) {
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
}

// Goes on in a child, once its parent has exited.
static void leave_to_child(void) {
  char byte;
  int alive[2];
  if (pipe2(alive, O_CLOEXEC) != 0) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) _exit(0);
  close(alive[1]);
  while (read(alive[0], &byte, 1) > 0) {
  }
  if (unshare(CLONE_NEWNS) != 0) die("unshare");
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_hook(void) {
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    execl("/bin/starter", "/bin/starter", "true", (char*)NULL);
    die("execute the hook");
  }
  if (wait_for(pid) != 0) die("the hook");
}

static int in_container(const struct container* c) {
  if (!c->helper) prctl(PR_SET_PDEATHSIG, SIGKILL);
  starter_mount_root(&c->root);
  if (c->injected && mount(c->root.self, "bin/starter", NULL, MS_BIND, NULL) != 0)
    die("mount an init");
  starter_enter_root();
  if (c->hook) run_hook();
  if (c->helper) leave_to_child();
  if (c->init) {
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid > 0) return wait_for(pid);
  }
  if (c->no_exec) {
    wait_for_end_of_input();
    return 0;
  }
  if (c->threads) {
    pthread_t thread;
    pthread_create(&thread, NULL, exec_in_thread, c->argv);
    pthread_join(thread, NULL);
  }
  execv(c->argv[0], c->argv);
  die(c->argv[0]);
  return 1;
}

// Lets the child go on only after our own line was printed.
static void wait_for_parent(const int gate[2]) {
  char byte;
  close(gate[1]);
  while (read(gate[0], &byte, 1) > 0) {
  }
  close(gate[0]);
}

static void enter_cgroup(const char* directory) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) die(path);
  close(fd);
}

static int run(int argc, char** argv) {
  char self[4096] = "";
  if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) die("find this program");
  struct container c = {.root = {.base = argv[0], .lowerdir = argv[1], .self = self}};
  int i = 2;
  for (; i < argc && strcmp(argv[i], "--") != 0; ++i) {
    c.no_exec |= strcmp(argv[i], "--no-exec") == 0;
    c.root.read_only |= strcmp(argv[i], "--read-only") == 0;
    c.threads |= strcmp(argv[i], "--threads") == 0;
    c.hook |= strcmp(argv[i], "--hook") == 0;
    c.injected |= strcmp(argv[i], "--injected") == 0;
    c.own_pids |= strcmp(argv[i], "--own-pids") == 0;
    if (strcmp(argv[i], "--lower-by") == 0) c.root.lower_by = argv[++i];
    c.helper |= strcmp(argv[i], "--helper") == 0;
    c.init |= strcmp(argv[i], "--init") == 0;
    if (strcmp(argv[i], "--cgroup") == 0) enter_cgroup(argv[++i]);
  }
  c.argv = argv + i + 1;
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  const long spaces = CLONE_NEWNS | (c.helper || c.own_pids ? 0 : CLONE_NEWPID);
  if (c.helper) prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t pid = (pid_t)syscall(SYS_clone, spaces | SIGCHLD, NULL, NULL, NULL, 0);
  if (pid < 0) die("clone");
  if (pid == 0) {
    wait_for_parent(gate);
    exit(in_container(&c));
  }
  printf("pid %d\n", pid);
  fflush(stdout);
  close(gate[0]);
  close(gate[1]);
  int status = wait_for(pid);
  return c.helper && status == 0 ? wait_for(-1) : status;
}

static void enter(const char* pid, const char* name, int type) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, type) != 0) die(path);
  close(fd);
}

static int join(char** argv, int with_pids) {
  if (with_pids) enter(argv[0], "pid", CLONE_NEWPID);
  enter(argv[0], "mnt", CLONE_NEWNS);
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return wait_for(pid);
  execv(argv[1], argv + 1);
  die(argv[1]);
  return 1;
}

// Runs `work` in `count` children, one after the other: how many of them failed.
static int in_children(int count, void (*work)(void)) {
  int failed = 0;
  for (int i = 0; i < count; ++i) {
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
      work();
      execl("/bin/starter", "/bin/starter", "true", (char*)NULL);
      _exit(120);
    }
    failed += wait_for(pid) != 0;
  }
  return failed;
}

static void stay(void) {}

static void take_namespace(void) {
  if (unshare(CLONE_NEWNS) != 0) die("unshare");
}

static void take_user_namespace(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) die("unshare with a user namespace");
}

static void take_root(void) {
  take_namespace();
  if (mount("none", "/tmp", "tmpfs", 0, NULL) != 0) die("mount a tmpfs");
  if (mkdir("/tmp/bin", 0755) != 0) die("mkdir");
  if (mount("/bin", "/tmp/bin", NULL, MS_BIND, NULL) != 0) die("bind /bin");
  if (chdir("/tmp") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) die("pivot_root");
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) die("umount the old root");
}

static int silent_root(void) {
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return wait_for(pid);
  take_root();
  return 0;
}

// The child must be waiting for the signal before its parent ends.
static int leave(void) {
  sigset_t signals;
  int gate[2];
  int number = 0;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) {
    wait_for_parent(gate);  // for the child, this time
    return 0;
  }
  prctl(PR_SET_PDEATHSIG, SIGUSR1);
  close(gate[0]);
  close(gate[1]);
  sigwait(&signals, &number);
  puts("alone");
  fflush(stdout);
  wait_for_end_of_input();
  return 0;
}

static void copy_self(int to) {
  char bytes[65536];
  ssize_t got = 0;
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (from < 0) from = open("/bin/starter", O_RDONLY | O_CLOEXEC);  // in a root without /proc
  if (from < 0) die("open this program");
  while ((got = read(from, bytes, sizeof(bytes))) > 0)
    if (write(to, bytes, (size_t)got) != got) die("copy this program");
  close(from);
}

// By its descriptor, without /proc.
static int execute_fd(int fd) {
  char* argv[] = {"copy", "true", NULL};
  char* environment[] = {NULL};
  syscall(SYS_execveat, fd, "", argv, environment, AT_EMPTY_PATH);
  die("execute a descriptor");
  return 1;
}

static int execute_memory(void) {
  int fd = memfd_create("copy", MFD_CLOEXEC);
  if (fd < 0) die("memfd_create");
  copy_self(fd);
  return execute_fd(fd);
}

static int execute_deleted(const char* file) {
  int to = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  if (to < 0) die(file);
  copy_self(to);
  close(to);
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || unlink(file) != 0) die(file);
  return execute_fd(fd);
}

static int hold(const char* self) {
  char line[64];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof(line), stdin) != NULL) {
    pid_t pid = fork();
    if (pid == 0) {
      execl(self, self, "true", (char*)NULL);
      _exit(120);
    }
    wait_for(pid);
    puts("done");
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char** argv) {
  const char* command = argc > 1 ? argv[1] : "";
  if (strcmp(command, "run") == 0 && argc > 3) return run(argc - 2, argv + 2);
  if (strcmp(command, "join") == 0 && argc > 3) return join(argv + 2, 1);
  if (strcmp(command, "join-root") == 0 && argc > 3) return join(argv + 2, 0);
  if (strcmp(command, "chroot") == 0 && argc > 3) {
    if (chroot(argv[2]) != 0 || chdir("/") != 0) die(argv[2]);
    execv(argv[3], argv + 3);
    die(argv[3]);
  }
  if (strcmp(command, "true") == 0) return 0;
  if (strcmp(command, "hold") == 0) return hold(argv[0]);
  if (strcmp(command, "memory") == 0) return execute_memory();
  if (strcmp(command, "deleted") == 0 && argc > 2) return execute_deleted(argv[2]);
  if (strcmp(command, "storm") == 0 && argc > 2) return in_children(atoi(argv[2]), stay);
  if (strcmp(command, "roots") == 0 && argc > 2) return in_children(atoi(argv[2]), take_root);
  if (strcmp(command, "namespaces") == 0 && argc > 2)
    return in_children(atoi(argv[2]), argc > 3 ? take_user_namespace : take_namespace);
  if (strcmp(command, "silent-root") == 0) return silent_root();
  if (strcmp(command, "leave") == 0) return leave();
  fprintf(stderr, "usage: see the head of starter.c\n");
  return 2;
}
