// SPDX-License-Identifier: Apache-2.0
// Where containerd keeps the bundles of running containers, below its state folder. Private to
// agent/runtime. Source: containerd core/runtime/v2 (shim_manager.go, bundle.go).
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assay::agent {

inline constexpr const char* kTaskFolder = "io.containerd.runtime.v2.task";
inline constexpr std::size_t kMaxTaskNamespaces = 64;
inline constexpr std::size_t kMaxPidBytes = 32;  // of init.pid and shim.pid

inline std::string task_namespace(const std::string& name_space) {
  return std::string(kTaskFolder) + "/" + name_space;
}
inline std::string task_bundle(const std::string& name_space, const std::string& id) {
  return task_namespace(name_space) + "/" + id;
}

/// The number in a file such as init.pid; nothing when it is none.
inline std::optional<std::uint32_t> pid_of(std::string_view text) {
  std::uint32_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && pid != 0 ? std::optional(pid) : std::nullopt;
}

}  // namespace assay::agent
