// SPDX-License-Identifier: Apache-2.0
// SQLite's file layer over bytes that cannot change. Private to common/sqlite.
#pragma once

#include <sqlite3.h>

#include <string>

#include "common/base/read_at.h"

namespace assay::sqlite {

/// A VFS that holds exactly one file, read-only and immutable; every other file is absent and
/// cannot be made. Registered as name() for as long as the object lives, which must be longer than
/// the connection that uses it.
class ForeignFile {
 public:
  explicit ForeignFile(const ReadAt& bytes);
  ForeignFile(const ForeignFile&) = delete;
  ForeignFile& operator=(const ForeignFile&) = delete;
  ~ForeignFile();
  const char* name() const { return name_.c_str(); }
  bool is_registered() const { return is_registered_; }

 private:
  std::string name_;
  sqlite3_vfs vfs_{};
  bool is_registered_ = false;
};

}  // namespace assay::sqlite
