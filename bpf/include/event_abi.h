// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Layout of the records that the BPF programs write and user space reads (what the two share beside
// them: state_abi.h). docs/formats/event_abi.md describes the bytes. C and C++.
#ifndef ASSAY_EVENT_ABI_H
#define ASSAY_EVENT_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define ASSAY_ABI_ASSERT(type, bytes) static_assert(sizeof(type) == (bytes), #type " changed size")
#else
#define ASSAY_ABI_ASSERT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " changed size")
#endif

// Goes up with every change of the layout below or in state_abi.h; a new flag is none.
#define ASSAY_ABI_VERSION 3
// The oldest whose records are still read, from recordings: 3 added members to START and EXEC, each
// as a block right before the arguments.
#define ASSAY_ABI_OLDEST_READ 2

// Bounds. Each is a limit of the record, never of what is counted as seen.
#define ASSAY_MAX_LAYERS	 500  // overlayfs' own limit, OVL_MAX_STACK
#define ASSAY_LAYERS_PER_RECORD	 16   // keeps a record below 5 KiB; most images fit into one
#define ASSAY_MAX_LAYER_NAME	 256  // stores use names of 30 to 150 bytes; the name is a hint
#define ASSAY_MAX_LOWERDIR	 4096 // mount(2) takes one page of options
#define ASSAY_MAX_ANCESTORS	 16
#define ASSAY_MAX_NAMESPACE_PIDS 32 // the kernel's MAX_PID_NS_LEVEL
#define ASSAY_MAX_CGROUP_LEVELS	 16
#define ASSAY_MAX_CGROUP_NAME	 128 // the longest that runtimes make is 90
#define ASSAY_MAX_CGROUP_PATH	 1024
#define ASSAY_MAX_EXECUTABLE	 512
#define ASSAY_MAX_FILE_PATH	 512
#define ASSAY_MAX_FILE_DEPTH	 24 // names in it
#define ASSAY_MAX_ARGUMENTS	 4096
#define ASSAY_MAX_CANARY_TOKEN	 256
#define ASSAY_COMM_SIZE		 16 // the kernel's TASK_COMM_LEN

enum assay_record_type {
	ASSAY_RECORD_START = 1,
	ASSAY_RECORD_LAYERS = 2,
	ASSAY_RECORD_EXEC = 3,
	ASSAY_RECORD_EMPTIED = 4,
	ASSAY_RECORD_CANARY = 5,
	ASSAY_RECORD_LOWERDIR = 6,
	ASSAY_RECORD_TASK = 7, // of a sweep: read from the iterator, not from a ring buffer
	ASSAY_RECORD_NOISY = 8,
};

enum assay_cause {
	ASSAY_CAUSE_EXEC = 0,
	ASSAY_CAUSE_NO_EXEC = 1,
	ASSAY_CAUSE_SWEEP = 2,
};

// Bits of assay_start.flags, assay_exec.flags and assay_task.flags.
#define ASSAY_IS_OVERLAY	      (1u << 0)
#define ASSAY_IS_HOST_ROOT	      (1u << 1)
#define ASSAY_IN_HOST_MOUNT_NAMESPACE (1u << 2)
#define ASSAY_IN_HOST_PID_NAMESPACE   (1u << 3)
#define ASSAY_IN_HOST_USER_NAMESPACE  (1u << 4)
#define ASSAY_ARGUMENTS_TRUNCATED     (1u << 5)
#define ASSAY_EXECUTABLE_TRUNCATED    (1u << 6)
#define ASSAY_CGROUP_PATH_TRUNCATED   (1u << 7)
#define ASSAY_LAYERS_TRUNCATED	      (1u << 8)
#define ASSAY_FROM_UPPER	      (1u << 9)
#define ASSAY_NEVER_EXECUTED	      (1u << 10) // it executed nothing on this root
#define ASSAY_TOLD_AGAIN	      (1u << 11) // an earlier START of this run was not taken
#define ASSAY_START_IS_DUE	      (1u << 12) // an exec has just made the run known, and tells of it
#define ASSAY_EXEC_IS_DUE	      (1u << 13) // only a sweep knows it, and its exec may go on yet
#define ASSAY_FROM_OTHER_MOUNT	      (1u << 14) // a run's first program is not on the root's mount
#define ASSAY_PARENT_ON_ROOT	      (1u << 15) // its parent had this root, and executed nothing there
#define ASSAY_BEGINS_LIFE                                                                          \
	(1u << 16) // the run was not known right before: all tasks of an earlier life went

// Bits of assay_layer.flags.
#define ASSAY_LAYER_ID_MAPPED	   (1u << 0)
#define ASSAY_LAYER_DATA_ONLY	   (1u << 1)
#define ASSAY_LAYER_NAME_TRUNCATED (1u << 2)
#define ASSAY_LAYER_UNREADABLE	   (1u << 3)
#define ASSAY_LAYER_MAY_HANG	   (1u << 4) // on an overlay, itself on what a program may serve

// Bits of assay_overlay.flags.
#define ASSAY_OVERLAY_METACOPY	(1u << 0)
#define ASSAY_OVERLAY_USERXATTR (1u << 1)

// Bits of assay_file.flags.
#define ASSAY_FILE_KNOWN	  (1u << 0) // the rest says something
#define ASSAY_FILE_ON_ROOT	  (1u << 1) // on the superblock of the process' root
#define ASSAY_FILE_FROM_UPPER	  (1u << 2) // on an overlay: written there
#define ASSAY_FILE_UPPER_UNKNOWN  (1u << 3) // on an overlay, and this kernel does not tell
#define ASSAY_FILE_UNLINKED	  (1u << 4) // no name leads to it
#define ASSAY_FILE_INTERNAL	  (1u << 5) // on a mount of the kernel's own, as a memfd
#define ASSAY_FILE_IS_INTERPRETER (1u << 6) // of what `executable` names
#define ASSAY_FILE_PATH_TRUNCATED (1u << 7)

// Bits of assay_posture.flags.
#define ASSAY_POSTURE_KNOWN	       (1u << 0) // the rest says something
#define ASSAY_POSTURE_NO_NEW_PRIVS     (1u << 1)
#define ASSAY_POSTURE_SECCOMP_UNKNOWN  (1u << 2) // this kernel has no seccomp
#define ASSAY_POSTURE_ALL_CAPABILITIES (1u << 3) // effective: all that pid 1 has
#define ASSAY_POSTURE_HOST_NET	       (1u << 4) // pid 1's
#define ASSAY_POSTURE_HOST_IPC	       (1u << 5)
#define ASSAY_POSTURE_HOST_UTS	       (1u << 6)
#define ASSAY_POSTURE_HOST_CGROUP      (1u << 7)
#define ASSAY_POSTURE_READ_ONLY_ROOT   (1u << 8) // its mount or its superblock

struct assay_record_header {
	__u16 type; // enum assay_record_type
	__u16 abi_version;
	__u32 size;    // of the whole record, header included
	__u64 boot_ns; // CLOCK_BOOTTIME
};
ASSAY_ABI_ASSERT(struct assay_record_header, 16);

// Devices are in the kernel's encoding: major << 20 | minor.
struct assay_run_key {
	__u64 inode; // overlay: of the upper directory, if there is one; else of the root directory
	__u64 cgroup_id;
	__u32 device; // of the superblock
	__u32 generation;
	__u32 magic;
	__u32 reserved;
};
ASSAY_ABI_ASSERT(struct assay_run_key, 32);

struct assay_process {
	__u64 start_boot_ns;
	__u32 tgid;
	__u32 reserved;
	char name[ASSAY_COMM_SIZE];
};
ASSAY_ABI_ASSERT(struct assay_process, 32);

// The file whose code runs after an exec: of a script its interpreter. Numbers as the file's own
// superblock has them: on an overlay `inode` is, in its low 32 bits, the real file's number where
// that is not longer.
struct assay_file {
	__u64 inode;
	__u32 device;
	__u32 generation;
	__u32 magic;
	__u32 flags;
	__u32 path_size;
	__u32 reserved;
	// From its superblock's root, names leaf first, each ended by a zero.
	char path[ASSAY_MAX_FILE_PATH];
};
ASSAY_ABI_ASSERT(struct assay_file, 544);

// What a process may do, and what it shares with the host, besides assay_start's own flags.
struct assay_posture {
	__u64 effective_capabilities; // in its user namespace
	__u32 seccomp_mode;	      // 0 none, 1 strict, 2 filter
	__u32 flags;
};
ASSAY_ABI_ASSERT(struct assay_posture, 16);

struct assay_overlay {
	__u32 redirect_mode; // as from 6.5 on: 0 off, 1 follow, 2 nofollow, 3 on
	__u32 verity_mode;   // as from 6.6 on: 0 off, 1 on, 2 require
	__u32 data_only_layers;
	__u32 flags;
};
ASSAY_ABI_ASSERT(struct assay_overlay, 16);

struct assay_layer {
	__u64 inode;
	__u32 device;
	__u32 generation;
	__u32 magic;
	__u16 flags;
	__u16 name_size; // without a terminating zero
	char name[ASSAY_MAX_LAYER_NAME];
};
ASSAY_ABI_ASSERT(struct assay_layer, 280);

// Up to ASSAY_LAYERS_PER_RECORD layers of the start `start_id`; they come before it in the same
// ring buffer. Index 0 is the top lower layer, as the kernel counts.
struct assay_layers {
	struct assay_record_header header;
	__u64 start_id;
	__u32 first_index;
	__u32 count;
	struct assay_layer layers[ASSAY_LAYERS_PER_RECORD];
};
ASSAY_ABI_ASSERT(struct assay_layers, 4512);

// Up to 6.4 the kernel holds one string for all lower directories, separated by colons; it comes
// before the start `start_id` in the same ring buffer, and the layers have no names.
struct assay_lowerdir {
	struct assay_record_header header;
	__u64 start_id;
	__u32 text_size; // without a terminating zero
	__u32 is_truncated;
	char text[ASSAY_MAX_LOWERDIR]; // only the first text_size bytes are sent
};
ASSAY_ABI_ASSERT(struct assay_lowerdir, 4128);

struct assay_start {
	struct assay_record_header header;
	struct assay_run_key key;
	struct assay_process process;
	__u64 start_id;
	__u64 mount_namespace_id;  // unique per boot (6.8 and later), else 0
	__u64 known_since_boot_ns; // when the root was first seen; 0: it could not be remembered
	__u32 mount_namespace;	   // the inode numbers that /proc/PID/ns shows
	__u32 pid_namespace;
	__u32 user_namespace;
	__u32 cause; // enum assay_cause
	__u32 flags;
	__u32 uid; // effective, in the initial user namespace
	__u32 gid;
	__u32 layer_count; // lower layers, data-only ones included
	struct assay_overlay overlay;
	__u32 ancestor_count;
	__u32 namespace_pid_count;
	__u32 cgroup_path_size;
	__u32 executable_size;
	__u32 arguments_size;
	__u32 reserved;
	__u32 namespace_pids[ASSAY_MAX_NAMESPACE_PIDS];	     // outermost first
	struct assay_process ancestors[ASSAY_MAX_ANCESTORS]; // nearest first
	char cgroup_path[ASSAY_MAX_CGROUP_PATH]; // names, leaf first, each ended by a zero
	char executable[ASSAY_MAX_EXECUTABLE];
	struct assay_posture posture;	     // since ABI 3
	struct assay_file file;		     // since ABI 3
	char arguments[ASSAY_MAX_ARGUMENTS]; // only the first arguments_size bytes are sent
};
ASSAY_ABI_ASSERT(struct assay_start, 7008);

struct assay_exec {
	struct assay_record_header header;
	struct assay_run_key key;
	struct assay_process process;
	struct assay_process parent;
	__u32 uid;
	__u32 flags;
	__u32 executable_size;
	__u32 arguments_size;
	char executable[ASSAY_MAX_EXECUTABLE];
	struct assay_file file;		     // since ABI 3
	char arguments[ASSAY_MAX_ARGUMENTS]; // only the first arguments_size bytes are sent
};
ASSAY_ABI_ASSERT(struct assay_exec, 5280);

struct assay_emptied {
	struct assay_record_header header;
	struct assay_run_key key;
};
ASSAY_ABI_ASSERT(struct assay_emptied, 48);

// What a budget holds back.
enum assay_budget_kind {
	ASSAY_BUDGET_EXECS = 0,	 // of one run
	ASSAY_BUDGET_STARTS = 1, // of further roots in one container's cgroup
};

// A run went over a budget; at most one record a second and run. For starts the key is that of the
// first run in the cgroup.
struct assay_noisy {
	struct assay_record_header header;
	struct assay_run_key key;
	__u64 dropped; // records held back since the run is known, or the cgroup
	__u32 kind;    // enum assay_budget_kind
	__u32 budget;  // execs a second; starts that may wait
};
ASSAY_ABI_ASSERT(struct assay_noisy, 64);

// An exec of a child of the agent.
struct assay_canary {
	struct assay_record_header header;
	struct assay_process process;
	__u32 arguments_size;
	__u32 reserved;
	char arguments[ASSAY_MAX_CANARY_TOKEN]; // always sent whole
};
ASSAY_ABI_ASSERT(struct assay_canary, 312);

// One thread group on a run's root, as a sweep found it.
struct assay_task {
	struct assay_record_header header;
	struct assay_run_key key;
	struct assay_process process;
	__u32 flags;
	__u32 layer_count;
};
ASSAY_ABI_ASSERT(struct assay_task, 88);

#endif // ASSAY_EVENT_ABI_H
