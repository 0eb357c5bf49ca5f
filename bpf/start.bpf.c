// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Gathers the facts of a start and sends them, layers first.
#include "bpf/lib/budget.bpf.h"
#include "bpf/lib/process.bpf.h"

static __always_inline void assay_read_namespace_ids(struct assay_scratch *scratch)
{
	struct task_struct *task = (struct task_struct *)scratch->task;
	struct mnt_namespace *mount = (struct mnt_namespace *)scratch->mount_namespace;
	struct task_struct *leader = (struct task_struct *)scratch->leader;
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct pid_namespace *pid_namespace = NULL;

	bpf_core_read(&pid_namespace, sizeof(pid_namespace), &pid->numbers[level & 31].ns);
	scratch->start.mount_namespace_id = scratch->join.mount_namespace_id;
	scratch->start.mount_namespace = BPF_CORE_READ(mount, ns.inum);
	scratch->start.pid_namespace = BPF_CORE_READ(pid_namespace, ns.inum);
	scratch->start.user_namespace = BPF_CORE_READ(task, cred, user_ns, ns.inum);
}

// The process' numbers in its pid namespaces, outermost first.
__noinline int assay_read_namespace_pids(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct task_struct *leader;
	struct pid *pid;
	__u32 count;

	if (!scratch)
		return 0;
	leader = (struct task_struct *)scratch->leader;
	pid = BPF_CORE_READ(leader, thread_pid);
	count = BPF_CORE_READ(pid, level) + 1;
	if (count > ASSAY_MAX_NAMESPACE_PIDS)
		count = ASSAY_MAX_NAMESPACE_PIDS;
	scratch->start.namespace_pid_count = count;
	for (__u32 i = 0; i < ASSAY_MAX_NAMESPACE_PIDS; i++) {
		if (i >= count)
			break;
		bpf_core_read(&scratch->start.namespace_pids[i], sizeof(__u32),
			      &pid->numbers[i].nr);
	}
	return 0;
}

// Parents, nearest first, up to the host's init.
__noinline int assay_read_ancestors(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct task_struct *task;
	__u32 count = 0;

	if (!scratch)
		return 0;
	task = (struct task_struct *)scratch->leader;
	for (__u32 i = 0; i < ASSAY_MAX_ANCESTORS; i++) {
		if (BPF_CORE_READ(task, tgid) <= 1)
			break;
		task = BPF_CORE_READ(task, real_parent, group_leader);
		if (!task || BPF_CORE_READ(task, tgid) == 0)
			break;
		assay_read_process(&scratch->start.ancestors[i], task);
		count = i + 1;
	}
	scratch->start.ancestor_count = count;
	return 0;
}

static __always_inline __u32 assay_read_setting(__u64 ovl_fs, __u32 offset, __u32 size)
{
	__u32 value = 0;

	if (offset != ASSAY_NO_FIELD)
		bpf_probe_read_kernel(&value, size & 7, (void *)(ovl_fs + offset));
	return value;
}

// Mount options that change what a walk of the layers means.
__noinline int assay_read_overlay_options(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	volatile struct assay_overlay_offsets *at = &settings.overlay;
	struct assay_overlay *overlay;
	struct super_block *superblock;
	__u64 ovl_fs;

	if (!scratch)
		return 0;
	overlay = &scratch->start.overlay;
	overlay->redirect_mode = 0;
	overlay->verity_mode = 0;
	overlay->data_only_layers = 0;
	overlay->flags = 0;
	if (!scratch->layer_array)
		return 0;
	superblock = (struct super_block *)scratch->superblock;
	ovl_fs = (__u64)BPF_CORE_READ(superblock, s_fs_info);
	overlay->verity_mode = assay_read_setting(ovl_fs, at->verity_mode, 4);
	overlay->data_only_layers = assay_read_setting(ovl_fs, at->fs_data_layer_count, 4);
	if (assay_read_setting(ovl_fs, at->metacopy, 1))
		overlay->flags |= ASSAY_OVERLAY_METACOPY;
	if (assay_read_setting(ovl_fs, at->userxattr, 1))
		overlay->flags |= ASSAY_OVERLAY_USERXATTR;
	if (at->redirect_mode != ASSAY_NO_FIELD)
		overlay->redirect_mode = assay_read_setting(ovl_fs, at->redirect_mode, 4);
	else if (assay_read_setting(ovl_fs, at->redirect_dir, 1))
		overlay->redirect_mode = 3;
	else
		overlay->redirect_mode = assay_read_setting(ovl_fs, at->redirect_follow, 1) ? 1 : 2;
	return 0;
}

// What the process was executed with. In a sweep, and for a task that has executed nothing, user
// space looks it up.
__noinline int assay_read_command(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u32 flags = 0;

	if (!scratch)
		return 0;
	scratch->start.executable_size = 0;
	scratch->start.arguments_size = 0;
	if (slot != ASSAY_SCRATCH_EXEC)
		return 0;
	scratch->start.executable_size =
		assay_read_executable(scratch->filename, scratch->start.executable,
				      sizeof(scratch->start.executable), &flags);
	scratch->start.arguments_size =
		assay_read_arguments((struct task_struct *)scratch->task, scratch->start.arguments,
				     sizeof(scratch->start.arguments), &flags);
	scratch->flags |= flags;
	return 0;
}

static __always_inline void assay_fill_start(struct assay_scratch *scratch, __u32 cause)
{
	struct task_struct *task = (struct task_struct *)scratch->task;

	scratch->start.key = scratch->key;
	scratch->start.start_id =
		((__u64)bpf_get_smp_processor_id() << 48) | (++scratch->start_counter << 2);
	scratch->start.cause = cause;
	scratch->start.uid = BPF_CORE_READ(task, cred, euid.val);
	scratch->start.gid = BPF_CORE_READ(task, cred, egid.val);
	scratch->start.layer_count = scratch->layer_count;
	scratch->start.cgroup_path_size = scratch->cgroup_path_size;
	scratch->start.reserved = 0;
	assay_read_process(&scratch->start.process, (struct task_struct *)scratch->leader);
	assay_read_namespace_ids(scratch);
}

// The first start in a cgroup is always sent, and so many more as may wait in the ring buffer at
// once. What goes beyond it is sent while the buffer is not crowded: a container that makes one
// root after the other takes no other container's place. Returns 0 when it may be sent, else the
// flags of a run that was not told; in a cgroup that is no container's (a session, in which
// somebody starts many by hand) it counts as lost, and not as one run's noise.
__noinline int assay_check_start_budget(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct assay_cgroup fresh = {};
	struct assay_cgroup *cgroup;
	__u64 id;

	if (!scratch)
		return ASSAY_RUN_UNTOLD;
	id = scratch->key.cgroup_id;
	cgroup = bpf_map_lookup_elem(&assay_cgroups, &id);
	if (!cgroup) {
		fresh.first_run = scratch->key;
		if (bpf_map_update_elem(&assay_cgroups, &id, &fresh, BPF_ANY))
			assay_count(ASSAY_OTHER_MAPS_FULL, 1);
		return 0;
	}
	if (!bpf_map_lookup_elem(&assay_runs, &cgroup->first_run))
		cgroup->first_run = scratch->key; // that one has ended
	if (assay_take_start(&cgroup->starts, settings.start_budget) ||
	    bpf_ringbuf_query(&assay_starts, BPF_RB_AVAIL_DATA) < settings.crowded_bytes)
		return 0;
	assay_count(ASSAY_HELD_BACK_STARTS, 1);
	if (!scratch->has_container_cgroup)
		return ASSAY_RUN_UNTOLD;
	assay_hold_back(&cgroup->starts, &cgroup->first_run, ASSAY_BUDGET_STARTS,
			settings.start_budget);
	return ASSAY_RUN_UNTOLD | ASSAY_RUN_OVER_BUDGET;
}

// Remembers whether user space has been told of the run at hand.
static __always_inline void assay_note_told(const struct assay_scratch *scratch, __u32 flags)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, &scratch->key);

	if (run)
		run->flags = flags;
	else if (flags == ASSAY_RUN_UNTOLD)
		assay_count(ASSAY_LOST_UNKNOWN, 1);
}

// When the run became known, and whether a start of it was lost before.
static __always_inline void assay_read_run(struct assay_scratch *scratch)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, &scratch->key);

	scratch->start.known_since_boot_ns = run ? run->known_since_boot_ns : 0;
	if (run && (run->flags & ASSAY_RUN_UNTOLD))
		scratch->flags |= ASSAY_TOLD_AGAIN;
}

__noinline int assay_emit_start(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u64 size;

	if (!scratch)
		return -1;
	if ((scratch->flags & ASSAY_IS_OVERLAY) &&
	    (!scratch->layer_array || scratch->layer_count > ASSAY_MAX_LAYERS))
		scratch->flags |= ASSAY_LAYERS_TRUNCATED;
	if (scratch->layer_array && assay_send_layers(slot))
		scratch->flags |= ASSAY_LAYERS_TRUNCATED;
	scratch->start.flags = scratch->flags;
	size = sizeof(scratch->start) - sizeof(scratch->start.arguments) +
	       scratch->start.arguments_size;
	if (size > sizeof(scratch->start))
		return -1;
	assay_fill_header(&scratch->start.header, ASSAY_RECORD_START, (__u32)size);
	return (int)assay_emit_start_record(&scratch->start, size, ASSAY_LOST_STARTS, true);
}

// Sends the start of the run at hand. Returns 0, or not 0 when it was not taken; then the run's
// next exec or a sweep tries again.
__noinline int assay_send_start(__u32 slot, __u32 cause)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	int error, flags;

	if (!scratch)
		return -1;
	if (cause != ASSAY_CAUSE_SWEEP) {
		flags = assay_check_start_budget(slot);
		if (flags) {
			assay_note_told(scratch, (__u32)flags);
			return -1;
		}
	}
	assay_read_run(scratch);
	assay_fill_start(scratch, cause);
	scratch->start.start_id |= slot & 3;
	assay_read_namespace_pids(slot);
	assay_read_ancestors(slot);
	assay_read_overlay_options(slot);
	assay_read_command(slot);
	assay_read_posture(slot);
	assay_read_file(slot);
	scratch->start.file = scratch->file;
	error = assay_emit_start(slot);
	if (!error || cause != ASSAY_CAUSE_SWEEP) // a sweep asks again by itself
		assay_note_told(scratch, error ? ASSAY_RUN_UNTOLD : 0);
	return error;
}
