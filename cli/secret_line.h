// SPDX-License-Identifier: Apache-2.0
// A line that the terminal does not show while it is typed.
#pragma once

#include <functional>
#include <string>

#include "common/base/result.h"

namespace assay::cli {

/// Reads a line from the terminal on stdin with its echo off, after `ask()` has shown the question.
/// Signals that end or stop the program put the echo back before they do so; after a stop the
/// question comes again. Blocks; one call at a time in a process, because signals are the
/// process's. Errors: kUnavailable (the input ended, or the terminal went away). Source: signal(7),
/// termios(3), POSIX.1-2017 2.4.3.
Result<std::string> read_secret_line(const std::function<void()>& ask);

}  // namespace assay::cli
