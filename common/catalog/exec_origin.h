// SPDX-License-Identifier: Apache-2.0
// Where the file that an exec ran came from: the same words in agent, collector and command line.
#pragma once

#include <string_view>

#include "common/base/result.h"

namespace assay::catalog {

enum class ExecOrigin {
  kUnknown,     ///< the kernel did not tell
  kLayer,       ///< a layer of the image; which one follows from the stack
  kRoot,        ///< the root's own file system, which has no layers
  kUpper,       ///< written in this container
  kMemory,      ///< a file in memory that never had a name (memfd_create)
  kDeleted,     ///< no name leads to it any more
  kOtherMount,  ///< another file system than the root's
};
std::string_view to_string(ExecOrigin origin);
/// Errors: kInvalidArgument.
Result<ExecOrigin> parse_exec_origin(std::string_view text);

/// Known to come neither from the base nor from a layer above it.
inline bool is_foreign(ExecOrigin origin) {
  return origin == ExecOrigin::kUpper || origin == ExecOrigin::kMemory ||
         origin == ExecOrigin::kDeleted || origin == ExecOrigin::kOtherMount;
}
/// "a file written in this container": for people.
std::string_view describe(ExecOrigin origin);

}  // namespace assay::catalog
