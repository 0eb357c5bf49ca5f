// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Fork: a child is counted under its parent's run; forks on a root on which nothing was executed
// show a container that never executes anything.
#include "bpf/lib/root.bpf.h"
#include "bpf/lib/runs.bpf.h"

static __always_inline void assay_mark_child(struct task_struct *child,
					     const struct assay_run_key *key, __u64 leaf_cgroup_id)
{
	struct assay_mark mark = {};

	mark.key = *key;
	mark.leaf_cgroup_id = leaf_cgroup_id;
	mark.start_boot_ns = child->start_boottime;
	assay_add_mark((__u32)child->tgid, &mark);
}

// The first fork on an unknown root may be that of a runtime whose child executes next; the second
// one is a start.
static __always_inline bool assay_is_second_fork(const struct assay_run_key *key)
{
	__u64 once = ASSAY_FORKED;

	if (bpf_map_lookup_elem(&assay_forked, key)) {
		bpf_map_delete_elem(&assay_forked, key);
		return true;
	}
	if (bpf_map_update_elem(&assay_forked, key, &once, BPF_ANY)) {
		assay_count(ASSAY_OTHER_MAPS_FULL, 1);
		return true;
	}
	return false;
}

static __always_inline void assay_on_unmarked_fork(struct task_struct *parent,
						   struct task_struct *child)
{
	struct assay_scratch *scratch = assay_begin(ASSAY_SCRATCH_FORK, parent);
	int standing;

	if (!scratch)
		return;
	standing = assay_find_run(ASSAY_SCRATCH_FORK);
	if (standing == ASSAY_NO_RUN)
		return;
	if (standing == ASSAY_RUN_UNKNOWN) {
		if (!settings.is_settled || !assay_may_be_no_exec(parent, scratch) ||
		    !assay_is_second_fork(&scratch->key))
			return;
		if (assay_learn_run(scratch, 0) != -ASSAY_EEXIST)
			assay_send_start(ASSAY_SCRATCH_FORK, ASSAY_CAUSE_NO_EXEC);
	}
	assay_mark_task(scratch);
	assay_mark_child(child, &scratch->key, scratch->leaf_cgroup_id);
}

static __noinline int assay_on_other_root(struct task_struct *parent, struct task_struct *child)
{
	struct assay_mark *mark;
	struct assay_run_key key;
	__u32 tgid = (__u32)parent->tgid;

	mark = bpf_map_lookup_elem(&assay_marks, &tgid);
	if (mark && mark->start_boot_ns == parent->group_leader->start_boottime) {
		key = mark->key;
		assay_mark_child(child, &key, mark->leaf_cgroup_id);
		return 0;
	}
	assay_on_unmarked_fork(parent, child);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_sched_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid && !assay_is_plain_host(parent))
		assay_on_other_root(parent, child);
	return 0;
}
