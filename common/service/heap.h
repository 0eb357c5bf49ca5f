// SPDX-License-Identifier: Apache-2.0
// How the C library's allocator behaves in a program that runs for months.
#pragma once

namespace assay::service {

/// Few heaps and fixed thresholds, so that memory that is freed goes back to the system. `arenas`:
/// heaps that threads share (glibc gives each thread one of its own, and they never shrink). Call
/// it first in main, before any thread. Source: mallopt(3).
void keep_heap_small(int arenas);

}  // namespace assay::service
