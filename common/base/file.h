// SPDX-License-Identifier: Apache-2.0
// Small whole files: read with a limit, written so that a crash leaves the old or the new one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay {

/// The bytes of a regular file. Errors: kNotFound, kPermissionDenied, kLimitExceeded (>
/// `max_bytes`).
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);
/// The same relative to a directory descriptor, with openat(2); the last part is not followed.
Result<std::string> read_file_at(int dir_fd, const std::string& path, std::size_t max_bytes);
/// The same of what `fd` has open, from where it stands; `path` is for the errors.
Result<std::string> read_open_file(int fd, const std::string& path, std::size_t max_bytes);
/// Writes beside `path`, fsyncs, renames over it, fsyncs the folder.
Result<void> write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode);

}  // namespace assay
