// SPDX-License-Identifier: Apache-2.0
#include "common/about/os_release.h"

#include <catch2/catch.hpp>
#include <string>

using assay::about::parse_os_release;
using assay::catalog::Distribution;

TEST_CASE("os-release of each family says what it is", "[about][unit]") {
  struct Row {
    const char* name;
    const char* text;
    Distribution wanted;
  };
  const Row rows[] = {
      {"Debian",
       "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n"
       "VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
       {"debian", "12", "Debian GNU/Linux 12 (bookworm)", ""}},
      {"Ubuntu",
       "PRETTY_NAME=\"Ubuntu 24.04 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\n"
       "ID_LIKE=debian\n",
       {"ubuntu", "24.04", "Ubuntu 24.04 LTS", ""}},
      {"Alpine",
       "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n",
       {"alpine", "3.20.3", "Alpine Linux v3.20", ""}},
      {"UBI",
       "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\n"
       "ID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 9.4 "
       "(Plow)\"\n",
       {"rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)", ""}},
      {"Fedora with a variant",
       "ID=fedora\nVERSION_ID=40\nPRETTY_NAME=\"Fedora Linux 40 (Container Image)\"\n"
       "VARIANT=\"Container Image\"\nVARIANT_ID=container\n",
       {"fedora", "40", "Fedora Linux 40 (Container Image)", "Container Image"}},
      {"a name without a pretty one, a variant's id",
       "NAME=Wolfi\nID=wolfi\nVARIANT_ID=base\n",
       {"wolfi", "", "Wolfi", "base"}},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto found = parse_os_release(row.text);
    REQUIRE(found);
    CHECK(*found == row.wanted);
  }
}

TEST_CASE("os-release is read as a shell would, and nothing is run", "[about][unit]") {
  struct Row {
    const char* name;
    const char* text;
    const char* wanted;
  };
  const Row rows[] = {
      {"single quotes", "ID='debian'", "debian"},
      {"escapes in double quotes", R"(ID="a\"b\\c\$d")", "a\"b\\c$d"},
      {"no escape in single quotes", R"(ID='a\b')", "a\\b"},
      {"pieces run together", R"(ID=de"bi"'an')", "debian"},
      {"the last one counts", "ID=one\nID=two\n", "two"},
      {"comments and other lines", "# ID=no\nexport\n\nID=yes # not this\n", "yes"},
      {"a command stays text", "ID=$(reboot)", "$(reboot)"},
      {"a quote that never ends", "ID=\"debian", "debian"},
      {"a carriage return", "ID=debian\r\n", "debian"},
      {"control characters", "ID=\"a\x1b[2Jb\"", "a?[2Jb"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto found = parse_os_release(row.text);
    REQUIRE(found);
    CHECK(found->id == row.wanted);
  }
  CHECK(parse_os_release("ID=" + std::string(10'000, 'x'))->id.size() == 256);
}

TEST_CASE("a text that names nothing is no distribution", "[about][unit]") {
  CHECK_FALSE(parse_os_release(""));
  CHECK_FALSE(parse_os_release("HOME_URL=\"https://example.org/\"\nVARIANT=x\n"));
  CHECK_FALSE(parse_os_release(std::string("\0\0\0", 3)));
}
