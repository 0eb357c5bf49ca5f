// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Layout of what the BPF programs and user space share beside the records: map entries, counters,
// settings, and what one agent leaves to the next. C and C++.
#ifndef ASSAY_STATE_ABI_H
#define ASSAY_STATE_ABI_H

#include "bpf/include/event_abi.h"

// How many records were let through, and what was held back.
struct assay_budget {
	// Execs: begin of the second in which `used` counts. Starts: the position in their ring
	// buffer that user space must have given free before `used` counts anew.
	__u64 window;
	__u64 dropped;
	__u64 noisy_boot_ns; // of the last NOISY record
	__u32 used;
	__u32 reserved;
};
ASSAY_ABI_ASSERT(struct assay_budget, 32);

// Bits of assay_run.flags.
#define ASSAY_RUN_UNTOLD      (1u << 0) // its START was not taken: the next exec sends it again
#define ASSAY_RUN_OVER_BUDGET (1u << 1) // it was held back by the cgroup's budget
#define ASSAY_RUN_SWEPT	      (1u << 2) // only a sweep knows it: the next exec sends its START

// Value of the map of known runs.
struct assay_run {
	__s64 tasks; // marked thread groups
	__u64 known_since_boot_ns;
	struct assay_budget execs;
	__u32 flags;
	__u32 reserved;
};
ASSAY_ABI_ASSERT(struct assay_run, 56);

// Value of the map of cgroups in which a run started.
struct assay_cgroup {
	struct assay_run_key first_run;
	struct assay_budget starts;
};
ASSAY_ABI_ASSERT(struct assay_cgroup, 64);

// Counters, one set per CPU: records by what became of them, and failed map operations.
enum assay_counter {
	ASSAY_SENT = 0,
	ASSAY_LOST_STARTS = 1,	// tries, START records
	ASSAY_LOST_LAYERS = 2,	// LAYERS and LOWERDIR records
	ASSAY_LOST_ENDS = 3,	// EMPTIED records
	ASSAY_LOST_NOTICES = 4, // CANARY and NOISY records
	ASSAY_LOST_EXECS = 5,
	ASSAY_HELD_BACK_EXECS = 6,  // over a run's budget
	ASSAY_HELD_BACK_STARTS = 7, // over a cgroup's budget
	ASSAY_ENDED_UNTOLD = 8,	    // runs that ended before a START of theirs was taken
	ASSAY_LOST_UNKNOWN = 9,	    // lost STARTs of runs that the map of runs had no room for
	ASSAY_RUNS_FULL = 10,
	ASSAY_MARKS_FULL = 11,
	ASSAY_OTHER_MAPS_FULL = 12,
	ASSAY_COUNTERS = 13,
};
struct assay_counters {
	__u64 count[ASSAY_COUNTERS];
};
ASSAY_ABI_ASSERT(struct assay_counters, 104);

// A time until which nothing is missing in what user space has stored, and the counters as they
// stood then.
struct assay_well {
	__u64 boot_ns;
	__u64 recursion_misses;
	struct assay_counters counters;
};
ASSAY_ABI_ASSERT(struct assay_well, 120);

#define ASSAY_CONTROL_MAGIC 0x59415341u // "ASAY"

// What the agent that loaded the programs leaves to the next one, in a map of one entry that only
// user space reads and writes. Magic and version keep their place in all versions.
struct assay_control {
	__u32 magic;
	__u32 abi_version;
	__u8 object[32]; // SHA-256 of the BPF object
	// Which of `wells` counts. The other one is written first, so that a killed agent leaves
	// one that is whole; 0xffffffff: none yet.
	__u32 current;
	// Since that time something is missing for sure, whatever the counters say: records were
	// taken from a ring buffer and are not stored yet, or nobody looked.
	__u32 has_gap;
	struct assay_well wells[2];
};
ASSAY_ABI_ASSERT(struct assay_control, 288);

#define ASSAY_NO_FIELD 0xffffffffu

// Where overlayfs keeps things, in bytes; user space fills it from BTF, of the kernel or of the
// module. ASSAY_NO_FIELD: this kernel has no such member.
struct assay_overlay_offsets {
	__u32 is_known;
	__u32 layer_size; // sizeof(struct ovl_layer)
	__u32 layer_mnt;
	__u32 fs_layers;
	__u32 fs_layer_count;	   // numlayer
	__u32 fs_data_layer_count; // numdatalayer
	__u32 lowerdir;		   // char *, up to 6.4
	__u32 lowerdirs;	   // char **, from 6.5 on
	__u32 redirect_mode;	   // int, from 6.5 on
	__u32 redirect_dir;	   // bool, up to 6.4
	__u32 redirect_follow;	   // bool, up to 6.4
	__u32 verity_mode;
	__u32 metacopy;
	__u32 userxattr;
	__u32 inode_vfs_inode; // in struct ovl_inode
	__u32 inode_upper_dentry;
};
ASSAY_ABI_ASSERT(struct assay_overlay_offsets, 64);

// What the sweep program does with a task.
enum assay_sweep_mode {
	ASSAY_SWEEP_LEARN_HOST = 0, // only remember what pid 1's root and namespaces are
	ASSAY_SWEEP_KEYS = 1,	    // write an assay_task for every thread group on a run's root
	ASSAY_SWEEP_FACTS = 2,	    // send a start for the thread groups in the map assay_wanted
};

// Written by user space while the programs run.
struct assay_settings {
	__u32 canary_tgid; // execs of this process' children are canaries; 0: none
	__u32 sweep_mode;
	__u32 exec_budget; // records per run and second
	// 0 until a first sweep has made the running containers known: no start is sent before.
	__u32 is_settled;
	__u32 start_budget; // further roots of one cgroup that may wait in the ring buffer of
			    // starts
	// Beyond that they are sent only while less than this many bytes wait in it.
	__u32 crowded_bytes;
	// An exec wakes user space when so many bytes wait in the ring buffer of execs: a wake-up
	// costs ten times what the record does, and nobody waits for it.
	__u32 exec_wake_bytes;
	__u32 reserved;
	struct assay_overlay_offsets overlay;
};
ASSAY_ABI_ASSERT(struct assay_settings, 96);

// pid 1's root and namespaces, as addresses: a sweep refreshes them.
struct assay_host {
	__u64 superblock;
	__u64 root_dentry;
	__u64 id_map;
	__u64 mount_namespace;
	__u64 pid_namespace;
	__u64 user_namespace;
	__u64 net_namespace;
	__u64 ipc_namespace;
	__u64 uts_namespace;
	__u64 cgroup_namespace;
	__u64 capabilities; // effective ones, not an address
};
ASSAY_ABI_ASSERT(struct assay_host, 88);

#endif // ASSAY_STATE_ABI_H
