// SPDX-License-Identifier: Apache-2.0
// What one look into a container's root costs: the layer's directory against the root of an overlay
// on it. "NAME NUMBER" a line, for bench_view.sh: milliseconds of CPU and of time, paths, KiB.
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstdio>

#include "agent/identify/merged_view.h"
#include "common/base/unique_fd.h"

namespace {

using namespace assay;
using namespace assay::agent;

double cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

long peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

UniqueFd open_folder(const char* path) {
  return UniqueFd(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

Result<void> run(int layer, int root, int upper) {
  const std::vector<CoveringMount> mounts;
  const SeenRoot seen{
      {{layer, true, true, false, false}}, root, upper, mounts, image::Dialect::kOverlay, true};
  const long before_kib = peak_kib();
  const double cpu_before = cpu_ms();
  const auto began = std::chrono::steady_clock::now();
  ASSAY_ASSIGN(const catalog::View view, look_at_view(seen, {}, {}));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  std::printf("cpu %.2f\ntime %.2f\npaths %llu\nkib %ld\n", cpu_ms() - cpu_before, took.count(),
              static_cast<unsigned long long>(view.paths), peak_kib() - before_kib);
  if (!view.is_whole()) return Error{ErrorCode::kInternal, "the root differs from its layer"};
  return ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_view LAYER ROOT UPPER\n");
    return 2;
  }
  const UniqueFd layer = open_folder(argv[1]);
  const UniqueFd root = open_folder(argv[2]);
  const UniqueFd upper = open_folder(argv[3]);
  const auto done = layer && root && upper ? run(layer.get(), root.get(), upper.get())
                                           : Result<void>(system_error("open the folders"));
  if (done) return 0;
  std::fprintf(stderr, "bench_view: %s\n", done.error().text().c_str());
  return 1;
}
