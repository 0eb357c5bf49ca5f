// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "common/base/clock.h"

using namespace assay;

TEST_CASE("RFC 3339 times survive both ways", "[base][unit]") {
  for (const char* text :
       {"1970-01-01T00:00:00.000Z", "2026-11-22T16:00:43.120Z", "2000-02-29T23:59:59.999Z"})
    CHECK(to_rfc3339(parse_rfc3339(text).value()) == text);
  CHECK(to_unix_ns(parse_rfc3339("1970-01-01T00:00:01.000000007Z").value()) == 1'000'000'007);
}

TEST_CASE("what is no RFC 3339 time in UTC is refused", "[base][unit]") {
  for (const char* text : {"", "2026", "2026-11-22", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                           "2026-11-22T24:00:00Z", "2026-11-22T16:00:00", "2026-11-22T16:00:00.Z",
                           "2026-11-22T16:00:00+01:00", "2026-11-22 16:00:00Z",
                           "1677-12-31T00:00:00Z", "2262-01-01T00:00:00Z", "9999-12-31T00:00:00Z"})
    CHECK_FALSE(parse_rfc3339(text));
}
