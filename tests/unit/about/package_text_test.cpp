// SPDX-License-Identifier: Apache-2.0
#include "common/about/package_text.h"

#include <catch2/catch.hpp>
#include <string>

using namespace assay;
using namespace assay::about;
using catalog::Package;

TEST_CASE("dpkg's status counts what is on disk, in whichever state", "[about][unit]") {
  const std::string status =
      "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n"
      "Version: 2.36-9+deb12u9\nDescription: GNU C Library\n More text: not a field\n .\n\n"
      "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
      "Package: never\nStatus: purge ok not-installed\n\n"
      "Package: half\nStatus: install reinstreq half-installed\nVersion: 2\n\n"
      "Package: waits\nStatus: install ok triggers-pending\nVersion: 3\n";
  const auto database = parse_dpkg_status(status, true);
  CHECK(database.manager == "dpkg");
  CHECK(database.packages == 3);
  CHECK(database.gap.empty());
  REQUIRE(database.list.size() == 3);
  CHECK(database.list[0] == Package{"libc6", "2.36-9+deb12u9", "amd64"});
  CHECK(database.list[1].name == "half");
  CHECK(parse_dpkg_status(status, false).list.empty());
  CHECK(parse_dpkg_status(status, false).packages == 3);
}

TEST_CASE("a file of distroless's status.d has no status and counts", "[about][unit]") {
  const auto database = parse_dpkg_status(
      "Package: base-files\nVersion: 12.4+deb12u5\nArchitecture: amd64\nMaintainer: x\n", true);
  REQUIRE(database.packages == 1);
  CHECK(database.list[0] == Package{"base-files", "12.4+deb12u5", "amd64"});
}

TEST_CASE("apk's installed counts its blocks", "[about][unit]") {
  const auto database = parse_apk_installed(
      "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n"
      "C:Q1def=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nr:busybox-initscripts\n\n",
      true);
  CHECK(database.manager == "apk");
  CHECK(database.packages == 2);
  REQUIRE(database.list.size() == 2);
  CHECK(database.list[1] == Package{"busybox", "1.36.1-r29", "x86_64"});
}

TEST_CASE("text that is no database holds no packages", "[about][unit]") {
  for (const char* text : {"", "\n\n\n", "garbage", "Package:\n\n",
                           "\x7f"
                           "ELF",
                           ": : :\n\n", "Version: 1\n\n"}) {
    INFO(text);
    CHECK(parse_dpkg_status(text, true).packages == 0);
    CHECK(parse_apk_installed(text, true).packages == 0);
  }
}

TEST_CASE("a database beyond the limit says that it is one", "[about][unit]") {
  std::string text;
  for (std::uint64_t i = 0; i <= kMaxPackages; ++i)
    text += "P:a\n\n";
  const auto database = parse_apk_installed(text, false);
  CHECK(database.packages == kMaxPackages);
  CHECK_FALSE(database.gap.empty());
}
