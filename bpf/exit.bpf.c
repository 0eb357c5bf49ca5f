// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Exit of the last thread of a group: takes it off its run; one that no exec or fork had shown, on
// a root that is not known, is a start and at once an end.
#include "bpf/lib/root.bpf.h"
#include "bpf/lib/runs.bpf.h"

static __always_inline void assay_tell_at_exit(struct assay_scratch *scratch)
{
	if (assay_learn_run(scratch, 0) == -ASSAY_EEXIST)
		return;
	assay_send_start(ASSAY_SCRATCH_EXIT, ASSAY_CAUSE_NO_EXEC);
	assay_mark_task(scratch);
	assay_unmark(scratch->tgid);
}

// Whether the task stands on a root that nobody told of. With a mark it was counted where its
// parent stood; it must have left that root, which may be forgotten with the mark.
static __always_inline bool assay_is_untold(struct task_struct *task, struct assay_scratch *scratch)
{
	struct assay_mark *mark;
	__u32 tgid = scratch->tgid;

	if (!settings.is_settled || assay_find_run(ASSAY_SCRATCH_EXIT) != ASSAY_RUN_UNKNOWN ||
	    !assay_may_be_no_exec(task, scratch))
		return false;
	mark = bpf_map_lookup_elem(&assay_marks, &tgid);
	if (mark)
		return !assay_same_root(&mark->key, &scratch->key);
	return !assay_leaves_another(scratch);
}

// Of a task that has executed nothing since it was forked.
static __noinline int assay_on_unexecuted_exit(struct task_struct *task)
{
	struct assay_scratch *scratch = assay_begin(ASSAY_SCRATCH_EXIT, task);
	bool is_untold = scratch && assay_is_untold(task, scratch);

	assay_unmark((__u32)task->tgid);
	if (is_untold)
		assay_tell_at_exit(scratch);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_sched_exit, struct task_struct *task)
{
	if (task->signal->live.counter != 0 || (task->flags & ASSAY_PF_KTHREAD))
		return 0;
	if ((task->group_leader->flags & ASSAY_PF_FORKNOEXEC) && !assay_is_plain_host(task))
		assay_on_unexecuted_exit(task);
	else
		assay_unmark((__u32)task->tgid);
	return 0;
}
