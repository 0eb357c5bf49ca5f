// SPDX-License-Identifier: Apache-2.0
// One table of an SQLite file that a stranger made. The file is taken as it lies: nothing is
// written, no journal is played back, nothing beside it is opened.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/base/read_at.h"
#include "common/base/result.h"

namespace assay::sqlite {

struct ForeignLimits {
  std::uint64_t max_rows = 200'000;
  int max_blob_bytes = 16 << 20;               ///< one value
  std::uint64_t max_total_bytes = 512U << 20;  ///< all values together
  std::uint64_t max_steps = 20'000'000;        ///< of SQLite's virtual machine
};

/// Calls `visitor` with the value of `column` in each row of the ordinary table `table`, in the
/// order of its rows; the bytes live as long as the call. `table` and `column` are plain names of
/// ours. Views, virtual tables, triggers and functions of the file are never run.
///
/// Blocks on `file`; checks `stop`. Uses up to 1 MiB of cache and one value. Thread-safe for
/// different files.
/// Errors: kCorrupt (no database, a damaged one, no such table), kLimitExceeded, kCancelled,
/// kUnavailable, and the visitor's.
/// Source: sqlite.org/security.html, "Untrusted SQLite Database Files"; sqlite.org/vfs.html.
Result<void> each_foreign_row(const ReadAt& file, const std::string& table,
                              const std::string& column, const ForeignLimits& limits,
                              const std::stop_token& stop,
                              const std::function<Result<void>(std::string_view)>& visitor);

}  // namespace assay::sqlite
