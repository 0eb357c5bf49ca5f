// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sweep over all tasks: which runs live, and the facts of those that user space asks for.
#include "bpf/lib/process.bpf.h"
#include "bpf/lib/root.bpf.h"
#include "bpf/lib/runs.bpf.h"

static __always_inline void assay_learn_host(struct task_struct *init)
{
	struct vfsmount *mount = BPF_CORE_READ(init, fs, root.mnt);
	struct vfsmount___with_userns *older = (void *)mount;
	struct pid *pid = BPF_CORE_READ(init, thread_pid);
	struct pid_namespace *pid_namespace = NULL;

	bpf_core_read(&pid_namespace, sizeof(pid_namespace), &pid->numbers[0].ns);
	host.root_dentry = (__u64)BPF_CORE_READ(init, fs, root.dentry);
	host.superblock = (__u64)BPF_CORE_READ(mount, mnt_sb);
	host.mount_namespace = (__u64)BPF_CORE_READ(init, nsproxy, mnt_ns);
	host.pid_namespace = (__u64)pid_namespace;
	host.user_namespace = (__u64)BPF_CORE_READ(init, cred, user_ns);
	host.net_namespace = (__u64)BPF_CORE_READ(init, nsproxy, net_ns);
	host.ipc_namespace = (__u64)BPF_CORE_READ(init, nsproxy, ipc_ns);
	host.uts_namespace = (__u64)BPF_CORE_READ(init, nsproxy, uts_ns);
	host.cgroup_namespace = (__u64)BPF_CORE_READ(init, nsproxy, cgroup_ns);
	host.capabilities = assay_read_capabilities(init);
	if (bpf_core_field_exists(mount->mnt_idmap))
		host.id_map = (__u64)BPF_CORE_READ(mount, mnt_idmap);
	else if (bpf_core_field_exists(older->mnt_userns))
		host.id_map = (__u64)BPF_CORE_READ(older, mnt_userns);
}

// One task speaks for its thread group: the leader, or any thread when the leader has exited first.
static __always_inline bool assay_speaks_for_group(struct task_struct *task)
{
	if ((task->flags & ASSAY_PF_KTHREAD) || !task->fs)
		return false;
	return task->pid == task->tgid || !task->group_leader->fs;
}

// Whether the exit of the thread group has been told already: it keeps its root for a moment after
// the tracepoint (exit_fs comes later in do_exit), and would seem to live on.
static __always_inline bool assay_has_left(struct task_struct *task)
{
	__u32 tgid = (__u32)task->tgid;

	return task->signal->live.counter == 0 && !bpf_map_lookup_elem(&assay_marks, &tgid);
}

// Counts the thread group under its run. Its exit may go on meanwhile and have looked for a mark
// before this one was there; whoever comes second takes it back.
static __always_inline void assay_mark_swept(struct task_struct *task,
					     struct assay_scratch *scratch)
{
	assay_mark_task(scratch);
	if (task->signal->live.counter == 0)
		assay_unmark(scratch->tgid);
}

// Whether the thread group has executed what it runs where it stands: its file lies on a mount of
// its own mount namespace. A runtime's init, or a helper that changed its root, runs a file of the
// host's.
static __always_inline bool assay_has_executed_here(struct task_struct *task)
{
	struct vfsmount *from = BPF_CORE_READ(task, mm, exe_file, f_path.mnt);
	struct mount *mount = (void *)from - bpf_core_field_offset(struct mount, mnt);

	if (!from || (task->group_leader->flags & ASSAY_PF_FORKNOEXEC))
		return false;
	return BPF_CORE_READ(mount, mnt_ns) == task->nsproxy->mnt_ns;
}

// A sweep that meets a start on its way must not overtake it: the run would seem to be found late.
// Between a program's file and its tracepoint lies reading from a disk, between a run's being known
// and its START the gathering of facts.
#define ASSAY_PATIENCE_NS 1000000000ULL

static __always_inline __u32 assay_due_flag(const struct assay_scratch *scratch)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, &scratch->key);

	if (!run || (run->flags & ASSAY_RUN_UNTOLD) ||
	    bpf_ktime_get_boot_ns() - run->known_since_boot_ns > ASSAY_PATIENCE_NS)
		return 0;
	return (run->flags & ASSAY_RUN_SWEPT) ? ASSAY_EXEC_IS_DUE : ASSAY_START_IS_DUE;
}

static __always_inline void assay_write_key(struct bpf_iter__task *context,
					    struct assay_scratch *scratch)
{
	struct assay_task record = {};

	record.key = scratch->key;
	record.flags = scratch->flags;
	record.layer_count = scratch->layer_count;
	assay_read_process(&record.process, (struct task_struct *)scratch->leader);
	assay_fill_header(&record.header, ASSAY_RECORD_TASK, sizeof(record));
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
}

// A task that has executed nothing here is reported, but makes no root known: it may be a runtime's
// init that is about to execute the container's first program. User space decides by its age.
static __always_inline void assay_sweep_key(struct bpf_iter__task *context,
					    struct task_struct *task, struct assay_scratch *scratch)
{
	int standing = assay_find_run(ASSAY_SCRATCH_SWEEP);

	if (standing == ASSAY_NO_RUN)
		return;
	if (standing == ASSAY_RUN_UNKNOWN && !assay_has_executed_here(task)) {
		if (scratch->flags & (ASSAY_IS_HOST_ROOT | ASSAY_IN_HOST_MOUNT_NAMESPACE))
			return;
		scratch->flags |= ASSAY_NEVER_EXECUTED;
	} else {
		if (standing == ASSAY_RUN_UNKNOWN)
			assay_learn_run(scratch, ASSAY_RUN_SWEPT);
		else if (scratch->run_flags & ASSAY_RUN_UNTOLD)
			scratch->flags |= ASSAY_TOLD_AGAIN;
		assay_mark_swept(task, scratch);
		scratch->flags |= assay_due_flag(scratch);
	}
	assay_write_key(context, scratch);
}

static __always_inline void assay_sweep_facts(struct task_struct *task,
					      struct assay_scratch *scratch)
{
	__u32 tgid = scratch->tgid;
	int standing;

	if (!bpf_map_lookup_elem(&assay_wanted, &tgid))
		return;
	standing = assay_find_run(ASSAY_SCRATCH_SWEEP);
	if (standing == ASSAY_NO_RUN)
		return;
	if (standing == ASSAY_RUN_UNKNOWN)
		assay_learn_run(scratch, ASSAY_RUN_SWEPT);
	assay_mark_swept(task, scratch);
	assay_send_start(ASSAY_SCRATCH_SWEEP, ASSAY_CAUSE_SWEEP);
}

SEC("iter/task")
int on_sweep_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct assay_scratch *scratch;

	if (!task)
		return 0;
	// From a child of it: process 1 itself may be left out of what the iterator shows.
	if (task->real_parent->tgid == 1)
		assay_learn_host(task->real_parent->group_leader);
	if (settings.sweep_mode == ASSAY_SWEEP_LEARN_HOST || !assay_speaks_for_group(task) ||
	    assay_is_plain_host(task) || assay_has_left(task))
		return 0;
	scratch = assay_begin(ASSAY_SCRATCH_SWEEP, task);
	if (!scratch)
		return 0;
	if (settings.sweep_mode == ASSAY_SWEEP_KEYS)
		assay_sweep_key(context, task, scratch);
	else
		assay_sweep_facts(task, scratch);
	return 0;
}
