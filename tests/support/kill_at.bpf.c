// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Ends a process right after its Nth system call that changes a file: for tests of what a kill
// between two writes leaves behind. Nothing in the process knows of it.
#include <linux/bpf.h>
// The helpers need its types.
#include <asm/unistd.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define SIGKILL 9

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u32 target_tgid;     // 0: nobody yet
char target_comm[16];  // thread whose calls count
__u64 kill_at;         // of its calls; 0: never, only count
__u64 steps;           // its calls so far
__u64 killed_in;       // number of the system call that was the last

static bool is_change(long number) {
  return number == __NR_pwrite64 || number == __NR_write || number == __NR_fsync ||
         number == __NR_fdatasync || number == __NR_ftruncate || number == __NR_unlink ||
         number == __NR_rename;
}

SEC("raw_tp/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args* ctx) {
  char comm[16];

  if (!target_tgid || bpf_get_current_pid_tgid() >> 32 != target_tgid) return 0;
  if (!is_change((long)ctx->args[1]) || bpf_get_current_comm(comm, sizeof(comm))) return 0;
  for (int i = 0; i < 16; i++) {
    if (comm[i] != target_comm[i]) return 0;
    if (!comm[i]) break;
  }
  if (++steps != kill_at) return 0;
  killed_in = ctx->args[1];
  bpf_send_signal(SIGKILL);
  return 0;
}
