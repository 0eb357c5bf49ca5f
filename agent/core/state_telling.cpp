// SPDX-License-Identifier: Apache-2.0
#include "agent/core/state_telling.h"

#include <algorithm>
#include <utility>

namespace assay::agent {

bool StateTelling::ask(std::uint64_t request, BootTime now) {
  if (wanted_ == request || (request != 0 && answered_ == request)) return false;
  wanted_ = request;
  asked_ = now;
  return true;
}

bool StateTelling::needs_sweep(BootTime now) const {
  return wanted_ && !is_telling_ && (!begun_ || now - *begun_ >= least_interval_);
}

bool StateTelling::may_begin(BootTime began, BootTime now) const {
  return needs_sweep(now) && began >= asked_;
}

std::uint64_t StateTelling::begin(std::vector<RunKey> runs, BootTime now) {
  answered_ = std::exchange(wanted_, std::nullopt).value_or(0);
  begun_ = now;
  is_telling_ = true;
  left_ = std::move(runs);
  std::reverse(left_.begin(), left_.end());  // handed out from the end
  told_ = 0;
  return *answered_;
}

std::vector<RunKey> StateTelling::next(std::size_t limit) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(limit, left_.size()));
  std::vector<RunKey> runs(left_.rbegin(), left_.rbegin() + count);
  left_.resize(left_.size() - static_cast<std::size_t>(count));
  return runs;
}

std::uint64_t StateTelling::complete() {
  is_telling_ = false;
  left_.shrink_to_fit();
  return told_;
}

std::size_t memory_of(const ContainerStart& start) {
  std::size_t bytes = sizeof(ContainerStart) + start.cgroup_path.size() + start.executable.size() +
                      start.sandbox.size();
  for (const std::string& argument : start.arguments)
    bytes += sizeof(std::string) + argument.size();
  for (const LowerLayer& layer : start.layers)
    bytes += sizeof(LowerLayer) + layer.name.size();
  return bytes + start.ancestors.size() * sizeof(ProcessInfo) +
         start.namespace_pids.size() * sizeof(std::uint32_t) +
         start.outer_pid_namespaces.size() * sizeof(std::uint64_t);
}

}  // namespace assay::agent
