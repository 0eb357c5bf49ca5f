// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The lower layers of the overlay at hand, in as many records as it takes.
#include "bpf/lib/state.bpf.h"

static __always_inline bool assay_is_id_mapped(struct vfsmount *mount)
{
	struct vfsmount___with_userns *older = (void *)mount;

	// The host's root is mounted without a mapping; what differs from it has one.
	if (bpf_core_field_exists(mount->mnt_idmap))
		return (__u64)BPF_CORE_READ(mount, mnt_idmap) != host.id_map;
	if (bpf_core_field_exists(older->mnt_userns))
		return (__u64)BPF_CORE_READ(older, mnt_userns) != host.id_map;
	return false;
}

static __always_inline void assay_read_layer_name(struct assay_scratch *scratch,
						  struct assay_layer *layer, __u32 index)
{
	struct super_block *superblock = (struct super_block *)scratch->superblock;
	__u64 ovl_fs = (__u64)BPF_CORE_READ(superblock, s_fs_info);
	__u64 names = 0;
	__u64 name = 0;
	long size;

	layer->name_size = 0;
	if (settings.overlay.lowerdirs == ASSAY_NO_FIELD)
		return; // one string for all layers: assay_send_lowerdir
	bpf_probe_read_kernel(&names, sizeof(names), (void *)(ovl_fs + settings.overlay.lowerdirs));
	if (!names)
		return;
	bpf_probe_read_kernel(&name, sizeof(name), (void *)(names + 8 * ((__u64)index + 1)));
	if (!name)
		return;
	size = bpf_probe_read_kernel_str(layer->name, sizeof(layer->name), (void *)name);
	if (size <= 0)
		return;
	layer->name_size = (__u16)(size - 1);
	if (size == sizeof(layer->name))
		layer->flags |= ASSAY_LAYER_NAME_TRUNCATED;
}

// Layers of an overlay below that are looked at: more of them are not vouched for.
#define ASSAY_MAX_INNER_LAYERS 64

// File systems whose answers come from the kernel and its disks alone; agent/rootfs/file_system.cpp
// reads the same ones.
static __always_inline bool assay_answers_by_itself(unsigned long magic)
{
	switch (magic) {
	case 0xef53:	 // ext4
	case 0x58465342: // xfs
	case 0x9123683e: // btrfs
	case 0x01021994: // tmpfs
	case 0x858458f6: // ramfs
	case 0xf2f52010: // f2fs
	case 0x2fc12fc1: // zfs
	case 0xca451a4e: // bcachefs
	case 0xe0f5e1e2: // erofs
	case 0x73717368: // squashfs
		return true;
	default:
		return false; // an overlay two levels down too: the kernel stacks no more
	}
}

// Whether a directory on the overlay `address` (struct super_block *) may have to wait for a
// program: one of that overlay's own layers lies on FUSE or a network.
__noinline int assay_may_hang(__u64 address)
{
	struct super_block *superblock = (struct super_block *)address;
	volatile struct assay_overlay_offsets *at = &settings.overlay;
	__u64 ovl_fs = (__u64)BPF_CORE_READ(superblock, s_fs_info);
	__u64 layers = 0;
	__u32 count = 0;

	if (!at->is_known)
		return 1;
	bpf_probe_read_kernel(&count, sizeof(count), (void *)(ovl_fs + at->fs_layer_count));
	bpf_probe_read_kernel(&layers, sizeof(layers), (void *)(ovl_fs + at->fs_layers));
	for (__u32 i = 0; i < ASSAY_MAX_INNER_LAYERS; i++) {
		struct vfsmount *mount = NULL;

		if (i >= count)
			return 0;
		bpf_probe_read_kernel(&mount, sizeof(mount),
				      (void *)(layers + (__u64)i * at->layer_size + at->layer_mnt));
		if (!mount && i == 0)
			continue; // without an upper
		if (!assay_answers_by_itself(BPF_CORE_READ(mount, mnt_sb, s_magic)))
			return 1;
	}
	return count > ASSAY_MAX_INNER_LAYERS;
}

// Writes lower layer `index` (0 is the top one) into its place in the record at hand.
__noinline int assay_read_layer(__u32 slot, __u32 index)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct assay_layer *layer;
	struct vfsmount *mount = NULL;
	struct inode *inode;
	__u64 address;

	if (!scratch)
		return 0;
	layer = &scratch->layers.layers[index % ASSAY_LAYERS_PER_RECORD];
	layer->flags = 0;
	address = scratch->layer_array + ((__u64)index + 1) * settings.overlay.layer_size;
	bpf_probe_read_kernel(&mount, sizeof(mount),
			      (void *)(address + settings.overlay.layer_mnt));
	inode = BPF_CORE_READ(mount, mnt_root, d_inode);
	layer->inode = BPF_CORE_READ(inode, i_ino);
	layer->generation = BPF_CORE_READ(inode, i_generation);
	layer->device = BPF_CORE_READ(inode, i_sb, s_dev);
	layer->magic = (__u32)BPF_CORE_READ(inode, i_sb, s_magic);
	if (!inode)
		layer->flags |= ASSAY_LAYER_UNREADABLE;
	if (layer->magic == ASSAY_OVERLAYFS_MAGIC &&
	    assay_may_hang((__u64)BPF_CORE_READ(inode, i_sb)))
		layer->flags |= ASSAY_LAYER_MAY_HANG;
	if (assay_is_id_mapped(mount))
		layer->flags |= ASSAY_LAYER_ID_MAPPED;
	if (index + scratch->start.overlay.data_only_layers >= scratch->layer_count)
		layer->flags |= ASSAY_LAYER_DATA_ONLY;
	assay_read_layer_name(scratch, layer, index);
	return 0;
}

// Sends the record at hand, with `count` layers from `first` on.
__noinline int assay_send_layer_record(__u32 slot, __u32 first, __u32 count)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u64 size;

	if (!scratch || count > ASSAY_LAYERS_PER_RECORD)
		return -1;
	size = sizeof(scratch->layers) - sizeof(scratch->layers.layers) +
	       count * sizeof(struct assay_layer);
	scratch->layers.start_id = scratch->start.start_id;
	scratch->layers.first_index = first;
	scratch->layers.count = count;
	assay_fill_header(&scratch->layers.header, ASSAY_RECORD_LAYERS, (__u32)size);
	return (int)assay_emit_start_record(&scratch->layers, size, ASSAY_LOST_LAYERS, false);
}

// Sends the one string that kernels up to 6.4 keep. Losing it costs hints only.
__noinline int assay_send_lowerdir(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct super_block *superblock;
	__u64 ovl_fs, text = 0;
	__u64 size;
	long length;

	if (!scratch || settings.overlay.lowerdir == ASSAY_NO_FIELD)
		return 0;
	superblock = (struct super_block *)scratch->superblock;
	ovl_fs = (__u64)BPF_CORE_READ(superblock, s_fs_info);
	bpf_probe_read_kernel(&text, sizeof(text), (void *)(ovl_fs + settings.overlay.lowerdir));
	length =
		bpf_probe_read_kernel_str(scratch->lowerdir.text, ASSAY_MAX_LOWERDIR, (void *)text);
	if (length <= 1 || length > ASSAY_MAX_LOWERDIR)
		return 0;
	scratch->lowerdir.start_id = scratch->start.start_id;
	scratch->lowerdir.text_size = (__u32)length - 1;
	scratch->lowerdir.is_truncated = length == ASSAY_MAX_LOWERDIR;
	size = sizeof(scratch->lowerdir) - ASSAY_MAX_LOWERDIR + scratch->lowerdir.text_size;
	if (size > sizeof(scratch->lowerdir))
		return 0;
	assay_fill_header(&scratch->lowerdir.header, ASSAY_RECORD_LOWERDIR, (__u32)size);
	return (int)assay_emit_start_record(&scratch->lowerdir, size, ASSAY_LOST_LAYERS, false);
}

// Counts the records of layers behind the one that begins with `first`. A function of its own: with
// the number of layers still in use after the loop below, 6.18 verifies every way through the loop
// for itself ("BPF program is too large").
__noinline int assay_count_untried(__u32 slot, __u32 first)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u32 next = first + ASSAY_LAYERS_PER_RECORD;

	if (scratch && scratch->layer_count > next)
		assay_count(ASSAY_LOST_LAYERS,
			    (scratch->layer_count - next + ASSAY_LAYERS_PER_RECORD - 1) /
				    ASSAY_LAYERS_PER_RECORD);
	return 1;
}

// Sends all lower layers. Returns not 0 when a record was lost; the first loss ends it, as the ring
// buffer is full then, and counts all that follow.
__noinline int assay_send_layers(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u32 count, first = 0;

	if (!scratch)
		return 1;
	count = scratch->layer_count;
	if (count > ASSAY_MAX_LAYERS)
		count = ASSAY_MAX_LAYERS;
	assay_send_lowerdir(slot);
	for (__u32 i = 0; i < ASSAY_MAX_LAYERS; i++) {
		if (i >= count)
			break;
		assay_read_layer(slot, i);
		if (i % ASSAY_LAYERS_PER_RECORD != ASSAY_LAYERS_PER_RECORD - 1 && i + 1 != count)
			continue;
		if (assay_send_layer_record(slot, first, i + 1 - first))
			return assay_count_untried(slot, first);
		first = i + 1;
	}
	return 0;
}
