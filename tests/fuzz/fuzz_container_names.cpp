// SPDX-License-Identifier: Apache-2.0
// Where container names come from: cgroup paths, and the annotations of an OCI specification. The
// first byte chooses which.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/runtime/annotations.h"
#include "agent/runtime/cgroup_path.h"
#include "agent/runtime/runtime_notes.h"

using namespace assay;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_name(std::string_view text) {
  return !text.empty() && text.find('/') == std::string_view::npos && text != "." && text != "..";
}

void read_cgroup(std::string_view path) {
  if (const auto container = agent::parse_cgroup_path(path)) {
    require(is_name(container->container_id) && !container->runtime.empty());
    require(container->pod_uid.find('/') == std::string::npos);
  }
  // Both become parts of a path below containerd's state.
  if (const auto container = agent::parse_ctr_cgroup(path))
    require(is_name(container->name_space) && is_name(container->container_id));
  if (const auto id = agent::parse_bare_id_cgroup(path)) require(is_name(*id) && id->size() == 64);
}

void read_annotations(std::string_view spec) {
  agent::ContainerNames names;
  if (!agent::read_spec_annotations(spec, names)) require(names == agent::ContainerNames{});
}

void read_state(std::string_view text) {
  if (const auto process = agent::parse_oci_state(text)) require(process->pid != 0);
}

void read_machine(std::string_view text) {
  if (const auto process = agent::parse_machine(text)) require(process->pid != 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr void (*kReaders[])(std::string_view) = {read_cgroup, read_annotations, read_state,
                                                    read_machine};
  kReaders[data[0] % std::size(kReaders)](text);
  return 0;
}
