// SPDX-License-Identifier: Apache-2.0
#include "common/service/heap.h"

#include <malloc.h>

namespace assay::service {
namespace {

constexpr int kLargeBlockBytes = 128 << 10;

}  // namespace

void keep_heap_small(int arenas) {
  ::mallopt(M_ARENA_MAX, arenas);
  // Fixed, or glibc raises both with the first large block and keeps what is freed then.
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  ::mallopt(M_TRIM_THRESHOLD, kLargeBlockBytes);
}

}  // namespace assay::service
