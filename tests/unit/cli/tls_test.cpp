// SPDX-License-Identifier: Apache-2.0
#include "cli/tls.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::cli;

TEST_CASE("an address is a host or an IP and a port", "[cli][unit]") {
  CHECK(parse_address("collector.example:7443")->host == "collector.example");
  CHECK(parse_address("[::1]:7443")->host == "::1");
  CHECK(parse_address("127.0.0.1:65535")->port == "65535");
}

TEST_CASE("an address without a port, or with a bad one, is refused", "[cli][unit]") {
  for (const char* text : {"", "collector", ":7443", "::1", "host:", "host:0", "host:65536",
                           "host:x", "https://host:7443", "host:123456"}) {
    INFO(text);
    CHECK(!parse_address(text));
  }
}
