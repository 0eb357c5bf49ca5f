// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Facts about one process, and what it was executed with.
#ifndef ASSAY_LIB_PROCESS_BPF_H
#define ASSAY_LIB_PROCESS_BPF_H

#include "bpf/lib/state.bpf.h"

static __always_inline void assay_read_process(struct assay_process *process,
					       struct task_struct *leader)
{
	process->tgid = (__u32)BPF_CORE_READ(leader, tgid);
	process->start_boot_ns = BPF_CORE_READ(leader, start_boottime);
	process->reserved = 0;
	bpf_core_read(process->name, sizeof(process->name), &leader->comm);
}

// The effective capabilities, in the task's own user namespace.
static __always_inline __u64 assay_read_capabilities(struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u64 effective = 0;

	bpf_core_read(&effective, sizeof(effective), &cred->cap_effective);
	return effective;
}

// Reads the arguments of the current process, which must be the one at hand: at an exec the kernel
// has just written them, so that no page is missing. Returns their size.
static __always_inline __u32 assay_read_arguments(struct task_struct *task, char *to,
						  __u32 capacity, __u32 *flags)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 begin = BPF_CORE_READ(mm, arg_start);
	__u64 size = BPF_CORE_READ(mm, arg_end) - begin;

	if (!mm)
		return 0;
	if (size > capacity) {
		size = capacity;
		*flags |= ASSAY_ARGUMENTS_TRUNCATED;
	}
	// Without it clang 14 passes the size as it was before the limit, and 6.18 refuses the
	// call: "R2 unbounded memory access".
	barrier_var(size);
	if (bpf_probe_read_user(to, (__u32)size, (void *)begin)) {
		*flags |= ASSAY_ARGUMENTS_TRUNCATED;
		return 0;
	}
	return (__u32)size;
}

// Reads the path as it was given to execve. Returns its size.
static __always_inline __u32 assay_read_executable(__u64 filename, char *to, __u32 capacity,
						   __u32 *flags)
{
	long size;

	if (!filename)
		return 0;
	size = bpf_probe_read_kernel_str(to, capacity, (void *)filename);
	if (size <= 0)
		return 0;
	if (size == capacity)
		*flags |= ASSAY_EXECUTABLE_TRUNCATED;
	return (__u32)size - 1;
}

#endif // ASSAY_LIB_PROCESS_BPF_H
