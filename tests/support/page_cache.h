// SPDX-License-Identifier: Apache-2.0
// What the page cache holds of a file.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"

namespace assay::tests {

/// Pages of the file that are in memory. mincore(2) tells the owner of the file the truth.
inline std::size_t cached_pages(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::size_t bytes = std::filesystem::file_size(path);
  void* const map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  REQUIRE(map != MAP_FAILED);
  std::vector<unsigned char> pages((bytes + 4095) / 4096);
  const int told = ::mincore(map, bytes, pages.data());
  ::munmap(map, bytes);
  REQUIRE(told == 0);
  return static_cast<std::size_t>(
      std::ranges::count_if(pages, [](unsigned char page) { return (page & 1U) != 0; }));
}

/// Writes the file to the disk and gives its pages from byte `from` on back.
inline void drop_pages(const std::string& path, off_t from = 0) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::fsync(file.get()) == 0);
  REQUIRE(::posix_fadvise(file.get(), from, 0, POSIX_FADV_DONTNEED) == 0);
}

}  // namespace assay::tests
