// SPDX-License-Identifier: Apache-2.0
// What proving one layer costs beside reading its content: the stream of its tar-split, that of its
// blob, and the walk of its directory. One line of "name value" per measurement, for
// bench_exact.py: milliseconds of CPU.
#include <fcntl.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/layer_stream.h"

namespace {

using namespace assay;
using namespace assay::image;

double cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <typename Work>
auto measure(const char* name, const Work& work) {
  const double start = cpu_ms();
  auto found = work();
  std::printf("%s %.2f\n", name, cpu_ms() - start);
  return found;
}

UniqueFd open_file(const char* path) {
  return UniqueFd(::open(path, O_RDONLY | O_CLOEXEC));
}

Result<void> run(const char* tar_split, const char* blob, int root) {
  ASSAY_ASSIGN(const LayerFingerprint directory,
               measure("content", [&] { return fingerprint_directory(root, {}, {}); }));
  ASSAY_ASSIGN(const LayerStream split, measure("tar_split", [&] {
                 return read_tar_split(open_file(tar_split), root, {}, nullptr, {});
               }));
  ASSAY_ASSIGN(const LayerStream whole,
               measure("blob", [&] { return read_layer_blob(open_file(blob), {}, nullptr, {}); }));
  if (split.diff_id != whole.diff_id || split.layer.content != directory.content ||
      split.layer.shape != directory.shape)
    return Error{ErrorCode::kInternal, "the three are not one layer"};
  std::printf("entries %llu\nstream_bytes %llu\n",
              static_cast<unsigned long long>(split.layer.entries),
              static_cast<unsigned long long>(split.bytes));
  return ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_exact TAR_SPLIT BLOB DIRECTORY\n");
    return 2;
  }
  const UniqueFd root(::open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    std::fprintf(stderr, "bench_exact: cannot open %s\n", argv[3]);
    return 7;
  }
  if (auto done = run(argv[1], argv[2], root.get()); !done) {
    std::fprintf(stderr, "bench_exact: %s\n", done.error().text().c_str());
    return 6;
  }
  return 0;
}
