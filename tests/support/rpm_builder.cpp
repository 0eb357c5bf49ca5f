// SPDX-License-Identifier: Apache-2.0
#include "tests/support/rpm_builder.h"

#include <sqlite3.h>

#include <stdexcept>

namespace assay::tests {
namespace {

constexpr std::uint32_t kInt32 = 4, kString = 6;

void append_number(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
}

void check(sqlite3* database, int code, int wanted = SQLITE_OK) {
  if (code != wanted) throw std::runtime_error(sqlite3_errmsg(database));
}

}  // namespace

RpmHeaderBuilder& RpmHeaderBuilder::text(std::uint32_t tag, std::string_view value) {
  entry(tag, kString, static_cast<std::uint32_t>(data_.size()));
  data_ += value;
  data_ += '\0';
  return *this;
}

RpmHeaderBuilder& RpmHeaderBuilder::number(std::uint32_t tag, std::uint32_t value) {
  while (data_.size() % 4 != 0)
    data_ += '\0';
  entry(tag, kInt32, static_cast<std::uint32_t>(data_.size()));
  append_number(data_, value);
  return *this;
}

RpmHeaderBuilder& RpmHeaderBuilder::entry(std::uint32_t tag, std::uint32_t type,
                                          std::uint32_t offset) {
  for (const std::uint32_t value : {tag, type, offset, 1U})
    append_number(index_, value);
  return *this;
}

std::string RpmHeaderBuilder::finish() const {
  std::string out;
  append_number(out, static_cast<std::uint32_t>(index_.size() / 16));
  append_number(out, static_cast<std::uint32_t>(data_.size()));
  return out + index_ + data_;
}

std::string rpm_header(const std::string& name, const std::string& version,
                       const std::string& release, const std::string& arch) {
  return RpmHeaderBuilder()
      .text(1000, name)
      .text(1001, version)
      .text(1002, release)
      .text(1022, arch)
      .finish();
}

std::string sqlite_bytes(const std::string& sql, const std::vector<std::string>& blobs) {
  sqlite3* database = nullptr;
  check(database, sqlite3_open(":memory:", &database));
  check(database, sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr));
  for (const std::string& blob : blobs) {
    sqlite3_stmt* insert = nullptr;
    check(database, sqlite3_prepare_v2(database, "INSERT INTO Packages(blob) VALUES(?)", -1,
                                       &insert, nullptr));
    check(database, sqlite3_bind_blob(insert, 1, blob.data(), static_cast<int>(blob.size()),
                                      SQLITE_TRANSIENT));
    check(database, sqlite3_step(insert), SQLITE_DONE);
    sqlite3_finalize(insert);
  }
  sqlite3_int64 size = 0;
  unsigned char* const bytes = sqlite3_serialize(database, "main", &size, 0);
  std::string out(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  sqlite3_close(database);
  return out;
}

}  // namespace assay::tests
