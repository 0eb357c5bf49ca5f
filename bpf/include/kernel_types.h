// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel structs that the programs read, with only the members that they read. CO-RE finds the
// real offsets at load time; `___` begins a flavor, another kernel's form of the same struct.
// overlayfs' own structs are not here: see struct assay_overlay_offsets.
#ifndef ASSAY_KERNEL_TYPES_H
#define ASSAY_KERNEL_TYPES_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

#define ASSAY_OVERLAYFS_MAGIC  0x794c7630 // include/uapi/linux/magic.h
#define ASSAY_PF_FORKNOEXEC    0x00000040 // include/linux/sched.h: forked but did not exec
#define ASSAY_PF_KTHREAD       0x00200000
#define ASSAY_PFA_NO_NEW_PRIVS 0      // include/linux/sched.h, a bit's number
#define ASSAY_MNT_READONLY     0x40   // include/linux/mount.h
#define ASSAY_MNT_INTERNAL     0x4000 // likewise: made by the kernel for itself
#define ASSAY_SB_RDONLY	       1      // include/linux/fs.h

typedef int pid_t;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
	__u64 ns_id; // 6.18
};

struct user_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct mnt_namespace___with_seq {
	__u64 seq; // until 6.17; never used twice
};

struct nsproxy {
	void *uts_ns;
	void *ipc_ns;
	struct mnt_namespace *mnt_ns;
	void *net_ns;
	void *cgroup_ns;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	void *s_fs_info;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_generation;
};

struct qstr {
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct mnt_idmap;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
	struct mnt_idmap *mnt_idmap; // 6.2
};

struct vfsmount___with_userns {
	struct user_namespace *mnt_userns; // 5.12 to 6.1
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct {
	struct path root;
};

struct mount {
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
};

struct kernfs_node {
	const char *name;
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16]; // the real length is the kernel's
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4, // the real values are the kernel's
	pids_cgrp_id = 11,
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

typedef struct {
	__u32 cap[2]; // up to 6.2; later one number of as many bytes
} kernel_cap_t;

struct cred {
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

typedef struct {
	int counter;
} atomic_t;

struct seccomp {
	int mode;
};

struct signal_struct {
	atomic_t live;
};

struct task_struct {
	unsigned int flags;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct mm_struct *mm;
	unsigned long atomic_flags;
	struct seccomp seccomp;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif // ASSAY_KERNEL_TYPES_H
