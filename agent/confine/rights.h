// SPDX-License-Identifier: Apache-2.0
// What the kernel lets this process do, and giving up what it does not need.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/base/result.h"

namespace assay::agent {

/// One capability, and what it is for here.
struct Right {
  int number;  ///< CAP_…
  const char* name;
  bool is_needed;        ///< or only better to have
  bool is_for_watching;  ///< needed after the probe is loaded, too
  const char* why;
};

/// All that the agent can use; it gives up everything else that it is given. docs/agent.md
/// "Rights" tells the same.
std::span<const Right> used_rights();

/// Capabilities in effect, a bit each. Errors: kUnavailable (/proc cannot be read).
Result<std::uint64_t> effective_rights();
bool has_right(std::uint64_t held, int number);

/// From here on no program that this process executes gains anything by its file's owner or
/// capabilities. Errors: kUnavailable.
Result<void> forbid_new_privileges();

/// Gives up what only loading the probe needs, and all that is not in used_rights(): for this
/// thread and those that it starts. Inheritable and ambient sets become empty; the bounding set,
/// too, becomes what is kept, where the process may change it (CAP_SETPCAP). CAP_BPF is kept where
/// this kernel asks for it at every later call. Gives the names of what is kept.
/// Call it while there is one thread. Errors: kUnavailable.
Result<std::string> give_up_rights();

}  // namespace assay::agent
