// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which file an exec runs: where it lies, and whether an overlay has it from its upper directory.
#include "bpf/lib/state.bpf.h"

// The longest name that a file system takes, and its end.
#define ASSAY_FILE_NAME_ROOM 256

// Whether the file has been written in its overlay: its inode has an upper dentry.
static __always_inline __u32 assay_read_upper(struct inode *inode)
{
	volatile struct assay_overlay_offsets *at = &settings.overlay;
	__u64 upper = 0;

	if (!at->is_known || at->inode_upper_dentry == ASSAY_NO_FIELD)
		return ASSAY_FILE_UPPER_UNKNOWN;
	if (bpf_probe_read_kernel(
		    &upper, sizeof(upper),
		    (void *)((__u64)inode - at->inode_vfs_inode + at->inode_upper_dentry)))
		return ASSAY_FILE_UPPER_UNKNOWN;
	return upper ? ASSAY_FILE_FROM_UPPER : 0;
}

// The names from the file up to its superblock's root, leaf first.
static __always_inline void assay_read_path(struct assay_file *file, struct dentry *dentry)
{
	__u32 size = 0;

	for (int i = 0; i < ASSAY_MAX_FILE_DEPTH; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
		long read;

		// A root itself is never executed: what is its own parent at once is a file without
		// a place, as a memfd, and its name is all there is.
		if (!parent || (parent == dentry && i > 0)) {
			file->path_size = size;
			return;
		}
		if (size > ASSAY_MAX_FILE_PATH - ASSAY_FILE_NAME_ROOM)
			break;
		read = bpf_probe_read_kernel_str(file->path + size, ASSAY_FILE_NAME_ROOM, name);
		if (read <= 0)
			break;
		size += (__u32)read;
		if (parent == dentry) {
			file->path_size = size;
			return;
		}
		dentry = parent;
	}
	file->flags |= ASSAY_FILE_PATH_TRUNCATED;
}

static __always_inline void assay_read_place(struct assay_file *file, struct file *executed,
					     const struct assay_scratch *scratch)
{
	struct inode *inode = BPF_CORE_READ(executed, f_inode);
	struct dentry *dentry = BPF_CORE_READ(executed, f_path.dentry);

	file->inode = BPF_CORE_READ(inode, i_ino);
	file->generation = BPF_CORE_READ(inode, i_generation);
	file->device = BPF_CORE_READ(inode, i_sb, s_dev);
	file->magic = (__u32)BPF_CORE_READ(inode, i_sb, s_magic);
	if ((__u64)BPF_CORE_READ(inode, i_sb) == scratch->superblock)
		file->flags |= ASSAY_FILE_ON_ROOT;
	if (file->magic == ASSAY_OVERLAYFS_MAGIC)
		file->flags |= assay_read_upper(inode);
	if (!BPF_CORE_READ(inode, i_nlink) || !BPF_CORE_READ(dentry, d_hash.pprev))
		file->flags |= ASSAY_FILE_UNLINKED;
	if (BPF_CORE_READ(executed, f_path.mnt, mnt_flags) & ASSAY_MNT_INTERNAL)
		file->flags |= ASSAY_FILE_INTERNAL;
	assay_read_path(file, dentry);
}

// Fills scratch->file with what the task at hand has just executed; without an exec it says
// nothing.
__noinline int assay_read_file(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct assay_file *file;

	if (!scratch)
		return 0;
	file = &scratch->file;
	file->flags = 0;
	file->path_size = 0;
	file->reserved = 0;
	if (slot != ASSAY_SCRATCH_EXEC || !scratch->executed_file)
		return 0;
	file->flags = ASSAY_FILE_KNOWN;
	if (scratch->interpreter_name != scratch->filename)
		file->flags |= ASSAY_FILE_IS_INTERPRETER;
	assay_read_place(file, (struct file *)scratch->executed_file, scratch);
	return 0;
}
