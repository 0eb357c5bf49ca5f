// SPDX-License-Identifier: Apache-2.0
// One stack against 1,000 bases: 20 names of 50 versions, 6,000 files each. Prints milliseconds.
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>

#include "common/catalog/containment.h"

using namespace assay::catalog;

namespace {

constexpr std::uint64_t kNames = 20;
constexpr std::uint64_t kVersions = 50;
constexpr std::uint64_t kFiles = 6000;
constexpr std::uint64_t kCommon = 600;  // files that all names share
constexpr std::uint64_t kPerVersion =
    3;  // files that each version replaces, on top of those before

std::uint64_t mixed(std::uint64_t value) {
  return std::mt19937_64(value)();
}

/// The files of version `version` of name `name`; `app` more above them.
FileSet files_of(std::uint64_t name, std::uint64_t version, std::uint64_t app) {
  std::vector<FileSetEntry> entries;
  for (std::uint64_t i = 0; i < kFiles + app; ++i) {
    const std::uint64_t path = i < kCommon ? i : (name + 1) * 1'000'000 + i;
    const std::uint64_t age = i >= kFiles - kPerVersion * version && i < kFiles ? version : 0;
    entries.push_back({mixed(path), mixed(path * 1000 + age)});
  }
  return FileSet(std::move(entries));
}

template <typename Work>
double milliseconds(Work work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  return took.count();
}

}  // namespace

int main() {
  std::vector<BaseFileSet> sets;
  for (std::uint64_t name = 0; name < kNames; ++name)
    for (std::uint64_t version = 0; version < kVersions; ++version)
      sets.push_back({{"base" + std::to_string(name), std::to_string(version)},
                      "linux/amd64",
                      std::make_shared<const FileSet>(files_of(name, version, 0))});
  FileSetIndex index;
  const double built = milliseconds([&] { index = FileSetIndex(std::move(sets)); });
  const FileSet stack = files_of(7, 31, 24'000);
  Containment answer;
  double worst = 0;
  for (int i = 0; i < 20; ++i)
    worst = std::max(worst, milliseconds([&] { answer = find_contained(stack, index, {}); }));
  std::printf("index of %zu bases: %.0f ms\n", index.sets().size(), built);
  std::printf("one stack of %zu files: %.1f ms, the slowest of 20\n", stack.size(), worst);
  std::printf("found: %s\n", answer.why.c_str());
  return answer.contained.size() == 1 && answer.contained[0].base.version == "31" ? 0 : 1;
}
