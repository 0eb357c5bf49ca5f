// SPDX-License-Identifier: Apache-2.0
#include "common/service/code_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace assay::service {
namespace {

/// A segment that is executed and not written to holds nothing but what its file holds.
bool is_code(const ElfW(Phdr) & segment) {
  return segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 &&
         (segment.p_flags & PF_W) == 0;
}

/// Relocations in code (DT_TEXTREL) are written into its pages.
bool has_relocated_code(const dl_phdr_info& object) {
  for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry =
        reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry)
      if (entry->d_tag == DT_TEXTREL ||
          (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
        return true;
  }
  return false;
}

int let_go_of_object(dl_phdr_info* object, std::size_t /*size*/, void* total) {
  const bool is_file = object->dlpi_name[0] == '/' || object->dlpi_name[0] == '\0';  // no vDSO
  if (!is_file || has_relocated_code(*object)) return 0;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (!is_code(segment)) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED) == 0)
      *static_cast<std::size_t*>(total) += end - begin;
  }
  return 0;
}

}  // namespace

std::size_t let_go_of_code() {
  std::size_t total = 0;
  ::dl_iterate_phdr(let_go_of_object, &total);
  return total;
}

}  // namespace assay::service
