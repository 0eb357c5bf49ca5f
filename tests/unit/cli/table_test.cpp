// SPDX-License-Identifier: Apache-2.0
#include "common/output/table.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::output;
using namespace std::chrono_literals;

namespace {

const WallTime kNow = *parse_rfc3339("2026-11-22T16:00:00Z");

Document runs() {
  const DigestBytes stack =
      *parse_digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  return {Object{{"runs", Array{Object{{"container", "web"},
                                       {"verdict", Object{{"status", "approved"}}},
                                       {"started_at", kNow - 192s},
                                       {"stack", Sha256{stack}},
                                       {"size_bytes", std::uint64_t{206'123'456}}},
                                Object{{"container", "größer-容器"},
                                       {"verdict", Object{{"status", "revoked"}}},
                                       {"started_at", kNow - 5s},
                                       {"stack", Value()},
                                       {"size_bytes", std::uint64_t{512}}}}}},
          {{.path = "runs",
            .columns = {{"CONTAINER", "container"},
                        {"VERDICT", "verdict.status", Style::kVerdict},
                        {"AGE", "started_at", Style::kAge},
                        {"STACK", "stack", Style::kDigest},
                        {"SIZE", "size_bytes", Style::kBytes, true}}}}};
}

}  // namespace

TEST_CASE("columns line up by what a terminal shows, not by bytes", "[cli][unit]") {
  CHECK(to_table(runs(), {.now = kNow}) ==
        "CONTAINER     VERDICT    AGE     STACK\n"
        "web           approved   3m12s   e3b0c44298fc\n"
        "größer-容器   revoked    5s      -\n");
}

TEST_CASE("wide shows more columns and whole digests", "[cli][unit]") {
  const std::string text = to_table(runs(), {.is_wide = true, .now = kNow});
  CHECK(text.find("SIZE") != std::string::npos);
  CHECK(text.find("206.1 MB") != std::string::npos);
  CHECK(text.find("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") !=
        std::string::npos);
}

TEST_CASE("headers can be left out", "[cli][unit]") {
  CHECK(to_table(runs(), {.has_headers = false, .now = kNow}) ==
        "web           approved   3m12s   e3b0c44298fc\n"
        "größer-容器   revoked    5s      -\n");
}

TEST_CASE("colour marks verdicts only and moves no column", "[cli][unit]") {
  CHECK(to_table(runs(), {.has_colour = true, .now = kNow}) ==
        "CONTAINER     VERDICT    AGE     STACK\n"
        "web           \x1b[32mapproved\x1b[0m   3m12s   e3b0c44298fc\n"
        "größer-容器   \x1b[31mrevoked\x1b[0m    5s      -\n");
}

TEST_CASE("foreign text cannot write to the terminal, break a line or fake a column",
          "[cli][unit]") {
  const Document document{Object{{"rows", Array{Object{{"name",
                                                        "a\x1b[2J\nb\xff"
                                                        "\xe2\x80\xae"
                                                        "c"},
                                                       {"x", "1"}}}}},
                          {{.path = "rows", .columns = {{"NAME", "name"}, {"X", "x"}}}}};
  CHECK(to_table(document, {.has_headers = false, .now = kNow}) ==
        "a\\x1b[2J\\x0ab\\xff\\xe2\\x80\\xaec   1\n");
}

TEST_CASE("foreign text is escaped in titles, lists and members as well", "[cli][unit]") {
  const Document document{Object{{"labels", Object{{"k\x07", "v\x07"}}}, {"list", Array{"\x07"}}},
                          {{.title = "of \x07",
                            .columns = {{"Labels", "labels"}, {"List", "list"}},
                            .is_record = true}}};
  CHECK(to_table(document, {.now = kNow}) ==
        "of \\x07\n"
        "Labels:  k\\x07=v\\x07\n"
        "List:    \\x07\n");
}

TEST_CASE("a section without rows leaves no trace", "[cli][unit]") {
  const Document document{Object{{"rows", Array{}}},
                          {{.title = "Rows", .path = "rows", .columns = {{"NAME", "name"}}}}};
  CHECK(to_table(document, {.now = kNow}).empty());
}

TEST_CASE("a record leaves out what is absent unless it is wide", "[cli][unit]") {
  const Document document{Object{{"a", "1"}, {"b", ""}, {"c", Value()}, {"d", Array{}}},
                          {{.columns = {{"A", "a"}, {"B", "b"}, {"C", "c"}, {"D", "d"}, {"E", "e"}},
                            .is_record = true}}};
  CHECK(to_table(document, {.now = kNow}) == "A:  1\n");
  CHECK(to_table(document, {.is_wide = true, .now = kNow}) ==
        "A:  1\nB:  -\nC:  -\nD:  -\nE:  -\n");
}

TEST_CASE("ages read like kubectl's", "[cli][unit]") {
  CHECK(format_age(0s) == "0s");
  CHECK(format_age(59s) == "59s");
  CHECK(format_age(60s) == "1m");
  CHECK(format_age(192s) == "3m12s");
  CHECK(format_age(5h + 3min) == "5h3m");
  CHECK(format_age(52h) == "2d4h");
  CHECK(format_age(240h) == "10d");
  CHECK(format_age(-5s) == "0s");
}

TEST_CASE("sizes are decimal and never show four digits before the point", "[cli][unit]") {
  CHECK(format_bytes(999) == "999 B");
  CHECK(format_bytes(1000) == "1.0 kB");
  CHECK(format_bytes(999'949) == "999.9 kB");
  CHECK(format_bytes(999'950) == "1.0 MB");
  CHECK(format_bytes(~std::uint64_t{0}) == "18.4 EB");
}

TEST_CASE("width follows wide, combining and narrow characters", "[cli][unit]") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("größer") == 6);
  CHECK(display_width("容器") == 4);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("…") == 1);
}

TEST_CASE("durations have a sign and are short", "[cli][unit]") {
  CHECK(format_duration(0ns) == "0ms");
  CHECK(format_duration(-100us) == "0ms");
  CHECK(format_duration(12'345us) == "12ms");
  CHECK(format_duration(-3400ms) == "-3400ms");
  CHECK(format_duration(75s) == "1m15s");
  CHECK(format_duration(-1h) == "-1h");
}
