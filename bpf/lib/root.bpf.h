// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The cheap filter that every exec, fork and exit of the host passes first.
#ifndef ASSAY_LIB_ROOT_BPF_H
#define ASSAY_LIB_ROOT_BPF_H

#include "bpf/lib/state.bpf.h"

// Whether `task` stands on the host's root in the host's mount namespace; a handful of loads.
static __always_inline bool assay_is_plain_host(struct task_struct *task)
{
	struct fs_struct *fs = task->fs;

	return (__u64)fs->root.dentry == host.root_dentry &&
	       (__u64)fs->root.mnt->mnt_sb == host.superblock &&
	       (__u64)task->nsproxy->mnt_ns == host.mount_namespace;
}

// Remembers the task at hand for the functions that read by address.
static __always_inline struct assay_scratch *assay_begin(__u32 slot, struct task_struct *task)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);

	if (!scratch)
		return NULL;
	scratch->task = (__u64)task;
	scratch->leader = (__u64)task->group_leader;
	scratch->tgid = (__u32)task->tgid;
	scratch->start_boot_ns = task->group_leader->start_boottime;
	scratch->filename = 0;
	scratch->executed_file = 0;
	return scratch;
}

// Whether a task at an unknown root may be taken for a container that never executes anything: it
// was forked and has executed nothing, and is not a helper of the host's that only changed its own
// root (sshd, an unpacker of images). Threads carry the flag too, so that the leader's counts.
static __always_inline bool assay_may_be_no_exec(struct task_struct *task,
						 const struct assay_scratch *scratch)
{
	return (task->group_leader->flags & ASSAY_PF_FORKNOEXEC) &&
	       !(scratch->flags & (ASSAY_IS_HOST_ROOT | ASSAY_IN_HOST_MOUNT_NAMESPACE));
}

#endif // ASSAY_LIB_ROOT_BPF_H
