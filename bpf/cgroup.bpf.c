// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The container's cgroup: of the unified hierarchy, or of a v1 controller where the task is at the
// unified root.
#include "bpf/lib/state.bpf.h"

#define ASSAY_CONTAINER_ID_SIZE 64 // hex digits, as all runtimes but a few make them
#define ASSAY_SCOPE_SIZE	6  // ".scope"

static __always_inline struct cgroup *assay_v1_cgroup(struct css_set *set, __u32 subsystem)
{
	struct cgroup_subsys_state *state = NULL;

	bpf_core_read(&state, sizeof(state), &set->subsys[subsystem & 15]);
	return BPF_CORE_READ(state, cgroup);
}

static __always_inline struct cgroup *assay_leaf_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *unified = BPF_CORE_READ(set, dfl_cgrp);
	struct cgroup *found;

	if (BPF_CORE_READ(unified, level) > 0)
		return unified;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		found = assay_v1_cgroup(set,
					bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
		if (BPF_CORE_READ(found, level) > 0)
			return found;
	}
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		found = assay_v1_cgroup(set,
					bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
		if (BPF_CORE_READ(found, level) > 0)
			return found;
	}
	return unified;
}

// Whether scratch->cgroup_name ends in a container id of 64 hex digits, or in one and ".scope".
// `size`: bytes of the name.
__noinline int assay_is_container_name(__u32 slot, __u32 size)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u32 begin;

	if (!scratch || size < ASSAY_CONTAINER_ID_SIZE || size >= ASSAY_MAX_CGROUP_NAME)
		return 0;
	begin = size - ASSAY_CONTAINER_ID_SIZE;
	if (begin >= ASSAY_SCOPE_SIZE && scratch->cgroup_name[(size - 6) & 127] == '.' &&
	    scratch->cgroup_name[(size - 5) & 127] == 's' &&
	    scratch->cgroup_name[(size - 1) & 127] == 'e')
		begin -= ASSAY_SCOPE_SIZE;
	for (__u32 i = 0; i < ASSAY_CONTAINER_ID_SIZE; i++) {
		char c = scratch->cgroup_name[(begin + i) & 127];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return 0;
	}
	return 1;
}

// Appends scratch->cgroup_name to the path of the start. Returns the name's size.
__noinline int assay_append_cgroup_name(__u32 slot, __u64 name)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	__u32 offset;
	long size;

	if (!scratch)
		return 0;
	size = bpf_probe_read_kernel_str(scratch->cgroup_name, ASSAY_MAX_CGROUP_NAME, (void *)name);
	if (size <= 1)
		return 0;
	offset = scratch->cgroup_path_size;
	if (offset > ASSAY_MAX_CGROUP_PATH - ASSAY_MAX_CGROUP_NAME ||
	    size >= ASSAY_MAX_CGROUP_NAME) {
		scratch->flags |= ASSAY_CGROUP_PATH_TRUNCATED;
		return (int)size - 1;
	}
	bpf_probe_read_kernel(&scratch->start.cgroup_path[offset], ASSAY_MAX_CGROUP_NAME,
			      scratch->cgroup_name);
	scratch->cgroup_path_size = offset + (__u32)size;
	return (int)size - 1;
}

// Fills leaf_cgroup_id, has_container_cgroup, key.cgroup_id and the path. The container's cgroup is
// the innermost one that is named after a container id (a container's own init may make cgroups
// below it); without such a name it is the leaf.
__noinline int assay_read_cgroup(__u32 slot)
{
	struct assay_scratch *scratch = assay_get_scratch(slot);
	struct cgroup *cgroup;

	if (!scratch)
		return 0;
	cgroup = assay_leaf_cgroup((struct task_struct *)scratch->task);
	scratch->leaf_cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	scratch->key.cgroup_id = scratch->leaf_cgroup_id;
	scratch->has_container_cgroup = 0;
	scratch->cgroup_path_size = 0;
	for (int i = 0; i < ASSAY_MAX_CGROUP_LEVELS; i++) {
		struct cgroup_subsys_state *parent = BPF_CORE_READ(cgroup, self.parent);
		int size;

		if (!parent) // the hierarchy's root has no name
			return 0;
		size = assay_append_cgroup_name(slot, (__u64)BPF_CORE_READ(cgroup, kn, name));
		if (!scratch->has_container_cgroup && size >= ASSAY_CONTAINER_ID_SIZE &&
		    assay_is_container_name(slot, (__u32)size)) {
			scratch->has_container_cgroup = 1;
			scratch->key.cgroup_id = BPF_CORE_READ(cgroup, kn, id);
		}
		cgroup = BPF_CORE_READ(parent, cgroup);
	}
	scratch->flags |= ASSAY_CGROUP_PATH_TRUNCATED;
	return 0;
}
