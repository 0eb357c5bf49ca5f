// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/replay_source.h"

#include <utility>

namespace assay::agent {

ReplaySource::ReplaySource(EventSink& sink, std::function<void(ContainerStart&)> fill_command,
                           std::chrono::milliseconds never_executed_age)
    : assembler_({.fill_command = std::move(fill_command)}, never_executed_age) {
  assembler_.set_sink(sink);
}

Result<void> ReplaySource::on_bytes(ProbeChannel channel, BootTime time, std::string_view bytes) {
  switch (channel) {
    case ProbeChannel::kStarts:
      return assembler_.on_start_record(bytes, time);
    case ProbeChannel::kExecs:
      return assembler_.on_exec_record(bytes);
    case ProbeChannel::kSweptTasks:
      return assembler_.on_swept_tasks(bytes);
  }
  return ok();
}

std::uint32_t ReplaySource::abi_version() {
  return ASSAY_ABI_VERSION;
}

bool ReplaySource::reads_abi(std::uint32_t version) {
  return version >= ASSAY_ABI_OLDEST_READ && version <= ASSAY_ABI_VERSION;
}

}  // namespace assay::agent
