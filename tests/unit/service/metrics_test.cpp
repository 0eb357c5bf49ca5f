// SPDX-License-Identifier: Apache-2.0
#include "common/service/metrics.h"

#include <sys/types.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "common/service/log_setup.h"
#include "common/service/process_stats.h"
#include "common/service/signals.h"

namespace assay::service {
namespace {

TEST_CASE("metrics of one name and labels are one metric in the exposition", "[service][unit]") {
  Metrics metrics;
  metrics.counter("assay_x_total", "help").add();
  metrics.counter("assay_x_total", "help").add(2);
  metrics.gauge("assay_y", "help", {{"kind", "a"}}).set(7);
  metrics.histogram("assay_z_seconds", "help", {0.1, 1}).observe(0.5);
  const std::string text = metrics.to_text();
  CHECK(text.find("assay_x_total 3") != std::string::npos);
  CHECK(text.find("assay_y{kind=\"a\"} 7") != std::string::npos);
  CHECK(text.find("assay_z_seconds_bucket{le=\"1\"} 1") != std::string::npos);
}

TEST_CASE("the process says what it costs", "[service][unit]") {
  const auto stats = read_process_stats();
  REQUIRE(stats);
  CHECK(stats->rss_bytes > 1'000'000);
  CHECK(stats->cpu_time.count() > 0);
}

TEST_CASE("a rate limit lets a burst through and counts the rest", "[service][unit]") {
  LogRateLimit limit(2, std::chrono::hours(1));
  std::uint64_t suppressed = 9;
  CHECK(limit.allow(suppressed));
  CHECK(suppressed == 0);
  CHECK(limit.allow(suppressed));
  CHECK_FALSE(limit.allow(suppressed));
}

TEST_CASE("an unknown log level or format is refused", "[service][unit]") {
  CHECK_FALSE(Log::create({"loud", "text"}));
  CHECK_FALSE(Log::create({"info", "xml"}));
  CHECK(Log::create({"warn", "json"}));
}

TEST_CASE("a termination signal is waited for instead of ending the process", "[service][unit]") {
  const auto signals = Signals::create();
  REQUIRE(signals);
  CHECK_FALSE(signals->wait(std::chrono::milliseconds(0)));
  ::kill(::getpid(), SIGTERM);
  CHECK(signals->wait(std::chrono::seconds(10)) == SIGTERM);
}

}  // namespace
}  // namespace assay::service
