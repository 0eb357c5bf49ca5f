// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counting thread groups per run by marks. The count is a hint (user space confirms an end by a
// sweep), so a mark that could not be stored only makes the hint worse.
#ifndef ASSAY_LIB_RUNS_BPF_H
#define ASSAY_LIB_RUNS_BPF_H

#include "bpf/lib/state.bpf.h"

static __always_inline bool assay_same_root(const struct assay_run_key *a,
					    const struct assay_run_key *b)
{
	return a->inode == b->inode && a->device == b->device && a->generation == b->generation &&
	       a->magic == b->magic;
}

static __always_inline bool assay_same_key(const struct assay_run_key *a,
					   const struct assay_run_key *b)
{
	return assay_same_root(a, b) && a->cgroup_id == b->cgroup_id;
}

// Takes one thread group off the run that counted it; the last one ends it. A later life of the
// same root has the same key and counts others. Of a run that was never told only the number is
// left.
static __always_inline void assay_uncount(const struct assay_run_key *key, __u64 since)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, key);
	struct assay_emptied record = {};
	__u32 flags;

	if (!run || run->known_since_boot_ns != since || __sync_fetch_and_sub(&run->tasks, 1) != 1)
		return;
	flags = run->flags;
	bpf_map_delete_elem(&assay_runs, key);
	if (flags & ASSAY_RUN_UNTOLD) {
		if (!(flags & ASSAY_RUN_OVER_BUDGET))
			assay_count(ASSAY_ENDED_UNTOLD, 1);
		return;
	}
	record.key = *key;
	assay_fill_header(&record.header, ASSAY_RECORD_EMPTIED, sizeof(record));
	assay_emit_start_record(&record, sizeof(record), ASSAY_LOST_ENDS, true);
}

// Forgets the mark of thread group `tgid`, if it has one; two threads that exit at once do it once.
// Returns whether there was one.
static __always_inline bool assay_unmark(__u32 tgid)
{
	struct assay_mark *mark = bpf_map_lookup_elem(&assay_marks, &tgid);
	struct assay_run_key key;
	__u64 since;

	if (!mark)
		return false;
	key = mark->key;
	since = mark->run_since_boot_ns;
	if (bpf_map_delete_elem(&assay_marks, &tgid) == 0)
		assay_uncount(&key, since);
	return true;
}

// Fills in which run counts it.
static __always_inline void assay_add_mark(__u32 tgid, struct assay_mark *mark)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, &mark->key);
	long error;

	// Counted before the mark is there: an exit between the two must not find the count at 0.
	if (run) {
		__sync_fetch_and_add(&run->tasks, 1);
		mark->run_since_boot_ns = run->known_since_boot_ns;
	}
	error = bpf_map_update_elem(&assay_marks, &tgid, mark, BPF_NOEXIST);
	if (!error)
		return;
	if (error == -ASSAY_EEXIST) {
		// A sweep and an exec met at the same task. It may have left since, and have found
		// itself not to be the last one.
		if (run)
			assay_uncount(&mark->key, mark->run_since_boot_ns);
		return;
	}
	assay_count(ASSAY_MARKS_FULL, 1);
	if (run)
		__sync_fetch_and_sub(&run->tasks, 1);
}

// Counts the thread group at hand under scratch->key, and no longer under another run.
static __always_inline void assay_mark_task(struct assay_scratch *scratch)
{
	struct assay_mark fresh = {};
	struct assay_mark *mark;
	__u32 tgid = scratch->tgid;

	mark = bpf_map_lookup_elem(&assay_marks, &tgid);
	if (mark && assay_same_key(&mark->key, &scratch->key) &&
	    mark->start_boot_ns == scratch->start_boot_ns) {
		mark->leaf_cgroup_id = scratch->leaf_cgroup_id;
		return;
	}
	fresh.key = scratch->key;
	fresh.leaf_cgroup_id = scratch->leaf_cgroup_id;
	fresh.start_boot_ns = scratch->start_boot_ns;
	if (mark)
		assay_unmark(tgid);
	assay_add_mark(tgid, &fresh);
}

// Puts the run at hand into the map of known runs. 0: it was not there, which the START will say
// unless a sweep learns of it. -EEXIST: it was. Any other failure is counted, and must be treated
// like 0.
static __always_inline long assay_learn_run(struct assay_scratch *scratch, __u32 flags)
{
	struct assay_run run = {};
	__u64 cgroup_id = scratch->key.cgroup_id;
	long error;

	run.known_since_boot_ns = bpf_ktime_get_boot_ns();
	run.flags = flags;
	error = bpf_map_update_elem(&assay_runs, &scratch->key, &run, BPF_NOEXIST);
	if (error && error != -ASSAY_EEXIST)
		assay_count(ASSAY_RUNS_FULL, 1);
	if (!error && !flags)
		scratch->flags |= ASSAY_BEGINS_LIFE;
	bpf_map_delete_elem(&assay_forked, &scratch->key); // it is not unknown any more
	if (!error && bpf_map_update_elem(&assay_joins, &scratch->join, &cgroup_id, BPF_ANY))
		assay_count(ASSAY_OTHER_MAPS_FULL, 1);
	return error;
}

// Whether a task that exits on an unknown root leaves another one there that will tell of it: of
// the two that the first fork made, a runtime's helper that prepared the root and the process that
// will execute the container's program (systemd-nspawn), the first to go says nothing. Not in a
// container's cgroup, where all are the container's own.
static __always_inline bool assay_leaves_another(const struct assay_scratch *scratch)
{
	__u64 *forked;

	if (scratch->has_container_cgroup)
		return false;
	forked = bpf_map_lookup_elem(&assay_forked, &scratch->key);
	if (!forked || *forked != ASSAY_FORKED)
		return false;
	*forked = ASSAY_FORKED_AND_LEFT;
	return true;
}

#endif // ASSAY_LIB_RUNS_BPF_H
