// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Exit of the last thread of a group: takes it off its run; one that no exec or fork had shown, on
// a root that is not known, is a start and at once an end.
#include "bpf/lib/root.bpf.h"
#include "bpf/lib/runs.bpf.h"

static __noinline int assay_on_unmarked_exit(struct task_struct *task)
{
	struct assay_scratch *scratch = assay_begin(ASSAY_SCRATCH_EXIT, task);

	if (!scratch || !settings.is_settled ||
	    assay_find_run(ASSAY_SCRATCH_EXIT) != ASSAY_RUN_UNKNOWN ||
	    !assay_may_be_no_exec(task, scratch) || assay_leaves_another(scratch))
		return 0;
	if (assay_learn_run(scratch, 0) == -ASSAY_EEXIST)
		return 0;
	assay_send_start(ASSAY_SCRATCH_EXIT, ASSAY_CAUSE_NO_EXEC);
	assay_mark_task(scratch);
	assay_unmark(scratch->tgid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_sched_exit, struct task_struct *task)
{
	if (task->signal->live.counter != 0 || (task->flags & ASSAY_PF_KTHREAD))
		return 0;
	if (assay_unmark((__u32)task->tgid) || assay_is_plain_host(task))
		return 0;
	assay_on_unmarked_exit(task);
	return 0;
}
