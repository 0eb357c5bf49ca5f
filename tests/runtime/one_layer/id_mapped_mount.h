// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace assay::tests {

/// A second mount of a folder in which owner 0 shows as `first`, and so on for `count` ids; gone
/// with the object. Failures throw.
/// Source: mount_setattr(2), "ID-mapped mounts".
class IdMappedMount {
 public:
  IdMappedMount(const std::string& folder, std::uint64_t first, std::uint64_t count);
  IdMappedMount(const IdMappedMount&) = delete;
  IdMappedMount& operator=(const IdMappedMount&) = delete;
  ~IdMappedMount();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace assay::tests
