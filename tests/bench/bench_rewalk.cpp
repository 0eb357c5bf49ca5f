// SPDX-License-Identifier: Apache-2.0
// What the node's own record of one directory costs: to take it beside the content digest, and to
// walk the directory again by it. One line of "name value" per measurement, for bench_rewalk.sh:
// milliseconds of CPU, which other work on the machine disturbs less than it does elapsed time.
#include <fcntl.h>
#include <time.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/node_record.h"

namespace {

using namespace assay;
using namespace assay::image;

/// As if the files were an hour old: none is young.
WallTime later() {
  return SystemClock().wall_now() + std::chrono::hours(1);
}

Result<LayerFingerprint> walk(int root, NodeRecorder* recorder) {
  WalkOptions options;
  options.scope = Scope::kContent;
  options.recorder = recorder;
  return fingerprint_directory(root, options, {});
}

double cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

Result<void> measure(const char* name, const std::function<Result<void>()>& work) {
  const double start = cpu_ms();
  ASSAY_TRY(work());
  std::printf("%s %.2f\n", name, cpu_ms() - start);
  return ok();
}

Result<void> run(int root) {
  ASSAY_TRY(measure("content", [&]() -> Result<void> {
    ASSAY_TRY(walk(root, nullptr));
    return ok();
  }));
  std::string bytes;
  ASSAY_TRY(measure("recorded", [&]() -> Result<void> {
    NodeRecorder recorder(later(), nullptr);
    ASSAY_TRY(walk(root, &recorder));
    ASSAY_ASSIGN(const NodeRecord record, recorder.take());
    ASSAY_ASSIGN(bytes, record.encode());
    return ok();
  }));
  return measure("rewalk", [&]() -> Result<void> {
    ASSAY_ASSIGN(const NodeRecord before, NodeRecord::decode(bytes));
    NodeRecorder recorder(later(), &before);
    ASSAY_TRY(walk(root, &recorder));
    ASSAY_ASSIGN(const NodeRecord after, recorder.take());
    if (recorder.files_read() != 0 || compare(before, after).changed != 0)
      return Error{ErrorCode::kInternal, "the directory changed meanwhile"};
    std::printf("entries %zu\nrecord_bytes %zu\n", after.entries.size(), bytes.size());
    return ok();
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_rewalk DIRECTORY\n");
    return 2;
  }
  const UniqueFd root(::open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    std::fprintf(stderr, "bench_rewalk: cannot open %s\n", argv[1]);
    return 7;
  }
  if (auto done = run(root.get()); !done) {
    std::fprintf(stderr, "bench_rewalk: %s\n", done.error().text().c_str());
    return 6;
  }
  return 0;
}
