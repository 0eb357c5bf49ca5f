// SPDX-License-Identifier: Apache-2.0
#include "common/output/json.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::output;

TEST_CASE("JSON keeps the order of members, digests and times in their documented form",
          "[cli][unit]") {
  const auto digest =
      *StackDigest::parse("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const Document document{Object{{"z", true},
                                 {"time", *parse_rfc3339("2026-11-22T16:00:43.12Z")},
                                 {"digest", digest},
                                 {"absent", std::optional<StackDigest>()},
                                 {"count", std::uint64_t{18446744073709551615ULL}},
                                 {"list", Array{"a", Object{{"b", std::int64_t{-1}}}}},
                                 {"empty", Array{}},
                                 {"a", ""}}};
  CHECK(to_json(document) == R"({
  "z": true,
  "time": "2026-11-22T16:00:43.120Z",
  "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "absent": null,
  "count": 18446744073709551615,
  "list": [
    "a",
    {
      "b": -1
    }
  ],
  "empty": [],
  "a": ""
}
)");
}

TEST_CASE("JSON of foreign text is plain ASCII and valid whatever its bytes are", "[cli][unit]") {
  CHECK(to_json({Object{{"x", "\x1b[2J\"\\ \xc2\x9b ü"}}}) ==
        "{\n  \"x\": \"\\u001b[2J\\\"\\\\ \\u009b \\u00fc\"\n}\n");
  CHECK(to_json({Object{{"x", "a\xff"}}}) == "{\n  \"x\": \"a\\\\xff\"\n}\n");
}
