// SPDX-License-Identifier: Apache-2.0
#include "agent/app/machine.h"

#include <sys/utsname.h>

#include "common/base/file.h"

namespace assay::agent {

Result<std::string> read_boot_id() {
  ASSAY_ASSIGN(std::string text, read_file("/proc/sys/kernel/random/boot_id", 128));
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? std::string(name.release) : std::string();
}

std::string host_name() {
  utsname name{};
  return ::uname(&name) == 0 ? std::string(name.nodename) : std::string();
}

}  // namespace assay::agent
