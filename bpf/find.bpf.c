// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which run a task belongs to: (root identity, container cgroup).
#include "bpf/lib/runs.bpf.h"

static __always_inline __u64 assay_mount_namespace_id(struct mnt_namespace *mount_namespace)
{
	struct mnt_namespace___with_seq *older = (void *)mount_namespace;

	if (bpf_core_field_exists(mount_namespace->ns.ns_id))
		return BPF_CORE_READ(mount_namespace, ns.ns_id);
	if (bpf_core_field_exists(older->seq))
		return BPF_CORE_READ(older, seq);
	return 0;
}

// The identity of the directory itself; for an overlay without an upper directory too.
static __always_inline void assay_read_directory(struct assay_scratch *scratch)
{
	struct super_block *superblock = (struct super_block *)scratch->superblock;
	struct dentry *dentry = (struct dentry *)scratch->root_dentry;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	scratch->key.device = BPF_CORE_READ(superblock, s_dev);
	scratch->key.magic = (__u32)BPF_CORE_READ(superblock, s_magic);
	scratch->key.inode = BPF_CORE_READ(inode, i_ino);
	scratch->key.generation = BPF_CORE_READ(inode, i_generation);
	scratch->key.reserved = 0;
}

// For an overlay: how many layers, where, and the upper directory's identity.
static __always_inline void assay_read_overlay(struct assay_scratch *scratch)
{
	struct super_block *superblock = (struct super_block *)scratch->superblock;
	__u64 ovl_fs = (__u64)BPF_CORE_READ(superblock, s_fs_info);
	struct vfsmount *upper = NULL;
	struct inode *inode;
	__u32 count = 0;

	if (!settings.overlay.is_known)
		return;
	bpf_probe_read_kernel(&count, sizeof(count),
			      (void *)(ovl_fs + settings.overlay.fs_layer_count));
	bpf_probe_read_kernel(&scratch->layer_array, sizeof(scratch->layer_array),
			      (void *)(ovl_fs + settings.overlay.fs_layers));
	scratch->layer_count = count ? count - 1 : 0;
	bpf_probe_read_kernel(&upper, sizeof(upper),
			      (void *)(scratch->layer_array + settings.overlay.layer_mnt));
	if (!upper)
		return;
	inode = BPF_CORE_READ(upper, mnt_root, d_inode);
	scratch->key.inode = BPF_CORE_READ(inode, i_ino);
	scratch->key.generation = BPF_CORE_READ(inode, i_generation);
}

static __always_inline bool assay_read_root(struct assay_scratch *scratch)
{
	struct task_struct *task = (struct task_struct *)scratch->task;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct nsproxy *nsproxy = BPF_CORE_READ(task, nsproxy);
	struct vfsmount *mount = BPF_CORE_READ(fs, root.mnt);

	if (!fs || !nsproxy || !mount)
		return false; // on its way out
	scratch->root_mount = (__u64)mount;
	scratch->root_dentry = (__u64)BPF_CORE_READ(fs, root.dentry);
	scratch->superblock = (__u64)BPF_CORE_READ(mount, mnt_sb);
	scratch->mount_namespace = (__u64)BPF_CORE_READ(nsproxy, mnt_ns);
	scratch->flags = 0;
	scratch->layer_array = 0;
	scratch->layer_count = 0;
	assay_read_directory(scratch);
	if (scratch->key.magic == ASSAY_OVERLAYFS_MAGIC) {
		scratch->flags |= ASSAY_IS_OVERLAY;
		assay_read_overlay(scratch);
	}
	return true;
}

static __always_inline void assay_read_namespaces(struct assay_scratch *scratch)
{
	struct task_struct *task = (struct task_struct *)scratch->task;
	struct task_struct *leader = (struct task_struct *)scratch->leader;
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct pid_namespace *pid_namespace = NULL;

	bpf_core_read(&pid_namespace, sizeof(pid_namespace), &pid->numbers[level & 31].ns);
	if (scratch->mount_namespace == host.mount_namespace)
		scratch->flags |= ASSAY_IN_HOST_MOUNT_NAMESPACE;
	if ((__u64)pid_namespace == host.pid_namespace)
		scratch->flags |= ASSAY_IN_HOST_PID_NAMESPACE;
	if ((__u64)BPF_CORE_READ(task, cred, user_ns) == host.user_namespace)
		scratch->flags |= ASSAY_IN_HOST_USER_NAMESPACE;
	if (scratch->root_dentry == host.root_dentry && scratch->superblock == host.superblock)
		scratch->flags |= ASSAY_IS_HOST_ROOT;
}

// The host's own root is a run in a new mount namespace together with a new pid or user namespace,
// or with a container's cgroup; an unknown one in a cgroup alone must pass
// assay_made_its_namespace.
static __always_inline bool assay_may_be_run(const struct assay_scratch *scratch)
{
	const __u32 both = ASSAY_IN_HOST_PID_NAMESPACE | ASSAY_IN_HOST_USER_NAMESPACE;

	if (!(scratch->flags & ASSAY_IS_HOST_ROOT))
		return true;
	if (scratch->flags & ASSAY_IN_HOST_MOUNT_NAMESPACE)
		return false;
	return (scratch->flags & both) != both || scratch->has_container_cgroup;
}

// Whether the first task of a run on the host's own root, of which only its cgroup says that it is
// a container's, has a mount namespace other than its parent's, as a runtime makes it. A runtime's
// init that is put into that cgroup before it makes namespaces shares one with the runtime: podman
// gives runc a mount namespace for containers in a user namespace.
static __always_inline bool assay_made_its_namespace(const struct assay_scratch *scratch)
{
	const __u32 both = ASSAY_IN_HOST_PID_NAMESPACE | ASSAY_IN_HOST_USER_NAMESPACE;
	struct task_struct *leader = (struct task_struct *)scratch->leader;

	if (!(scratch->flags & ASSAY_IS_HOST_ROOT) || (scratch->flags & both) != both)
		return true;
	return (__u64)BPF_CORE_READ(leader, real_parent, nsproxy, mnt_ns) !=
	       scratch->mount_namespace;
}

static __always_inline bool assay_is_known(struct assay_scratch *scratch)
{
	struct assay_run *run = bpf_map_lookup_elem(&assay_runs, &scratch->key);

	scratch->run_flags = run ? run->flags : 0;
	return run != NULL;
}

// Whoever stands on the root of a known run in the run's own mount namespace belongs to that run,
// whatever its cgroup: `nsenter` from a shell, an init system's cgroups inside the container.
static __always_inline bool assay_joins_known_run(struct assay_scratch *scratch)
{
	__u64 cgroup_id = scratch->key.cgroup_id;
	__u64 *joined;

	if (scratch->flags & ASSAY_IS_HOST_ROOT)
		return false;
	joined = bpf_map_lookup_elem(&assay_joins, &scratch->join);
	if (!joined)
		return false;
	scratch->key.cgroup_id = *joined;
	if (assay_is_known(scratch))
		return true;
	scratch->key.cgroup_id = cgroup_id;
	return false;
}

// Finds the run of the task at hand and fills scratch->key, flags, layers and cgroup.
__noinline int assay_find_run(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct mnt_namespace *mount_namespace;
	struct assay_mark *mark;
	__u32 tgid;

	if (!scratch || !assay_read_root(scratch))
		return ASSAY_NO_RUN;
	assay_read_cgroup(slot);
	assay_read_namespaces(scratch);
	if (!assay_may_be_run(scratch))
		return ASSAY_NO_RUN;
	mount_namespace = (struct mnt_namespace *)scratch->mount_namespace;
	scratch->join.root = scratch->key;
	scratch->join.root.cgroup_id = 0;
	scratch->join.mount_namespace_id = assay_mount_namespace_id(mount_namespace);
	if (!scratch->join.mount_namespace_id)
		scratch->join.mount_namespace_id = BPF_CORE_READ(mount_namespace, ns.inum);
	tgid = scratch->tgid;
	mark = bpf_map_lookup_elem(&assay_marks, &tgid);
	if (mark && mark->start_boot_ns == scratch->start_boot_ns &&
	    mark->leaf_cgroup_id == scratch->leaf_cgroup_id &&
	    assay_same_root(&mark->key, &scratch->key))
		scratch->key.cgroup_id = mark->key.cgroup_id;
	if (assay_is_known(scratch))
		return ASSAY_RUN_KNOWN;
	if (assay_joins_known_run(scratch))
		return ASSAY_RUN_KNOWN;
	return assay_made_its_namespace(scratch) ? ASSAY_RUN_UNKNOWN : ASSAY_NO_RUN;
}
