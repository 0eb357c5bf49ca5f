// SPDX-License-Identifier: Apache-2.0
#include "common/sqlite/foreign_file.h"

#include <atomic>
#include <cstring>
#include <span>

namespace assay::sqlite {
namespace {

struct OpenFile {
  sqlite3_file base;
  const ReadAt* bytes;
};

const ReadAt& bytes_of(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file)->bytes;
}

int on_close(sqlite3_file*) {
  return SQLITE_OK;
}

int on_read(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
  const std::span<char> room(static_cast<char*>(out), static_cast<std::size_t>(count));
  const auto got = bytes_of(file).read_at(static_cast<std::uint64_t>(offset), room);
  if (!got) return SQLITE_IOERR_READ;
  if (*got == room.size()) return SQLITE_OK;
  std::memset(room.data() + *got, 0, room.size() - *got);  // what SQLite asks of a short read
  return SQLITE_IOERR_SHORT_READ;
}

int on_size(sqlite3_file* file, sqlite3_int64* out) {
  *out = static_cast<sqlite3_int64>(bytes_of(file).size());
  return SQLITE_OK;
}

int on_characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_IMMUTABLE;
}

const sqlite3_io_methods& methods() {
  static const sqlite3_io_methods all = [] {
    sqlite3_io_methods out{};
    out.iVersion = 1;
    out.xClose = on_close;
    out.xRead = on_read;
    out.xWrite = [](sqlite3_file*, const void*, int, sqlite3_int64) { return SQLITE_READONLY; };
    out.xTruncate = [](sqlite3_file*, sqlite3_int64) { return SQLITE_READONLY; };
    out.xSync = [](sqlite3_file*, int) { return SQLITE_OK; };
    out.xFileSize = on_size;
    out.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
    out.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
    out.xCheckReservedLock = [](sqlite3_file*, int* is_held) {
      *is_held = 0;
      return SQLITE_OK;
    };
    out.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
    out.xSectorSize = [](sqlite3_file*) { return 0; };
    out.xDeviceCharacteristics = on_characteristics;
    return out;
  }();
  return all;
}

int on_open(sqlite3_vfs* vfs, const char*, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
  reinterpret_cast<OpenFile*>(file)->bytes = static_cast<const ReadAt*>(vfs->pAppData);
  file->pMethods = &methods();
  if (out_flags != nullptr) *out_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
  return SQLITE_OK;
}

int on_access(sqlite3_vfs*, const char*, int, int* is_there) {
  *is_there = 0;
  return SQLITE_OK;
}

int on_full_path(sqlite3_vfs*, const char* name, int room, char* out) {
  sqlite3_snprintf(room, out, "%s", name);
  return SQLITE_OK;
}

}  // namespace

ForeignFile::ForeignFile(const ReadAt& bytes) {
  static std::atomic<std::uint64_t> next{0};
  name_ = "assay-foreign-" + std::to_string(next.fetch_add(1));
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.mxPathname = 64;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = const_cast<ReadAt*>(&bytes);  // read back as const: on_open
  vfs_.xOpen = on_open;
  vfs_.xDelete = [](sqlite3_vfs*, const char*, int) { return SQLITE_READONLY; };
  vfs_.xAccess = on_access;
  vfs_.xFullPathname = on_full_path;
  vfs_.xRandomness = [](sqlite3_vfs*, int count, char* out) {
    std::memset(out, 0, static_cast<std::size_t>(count));
    return count;
  };
  vfs_.xSleep = [](sqlite3_vfs*, int) { return 0; };
  vfs_.xCurrentTime = [](sqlite3_vfs*, double* out) {
    *out = 0;
    return SQLITE_OK;
  };
  is_registered_ = sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK;
}

ForeignFile::~ForeignFile() {
  if (is_registered_) sqlite3_vfs_unregister(&vfs_);
}

}  // namespace assay::sqlite
