// SPDX-License-Identifier: Apache-2.0
// Headers of rpm packages and databases of them, made byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay::tests {

/// A header as rpm's database holds it.
class RpmHeaderBuilder {
 public:
  RpmHeaderBuilder& text(std::uint32_t tag, std::string_view value);
  RpmHeaderBuilder& number(std::uint32_t tag, std::uint32_t value);
  /// An index entry as it is, whatever it points to.
  RpmHeaderBuilder& entry(std::uint32_t tag, std::uint32_t type, std::uint32_t offset);
  std::string finish() const;

 private:
  std::string index_;
  std::string data_;
};

/// NAME, VERSION, RELEASE and ARCH.
std::string rpm_header(const std::string& name, const std::string& version = "1",
                       const std::string& release = "2.el9", const std::string& arch = "x86_64");

/// The bytes of an SQLite database that `sql` makes, then one row of Packages for each blob.
std::string sqlite_bytes(const std::string& sql, const std::vector<std::string>& blobs = {});
/// The schema of rpm's own Packages table.
inline constexpr const char* kRpmSchema =
    "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"
    "CREATE TABLE 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL,"
    " FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum));"
    "CREATE INDEX 'Name_key_idx' ON 'Name'(key ASC);";

}  // namespace assay::tests
