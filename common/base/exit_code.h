// SPDX-License-Identifier: Apache-2.0
// One table of exit codes for assay, assay-agent and assay-collector (docs/exit-codes.md).
#pragma once

#include "common/base/result.h"

namespace assay {

enum class ExitCode : int {
  kOk = 0,           ///< done
  kNegative = 1,     ///< done, and the answer is no: findings exist, an image would not be accepted
  kUsage = 2,        ///< unknown option, bad value, bad configuration file
  kMissingNeed = 3,  ///< root, a capability, BTF or BPF is missing on this machine
  kRefused = 4,      ///< a key, certificate, signature, sequence or role was refused
  kUnavailable = 5,  ///< the collector cannot be reached, a port is in use, an I/O error
  kBadInput = 6,     ///< an archive, catalog or file is truncated, corrupt or beyond a limit
  kNotFound = 7,     ///< what was named does not exist
  kInternal = 70,    ///< a defect in Assay (sysexits.h EX_SOFTWARE)
};

/// The exit code that `error` ends a program with.
ExitCode exit_code_for(const Error& error);

}  // namespace assay
