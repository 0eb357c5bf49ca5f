// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The maps and variables of all programs.
#include "bpf/lib/state.bpf.h"

struct assay_ring_map assay_starts SEC(".maps");
struct assay_ring_map assay_execs SEC(".maps");
struct assay_runs_map assay_runs SEC(".maps");
struct assay_marks_map assay_marks SEC(".maps");
struct assay_joins_map assay_joins SEC(".maps");
struct assay_forked_map assay_forked SEC(".maps");
struct assay_wanted_map assay_wanted SEC(".maps");
struct assay_scratch_map assay_scratch SEC(".maps");
struct assay_counters_map assay_counters SEC(".maps");
struct assay_cgroups_map assay_cgroups SEC(".maps");
struct assay_control_map assay_control SEC(".maps");

volatile struct assay_settings settings = {};
volatile struct assay_host host = {};

char _license[] SEC("license") = "Dual BSD/GPL";
