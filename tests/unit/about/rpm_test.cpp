// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <string>

#include "common/about/rpm_database.h"
#include "common/about/rpm_header.h"
#include "tests/support/rpm_builder.h"

using namespace assay;
using namespace assay::about;
using namespace assay::tests;
using catalog::Package;

namespace {

catalog::PackageDatabase read(const std::string& bytes, std::stop_token stop = {}) {
  return read_rpm_sqlite(MemoryBytes(bytes), true, stop);
}

std::string database_of(const std::vector<std::string>& blobs) {
  return sqlite_bytes(kRpmSchema, blobs);
}

}  // namespace

TEST_CASE("an rpm header gives name, version and architecture", "[about][unit]") {
  const auto plain = parse_rpm_header(rpm_header("bash", "5.1.8", "9.el9", "x86_64"));
  REQUIRE(plain);
  CHECK(*plain == Package{"bash", "5.1.8-9.el9", "x86_64"});
  const auto with_epoch = parse_rpm_header(RpmHeaderBuilder()
                                               .entry(63, 7, 0)  // the region tag comes first
                                               .text(1000, "dbus")
                                               .text(1001, "1.12.20")
                                               .text(1002, "8.el9")
                                               .number(1003, 1)
                                               .finish());
  REQUIRE(with_epoch);
  CHECK(*with_epoch == Package{"dbus", "1:1.12.20-8.el9", ""});
}

TEST_CASE("an rpm header that lies about its lengths is corrupt", "[about][unit]") {
  const std::string good = rpm_header("bash");
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    CHECK_FALSE(parse_rpm_header(std::string_view(good).substr(0, cut)));
  CHECK_FALSE(parse_rpm_header(std::string(8, '\xff')));
  CHECK_FALSE(parse_rpm_header(std::string(64, '\0')));
  // Offsets beyond the data, another type in the name's place, a text that does not end.
  CHECK_FALSE(parse_rpm_header(RpmHeaderBuilder().entry(1000, 6, 0xfffffff0).finish()));
  CHECK_FALSE(parse_rpm_header(RpmHeaderBuilder().entry(1000, 4, 0).text(5, "x").finish()));
  std::string endless = RpmHeaderBuilder().text(1000, "name").finish();
  endless.back() = 'x';
  CHECK_FALSE(parse_rpm_header(endless));
}

TEST_CASE("rpmdb.sqlite is counted without its public keys", "[about][unit]") {
  const auto database =
      read(database_of({rpm_header("bash"), rpm_header("gpg-pubkey", "fd431d51", "4ae0493b", ""),
                        rpm_header("glibc", "2.34", "100.el9")}));
  CHECK(database.manager == "rpm");
  CHECK(database.format == "sqlite");
  CHECK(database.gap.empty());
  CHECK(database.packages == 2);
  REQUIRE(database.list.size() == 2);
  CHECK(database.list[1] == Package{"glibc", "2.34-100.el9", "x86_64"});
  CHECK(read(database_of({})).packages == 0);
  CHECK(read(database_of({})).gap.empty());
}

TEST_CASE("a database in WAL mode is read as it lies", "[about][unit]") {
  std::string bytes = database_of({rpm_header("bash")});
  bytes[18] = bytes[19] = 2;  // file format versions: sqlite.org/fileformat2.html
  const auto database = read(bytes);
  CHECK(database.gap.empty());
  CHECK(database.packages == 1);
}

TEST_CASE("a corrupt header among good ones is a gap", "[about][unit]") {
  const auto database = read(database_of({rpm_header("bash"), "nonsense"}));
  CHECK(database.packages == 1);
  CHECK(database.gap == "1 of its package headers are corrupt");
}

TEST_CASE("a hostile rpmdb.sqlite is a gap and runs nothing", "[about][unit]") {
  struct Row {
    const char* name;
    std::string bytes;
  };
  const std::string endless_view =
      "CREATE VIEW Packages AS WITH RECURSIVE t(blob) AS (SELECT 1 UNION ALL SELECT 1 FROM t) "
      "SELECT blob FROM t";
  std::string truncated = database_of({std::string(100'000, 'x')});
  truncated.resize(truncated.size() / 2);
  std::string torn = database_of({rpm_header("bash")});
  for (std::size_t i = 4096; i < torn.size(); i += 7)
    torn[i] = static_cast<char>(i);
  const Row rows[] = {
      {"empty", ""},
      {"no database", std::string(8192, 'x')},
      {"a header and nothing else", database_of({}).substr(0, 100)},
      {"truncated", truncated},
      {"torn", torn},
      {"no table", sqlite_bytes("CREATE TABLE Other(blob)")},
      {"no column", sqlite_bytes("CREATE TABLE Packages(other)")},
      {"a view that never ends", sqlite_bytes(endless_view)},
      {"a virtual table", sqlite_bytes("CREATE VIRTUAL TABLE Packages USING fts4(blob)")},
      {"a value beyond the limit", database_of({std::string(17 << 20, 'x')})},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto database = read(row.bytes);
    CHECK_FALSE(database.gap.empty());
    CHECK(database.packages == 0);
    CHECK(database.gap.size() < 300);
  }
}

TEST_CASE("a generated column of the table itself is not computed for ever", "[about][unit]") {
  const auto database = read(sqlite_bytes(
      "CREATE TABLE Packages(a, blob GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL);"
      "INSERT INTO Packages(a) VALUES(1)"));
  CHECK_FALSE(database.gap.empty());
}

TEST_CASE("a stop ends the reading of a database", "[about][unit]") {
  std::stop_source stop;
  stop.request_stop();
  std::vector<std::string> blobs(3000, rpm_header("a"));
  CHECK_FALSE(read(database_of(blobs), stop.get_token()).gap.empty());
}
