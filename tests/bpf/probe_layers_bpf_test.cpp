// SPDX-License-Identifier: Apache-2.0
// The layers of a root, however many there are and however they were named to the kernel.
#include <sys/stat.h>
#include <sys/utsname.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ContainerStart;

void check_directories(const ContainerStart& start, const Bundle& bundle, std::size_t layers) {
  CHECK_FALSE(start.layers_truncated);
  REQUIRE(start.layers.size() == layers);
  for (std::size_t i = 0; i < layers; ++i) {
    const std::string path = bundle.layer(static_cast<int>(i));
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    INFO(path);
    CHECK(start.layers[i].device == status.st_dev);
    CHECK(start.layers[i].inode == status.st_ino);
    CHECK(start.layers[i].generation == generation_of(path));
  }
}

bool is_kernel_from(int major, int minor) {
  utsname name{};
  int theirs = 0;
  int theirs_minor = 0;
  REQUIRE(::uname(&name) == 0);
  REQUIRE(std::sscanf(name.release, "%d.%d", &theirs, &theirs_minor) == 2);
  return theirs > major || (theirs == major && theirs_minor >= minor);
}

TEST_CASE("every layer arrives, however many there are", "[probe][bpf]") {
  const int layers = GENERATE(1, 16, 17, 60, 130, 400, 500);
  RunningProbe probe;
  const Bundle bundle(layers);
  run_short(bundle);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  check_directories(starts_of(probe.sink, bundle).front(), bundle,
                    static_cast<std::size_t>(layers));
}

TEST_CASE("layers are told by their directories, whatever the kernel calls them", "[probe][bpf]") {
  struct Row {
    const char* way;
    int major, minor;  ///< of the first kernel that has it
    const char* name;  ///< what the bottom layer's name begins with
  };
  const Row row = GENERATE(Row{"fd", 5, 8, ""}, Row{"add", 6, 8, "/"}, Row{"add-fd", 6, 13, "/"});
  INFO(row.way);
  if (!is_kernel_from(row.major, row.minor)) {
    WARN("this kernel is older than lowerdir+ (" << row.way << ")");
    return;
  }
  RunningProbe probe;
  const Bundle bundle(40);
  run_short(bundle, {"--lower-by", row.way});
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const ContainerStart start = starts_of(probe.sink, bundle).front();
  check_directories(start, bundle, 40);
  CHECK(start.layers.front().name.starts_with(row.name));
}

}  // namespace
}  // namespace assay::tests
