// SPDX-License-Identifier: Apache-2.0
// What /proc says of processes of the host: who started a container, and who lives on its root.
#pragma once

#include "agent/core/ports.h"

namespace assay::agent {

/// A controlling terminal's name by its device, as /proc/PID/stat has it: "pts/3", "tty1", "ttyS0";
/// "" for none. Source: proc_pid_stat(5) "tty_nr", Documentation/admin-guide/devices.txt.
std::string terminal_name(std::uint32_t device);

/// Needs CAP_SYS_PTRACE for processes of other users. Thread-safe.
class ProcProcesses final : public Processes {
 public:
  /// Of the first process that is left of: the one that showed the root, its ancestors from the
  /// nearest on. Each is believed only when it is the process that the kernel told of.
  void complete(ContainerStart& start) override;
  Result<std::optional<std::uint64_t>> root_device(const ProcessNumber& process) override;
  Result<bool> lives_on(const ProcessNumber& process, const RootIdentity& root) override;
};

}  // namespace assay::agent
