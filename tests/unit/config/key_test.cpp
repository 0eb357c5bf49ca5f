// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "common/config/table.h"

using namespace assay;
using namespace assay::config;

TEST_CASE("durations are read as people write them", "[config][unit]") {
  struct Row {
    const char* text;
    std::int64_t ns;
  };
  for (const Row& row :
       {Row{"0", 0}, Row{"0s", 0}, Row{"7ns", 7}, Row{"3us", 3'000}, Row{"250ms", 250'000'000},
        Row{"5s", 5'000'000'000}, Row{"1m", 60'000'000'000}, Row{"1h30m", 5'400'000'000'000},
        Row{"2d", 172'800'000'000'000}}) {
    INFO(row.text);
    CHECK(parse_duration(row.text).value() == row.ns);
  }
  for (const char* text : {"", "5", "s", "5 s", "-5s", "5S", "1.5s", "5s3", "99999999999999999999s",
                           "106752d", "1m 5s", "5sec"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes are read in binary units only", "[config][unit]") {
  CHECK(parse_size("0").value() == 0);
  CHECK(parse_size("4096").value() == 4096);
  CHECK(parse_size("7B").value() == 7);
  CHECK(parse_size("64KiB").value() == 65536);
  CHECK(parse_size("64MiB").value() == 67108864);
  CHECK(parse_size("1GiB").value() == 1073741824);
  CHECK(parse_size("2TiB").value() == 2199023255552);
  for (const char* text : {"", "MiB", "-1", "1MB", "1M", "1mib", "1 MiB", "1.5GiB", "9999999TiB",
                           "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("numbers are printed in the largest unit that fits", "[config][unit]") {
  CHECK(to_text(Type::kDuration, Value{std::int64_t{90'000'000'000}}) == "90s");
  CHECK(to_text(Type::kDuration, Value{std::int64_t{300'000'000'000}}) == "5m");
  CHECK(to_text(Type::kDuration, Value{std::int64_t{0}}) == "0s");
  CHECK(to_text(Type::kSize, Value{std::int64_t{65536}}) == "64KiB");
  CHECK(to_text(Type::kSize, Value{std::int64_t{65537}}) == "65537B");
  CHECK(to_text(Type::kSize, Value{std::int64_t{0}}) == "0B");
  CHECK(to_text(Type::kInteger, Value{std::int64_t{-3}}) == "-3");
}

TEST_CASE("the nearest known word is proposed, and none when all are far", "[config][unit]") {
  const std::vector<std::string> known = {"collector.address", "log.level", "state.folder"};
  CHECK(closest("colector.adress", known) == "collector.address");
  CHECK(closest("log.levle", known) == "log.level");
  CHECK(closest("zebra", known).empty());
  CHECK(closest(std::string(1000, 'x'), known).empty());
}

TEST_CASE("a key spells its flag and its variable", "[config][unit]") {
  const Key key = make_key("outbox.max_bytes", Type::kSize, {.text = "cap", .min = "1MiB"},
                           Value{std::int64_t{1} << 20}, 0, INT64_MAX, 1);
  CHECK(key.flag() == "--outbox-max-bytes");
  CHECK(key.variable("ASSAY_AGENT_") == "ASSAY_AGENT_OUTBOX_MAX_BYTES");
  CHECK(key.range() == "at least 1MiB");
}
