// SPDX-License-Identifier: Apache-2.0
#include "common/service/code_pages.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace assay::service {
namespace {

std::size_t resident_bytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_CASE("a program runs on after it let go of its code, and takes less", "[service][unit]") {
  static int counter = 41;  // data stay
  const std::size_t before = resident_bytes();
  const std::size_t let_go = let_go_of_code();
  CHECK(let_go > (1U << 20));
  CHECK(resident_bytes() < before);
  CHECK(++counter == 42);
  try {
    throw std::runtime_error("unwinding works");
  } catch (const std::runtime_error& error) {
    CHECK(std::string(error.what()) == "unwinding works");
  }
}

TEST_CASE("threads run on while others let go of code", "[service][unit]") {
  std::size_t sum = 0;
  std::thread worker([&sum] {
    for (int i = 0; i < 100'000; ++i)
      sum += std::to_string(i).size();
  });
  for (int i = 0; i < 20; ++i)
    CHECK(let_go_of_code() > 0);
  worker.join();
  CHECK(sum == 488'890);
}

}  // namespace
}  // namespace assay::service
