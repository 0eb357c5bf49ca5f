// SPDX-License-Identifier: Apache-2.0
#include "cli/dates.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::cli;

namespace {
const WallTime kNow = *parse_rfc3339("2026-11-22T16:00:00Z");
}

TEST_CASE("a date is a day, a moment, or a time from now", "[cli][unit]") {
  CHECK(*parse_date("2026-12-31", "--until", kNow) == *parse_rfc3339("2026-12-31T00:00:00Z"));
  CHECK(*parse_date("2026-12-31T18:00:00Z", "--until", kNow) ==
        *parse_rfc3339("2026-12-31T18:00:00Z"));
  CHECK(*parse_date("2d", "--until", kNow) == *parse_rfc3339("2026-11-24T16:00:00Z"));
}

TEST_CASE("a date that is past or none is refused with the option's name", "[cli][unit]") {
  for (const char* text : {"2026-11-22", "2026-13-01", "tomorrow", "", "-2d"}) {
    const auto date = parse_date(text, "--until", kNow);
    INFO(text);
    REQUIRE(!date);
    CHECK(date.error().code == ErrorCode::kInvalidArgument);
    CHECK(date.error().message.rfind("--until: ", 0) == 0);
  }
}
