// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Exec: the first one on an unknown root is a start, later ones are execs.
#include "bpf/lib/budget.bpf.h"
#include "bpf/lib/process.bpf.h"
#include "bpf/lib/root.bpf.h"
#include "bpf/lib/runs.bpf.h"

static __always_inline bool assay_take_exec_budget(const struct assay_run_key *key)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, key);

	if (!run || assay_take_exec(&run->execs, settings.exec_budget))
		return true;
	assay_count(ASSAY_HELD_BACK_EXECS, 1);
	assay_hold_back(&run->execs, key, ASSAY_BUDGET_EXECS, settings.exec_budget);
	return false;
}

// Sends the exec of the task at hand on its known run.
__noinline int assay_send_exec(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct task_struct *task;
	__u32 flags = 0;
	__u64 size;

	if (!scratch || !assay_take_exec_budget(&scratch->key))
		return 0;
	task = (struct task_struct *)scratch->task;
	scratch->exec.key = scratch->key;
	assay_read_process(&scratch->exec.process, (struct task_struct *)scratch->leader);
	assay_read_process(&scratch->exec.parent, BPF_CORE_READ(task, real_parent, group_leader));
	scratch->exec.uid = BPF_CORE_READ(task, cred, euid.val);
	scratch->exec.executable_size =
		assay_read_executable(scratch->filename, scratch->exec.executable,
				      sizeof(scratch->exec.executable), &flags);
	scratch->exec.arguments_size = assay_read_arguments(
		task, scratch->exec.arguments, sizeof(scratch->exec.arguments), &flags);
	assay_read_file(slot);
	scratch->exec.file = scratch->file;
	if (scratch->file.flags & ASSAY_FILE_FROM_UPPER)
		flags |= ASSAY_FROM_UPPER;
	scratch->exec.flags = flags | (scratch->flags & ASSAY_IS_OVERLAY);
	size = sizeof(scratch->exec) - sizeof(scratch->exec.arguments) +
	       scratch->exec.arguments_size;
	if (size > sizeof(scratch->exec))
		return 0;
	assay_fill_header(&scratch->exec.header, ASSAY_RECORD_EXEC, (__u32)size);
	assay_emit_exec_record(&scratch->exec, size);
	return 0;
}

// Reports an exec of a child of the agent, wherever it runs.
static __noinline int assay_send_canary(struct task_struct *task)
{
	struct assay_canary record = {};
	__u32 flags = 0;

	assay_read_process(&record.process, task->group_leader);
	record.arguments_size =
		assay_read_arguments(task, record.arguments, sizeof(record.arguments), &flags);
	assay_fill_header(&record.header, ASSAY_RECORD_CANARY, sizeof(record));
	assay_emit_start_record(&record, sizeof(record), ASSAY_LOST_NOTICES, true);
	return 0;
}

// How the first program of a run came to be, for user space to tell a runtime's helper from the
// image's own entrypoint: an init that was mounted into the container, a hook that runs while the
// process that will execute the entrypoint waits.
static __always_inline __u32 assay_first_program_flags(const struct assay_scratch *scratch,
						       struct task_struct *task,
						       struct linux_binprm *bprm)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	__u32 tgid = (__u32)BPF_CORE_READ(parent, tgid);
	__u32 flags = 0;

	if ((__u64)BPF_CORE_READ(bprm, file, f_path.mnt) != scratch->root_mount)
		flags |= ASSAY_FROM_OTHER_MOUNT;
	// One with a mark belongs to another run, or has executed something; the host's own root is
	// everybody's.
	if (!(scratch->flags & (ASSAY_IS_HOST_ROOT | ASSAY_IN_HOST_MOUNT_NAMESPACE)) &&
	    (__u64)BPF_CORE_READ(parent, fs, root.dentry) == scratch->root_dentry &&
	    (__u64)BPF_CORE_READ(parent, fs, root.mnt, mnt_sb) == scratch->superblock &&
	    !bpf_map_lookup_elem(&assay_marks, &tgid))
		flags |= ASSAY_PARENT_ON_ROOT;
	return flags;
}

// Counts the parent too when it stands on the same root and never executed anything there: an init
// of a runtime's own, which waits for the program (bubblewrap) or for a hook before it executes the
// entrypoint. The run ends with the last of them.
static __always_inline void assay_mark_parent(struct task_struct *task,
					      const struct assay_scratch *scratch)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	struct assay_mark mark = {};

	if (!(scratch->flags & ASSAY_PARENT_ON_ROOT))
		return;
	mark.key = scratch->key;
	mark.leaf_cgroup_id = scratch->leaf_cgroup_id;
	mark.start_boot_ns = BPF_CORE_READ(parent, start_boottime);
	assay_add_mark(BPF_CORE_READ(parent, tgid), &mark);
	if (BPF_CORE_READ(parent, signal, live.counter) == 0) // its exit did not find the mark
		assay_unmark(BPF_CORE_READ(parent, tgid));
}

// Apart from the program, so that what every exec of the host runs through is a few cache lines.
static __noinline int assay_on_other_root(struct task_struct *task, struct linux_binprm *bprm)
{
	struct assay_scratch *scratch = assay_begin(ASSAY_SCRATCH_EXEC, task);
	int standing;

	if (!scratch)
		return 0;
	scratch->filename = (__u64)bprm->filename;
	scratch->executed_file = (__u64)bprm->file;
	scratch->interpreter_name = (__u64)bprm->interp;
	standing = assay_find_run(ASSAY_SCRATCH_EXEC);
	if (standing == ASSAY_NO_RUN) {
		assay_unmark(scratch->tgid); // it has left a container's root
		return 0;
	}
	if (standing == ASSAY_RUN_UNKNOWN && assay_learn_run(scratch, 0) == -ASSAY_EEXIST)
		standing = assay_find_run(ASSAY_SCRATCH_EXEC); // another task or a sweep was first
	if (standing == ASSAY_RUN_UNKNOWN)
		scratch->flags |= assay_first_program_flags(scratch, task, bprm);
	assay_mark_task(scratch);
	if (standing == ASSAY_RUN_UNKNOWN)
		assay_mark_parent(task, scratch);
	if (!settings.is_settled)
		return 0; // the sweep that follows tells of this run
	// A sweep may come between a program's file and this tracepoint; what ends before the sweep
	// asks for the facts would have no start.
	if (standing == ASSAY_RUN_KNOWN &&
	    !(scratch->run_flags & (ASSAY_RUN_UNTOLD | ASSAY_RUN_SWEPT)))
		assay_send_exec(ASSAY_SCRATCH_EXEC);
	else
		assay_send_start(ASSAY_SCRATCH_EXEC, ASSAY_CAUSE_EXEC);
	return 0;
}

// A process that went from a container to the host's root keeps its mark until it exits: looking
// for one here would cost every exec of the host more than the late hint is worth.
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_sched_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	if (settings.canary_tgid && (__u32)task->real_parent->tgid == settings.canary_tgid)
		assay_send_canary(task);
	if (!assay_is_plain_host(task))
		assay_on_other_root(task, bprm);
	return 0;
}
