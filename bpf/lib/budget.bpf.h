// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How many records one run may send, so that a storm in one container pushes out nobody else's.
#ifndef ASSAY_LIB_BUDGET_BPF_H
#define ASSAY_LIB_BUDGET_BPF_H

#include "bpf/lib/state.bpf.h"

#define ASSAY_SECOND_NS 1000000000ULL

// Takes one exec off the budget of this second. Tasks that race for the last one may both have it.
static __always_inline bool assay_take_exec(struct assay_budget *budget, __u32 per_second)
{
	__u64 now = bpf_ktime_get_boot_ns();

	if (now - budget->window >= ASSAY_SECOND_NS) {
		budget->window = now;
		budget->used = 0;
	}
	return __sync_fetch_and_add(&budget->used, 1) < per_second;
}

// Takes one start off the budget of those that may wait. Not by time: an agent that is stopped for
// a minute would let one container fill the ring buffer.
static __always_inline bool assay_take_start(struct assay_budget *budget, __u32 waiting)
{
	if (bpf_ringbuf_query(&assay_starts, BPF_RB_CONS_POS) >= budget->window) {
		budget->window = bpf_ringbuf_query(&assay_starts, BPF_RB_PROD_POS) + 1;
		budget->used = 0;
	}
	return __sync_fetch_and_add(&budget->used, 1) < waiting;
}

// Counts a record that is held back, and says so once a second.
static __always_inline void assay_hold_back(struct assay_budget *budget,
					    const struct assay_run_key *key, __u32 kind, __u32 size)
{
	struct assay_noisy record = {};
	__u64 now = bpf_ktime_get_boot_ns();

	record.dropped = __sync_fetch_and_add(&budget->dropped, 1) + 1;
	if (now - budget->noisy_boot_ns < ASSAY_SECOND_NS)
		return;
	budget->noisy_boot_ns = now;
	record.key = *key;
	record.kind = kind;
	record.budget = size;
	assay_fill_header(&record.header, ASSAY_RECORD_NOISY, sizeof(record));
	assay_emit_start_record(&record, sizeof(record), ASSAY_LOST_NOTICES, true);
}

#endif // ASSAY_LIB_BUDGET_BPF_H
