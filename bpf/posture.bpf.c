// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the first process of a run may do, and which of the host's namespaces it shares.
#include "bpf/lib/process.bpf.h"

static __always_inline __u32 assay_shared_namespaces(struct task_struct *task)
{
	struct nsproxy *own = BPF_CORE_READ(task, nsproxy);
	__u32 flags = 0;

	if ((__u64)BPF_CORE_READ(own, net_ns) == host.net_namespace)
		flags |= ASSAY_POSTURE_HOST_NET;
	if ((__u64)BPF_CORE_READ(own, ipc_ns) == host.ipc_namespace)
		flags |= ASSAY_POSTURE_HOST_IPC;
	if ((__u64)BPF_CORE_READ(own, uts_ns) == host.uts_namespace)
		flags |= ASSAY_POSTURE_HOST_UTS;
	if ((__u64)BPF_CORE_READ(own, cgroup_ns) == host.cgroup_namespace)
		flags |= ASSAY_POSTURE_HOST_CGROUP;
	return flags;
}

static __always_inline __u32 assay_restrictions(struct task_struct *task,
						const struct assay_scratch *scratch)
{
	struct vfsmount *mount = (struct vfsmount *)scratch->root_mount;
	__u32 flags = 0;

	if (BPF_CORE_READ(task, atomic_flags) & (1UL << ASSAY_PFA_NO_NEW_PRIVS))
		flags |= ASSAY_POSTURE_NO_NEW_PRIVS;
	if ((BPF_CORE_READ(mount, mnt_flags) & ASSAY_MNT_READONLY) ||
	    (BPF_CORE_READ(mount, mnt_sb, s_flags) & ASSAY_SB_RDONLY))
		flags |= ASSAY_POSTURE_READ_ONLY_ROOT;
	return flags;
}

// Fills the posture of the start at hand.
__noinline int assay_read_posture(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct assay_posture *posture;
	struct task_struct *task;

	if (!scratch)
		return 0;
	posture = &scratch->start.posture;
	task = (struct task_struct *)scratch->task;
	posture->effective_capabilities = assay_read_capabilities(task);
	posture->seccomp_mode = 0;
	posture->flags = ASSAY_POSTURE_KNOWN | assay_shared_namespaces(task) |
			 assay_restrictions(task, scratch);
	if (bpf_core_field_exists(task->seccomp.mode))
		posture->seccomp_mode = (__u32)BPF_CORE_READ(task, seccomp.mode);
	else
		posture->flags |= ASSAY_POSTURE_SECCOMP_UNKNOWN;
	if (host.capabilities &&
	    (posture->effective_capabilities & host.capabilities) == host.capabilities)
		posture->flags |= ASSAY_POSTURE_ALL_CAPABILITIES;
	return 0;
}
