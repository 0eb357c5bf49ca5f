// SPDX-License-Identifier: Apache-2.0
#include "common/base/process_stat.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/base/file.h"

namespace assay {
namespace {

constexpr const char* kFields =
    " S 11 12 13 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 2 3\n";

TEST_CASE("a process's fields are read behind any name it gave itself", "[base][unit]") {
  const ProcessStat expected{11, 13, 34816, 98765};
  for (const char* name : {"12 (sh)", "12 (a) b) R 7)", "12 ()", "12 (a\nb 1 2 3)"})
    CHECK(parse_process_stat(name + std::string(kFields)) == expected);
}

TEST_CASE("half a line, or another file, says nothing", "[base][unit]") {
  const std::string whole = "12 (sh)" + std::string(kFields);
  for (std::size_t bytes = 0; bytes < whole.find("98765"); ++bytes)
    CHECK_FALSE(parse_process_stat(whole.substr(0, bytes)));
  CHECK_FALSE(parse_process_stat("12 sh"));
  CHECK_FALSE(parse_process_stat("12 (sh) S x 12 13 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0"));
  CHECK_FALSE(parse_process_stat("12 (sh) S 1 1 99999999999 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0"));
}

TEST_CASE("this process's own line", "[base][unit]") {
  const auto text = read_file("/proc/self/stat", 4096);
  REQUIRE(text);
  const auto stat = parse_process_stat(*text);
  REQUIRE(stat);
  CHECK(stat->parent == static_cast<std::uint32_t>(::getppid()));
  CHECK(stat->session == static_cast<std::uint32_t>(::getsid(0)));
  const std::chrono::nanoseconds tick(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  const auto start = stat->started();
  CHECK(start == tick * static_cast<std::int64_t>(stat->start_ticks));
  CHECK(stat->has_started_at(start));
  CHECK(stat->has_started_at(start + tick));
  CHECK_FALSE(stat->has_started_at(start + 2 * tick));
}

}  // namespace
}  // namespace assay
