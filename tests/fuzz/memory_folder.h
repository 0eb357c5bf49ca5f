// SPDX-License-Identifier: Apache-2.0
// A folder in memory for one input of a fuzz target. Without one nothing would be fuzzed: it
// aborts.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace assay::fuzz {

class MemoryFolder {
 public:
  MemoryFolder() {
    const std::string memory = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    path_ = memory + "/assay-fuzz-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace assay::fuzz
