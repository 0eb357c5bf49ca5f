// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Maps and variables of all programs (defined in state.bpf.c), and how records leave the kernel.
#ifndef ASSAY_LIB_STATE_BPF_H
#define ASSAY_LIB_STATE_BPF_H

#include "bpf/include/kernel_types.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/include/state_abi.h"

// One scratch area per program: the kernel does not let a tracing program run twice at once on one
// CPU, but two different ones may interleave where tracepoints can be preempted.
enum assay_scratch_slot {
	ASSAY_SCRATCH_EXEC,
	ASSAY_SCRATCH_FORK,
	ASSAY_SCRATCH_EXIT,
	ASSAY_SCRATCH_SWEEP,
	ASSAY_SCRATCH_SLOTS,
};

// A root in one mount namespace.
struct assay_join_key {
	struct assay_run_key root; // cgroup_id 0
	__u64 mount_namespace_id;
};

// What a program works on, and the records it builds. Pointers are kept as numbers: global
// functions (verified once, each by itself) cannot take kernel pointers as arguments.
struct assay_scratch {
	__u64 task;   // the task at hand; its root, namespaces and cgroup count
	__u64 leader; // of its thread group: pid and start time
	__u64 superblock;
	__u64 root_mount;
	__u64 root_dentry;
	__u64 mount_namespace;
	__u64 layer_array; // struct ovl_layer *, 0 when it is not known
	__u64 leaf_cgroup_id;
	__u64 filename;		// struct linux_binprm's, 0 when there is no exec
	__u64 executed_file;	// struct file *
	__u64 interpreter_name; // struct linux_binprm's interp
	__u64 start_counter;
	__u64 start_boot_ns; // of the leader
	__u32 tgid;
	__u32 flags; // as in the records
	__u32 layer_count;
	__u32 has_container_cgroup;
	__u32 cgroup_path_size;
	__u32 run_flags; // of the known run, as assay_find_run saw it
	struct assay_run_key key;
	struct assay_join_key join;
	char cgroup_name[ASSAY_MAX_CGROUP_NAME + 8]; // room to read past the longest name
	struct assay_file file;
	struct assay_start start;
	struct assay_layers layers;
	struct assay_lowerdir lowerdir;
	struct assay_exec exec;
};

// The thread group's run, under which it is counted until it exits or executes on another root.
struct assay_mark {
	struct assay_run_key key;
	__u64 leaf_cgroup_id;
	__u64 start_boot_ns;	 // tells a thread group from a later one with the same number
	__u64 run_since_boot_ns; // known_since_boot_ns of the run that counts it; 0: none does
};

#define ASSAY_MAX_RUNS	 16384
#define ASSAY_MAX_MARKS	 32768
#define ASSAY_EEXIST	 17 // include/uapi/asm-generic/errno-base.h
#define ASSAY_MAX_WANTED 64
#define ASSAY_RING_SIZE	 4096 // a placeholder; user space sets both sizes before loading

struct assay_ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ASSAY_RING_SIZE);
};
struct assay_runs_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ASSAY_MAX_RUNS);
	__type(key, struct assay_run_key);
	__type(value, struct assay_run);
};
// By thread group id and not in task storage: when a thread other than the leader executes, the
// leader's storage goes with the leader while the thread group lives on.
struct assay_marks_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ASSAY_MAX_MARKS);
	__type(key, __u32);
	__type(value, struct assay_mark);
};
// (root, mount namespace) → the cgroup of the run there.
struct assay_joins_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ASSAY_MAX_RUNS);
	__type(key, struct assay_join_key);
	__type(value, __u64);
};
// Unknown roots on which a task forked once without having executed anything there, and whether one
// of the two has exited since.
#define ASSAY_FORKED	      1
#define ASSAY_FORKED_AND_LEFT 2
struct assay_forked_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct assay_run_key);
	__type(value, __u64);
};
struct assay_wanted_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ASSAY_MAX_WANTED);
	__type(key, __u32);
	__type(value, __u32);
};
struct assay_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ASSAY_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct assay_scratch);
};
struct assay_counters_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct assay_counters);
};
// By cgroup id. Who flushes it gets new budgets and hides nothing.
struct assay_cgroups_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ASSAY_MAX_RUNS);
	__type(key, __u64);
	__type(value, struct assay_cgroup);
};
struct assay_control_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct assay_control);
};

extern struct assay_ring_map assay_starts SEC(".maps");
extern struct assay_ring_map assay_execs SEC(".maps");
extern struct assay_runs_map assay_runs SEC(".maps");
extern struct assay_marks_map assay_marks SEC(".maps");
extern struct assay_joins_map assay_joins SEC(".maps");
extern struct assay_forked_map assay_forked SEC(".maps");
extern struct assay_wanted_map assay_wanted SEC(".maps");
extern struct assay_scratch_map assay_scratch SEC(".maps");
extern struct assay_counters_map assay_counters SEC(".maps");
extern struct assay_cgroups_map assay_cgroups SEC(".maps");
extern struct assay_control_map assay_control SEC(".maps");
extern volatile struct assay_settings settings;
extern volatile struct assay_host host;

// Results of assay_find_run.
enum assay_standing {
	ASSAY_NO_RUN = 0, // the host's own, or not to be read
	ASSAY_RUN_KNOWN = 1,
	ASSAY_RUN_UNKNOWN = 2,
};

// Global functions, each verified by itself. `slot`: enum assay_scratch_slot.
int assay_read_cgroup(__u32 slot);	       // cgroup.bpf.c
int assay_find_run(__u32 slot);		       // find.bpf.c; enum assay_standing
int assay_send_layers(__u32 slot);	       // layers.bpf.c
int assay_read_file(__u32 slot);	       // file.bpf.c
int assay_read_posture(__u32 slot);	       // posture.bpf.c
int assay_send_start(__u32 slot, __u32 cause); // start.bpf.c; 0, or not 0 when it was not taken

static __always_inline struct assay_scratch *assay_get_scratch(__u32 slot)
{
	return bpf_map_lookup_elem(&assay_scratch, &slot);
}

static __always_inline void assay_count(enum assay_counter counter, __u64 times)
{
	__u32 zero = 0;
	struct assay_counters *counters = bpf_map_lookup_elem(&assay_counters, &zero);

	if (counters)
		__sync_fetch_and_add(&counters->count[counter], times);
}

static __always_inline void assay_fill_header(struct assay_record_header *header, __u16 type,
					      __u32 size)
{
	header->type = type;
	header->abi_version = ASSAY_ABI_VERSION;
	header->size = size;
	header->boot_ns = bpf_ktime_get_boot_ns();
}

// Sends a record of the ring buffer for starts; counts it as sent or as `lost`. 0 or a negative
// errno. User space gives room free only after it has stored what it read, so that the kernel's own
// rule when to wake it (it has read everything) would never hold: `wakes` says it.
static __always_inline long assay_emit_start_record(void *record, __u64 size,
						    enum assay_counter lost, bool wakes)
{
	long error = bpf_ringbuf_output(&assay_starts, record, size,
					wakes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);

	assay_count(error ? lost : ASSAY_SENT, 1);
	return error;
}

static __always_inline void assay_emit_exec_record(void *record, __u64 size)
{
	bool wakes = bpf_ringbuf_query(&assay_execs, BPF_RB_AVAIL_DATA) >= settings.exec_wake_bytes;
	long error = bpf_ringbuf_output(&assay_execs, record, size,
					wakes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);

	assay_count(error ? ASSAY_LOST_EXECS : ASSAY_SENT, 1);
}

#endif // ASSAY_LIB_STATE_BPF_H
