// SPDX-License-Identifier: Apache-2.0
// Speed of shape and content on one directory. One line of "name milliseconds" per measurement, for
// tests/bench/bench_fingerprint.sh, which runs sha256sum over the same files in between.
#include <fcntl.h>

#include <chrono>
#include <cstdio>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/verity.h"

namespace {

using assay::image::Scope;

bool measure(int root, const char* name, Scope scope, bool prints_result) {
  assay::image::WalkOptions options;
  options.dialect = assay::image::Dialect::kPlain;
  options.scope = scope;
  const auto start = std::chrono::steady_clock::now();
  const auto result = assay::image::fingerprint_directory(root, options, {});
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (!result) {
    std::fprintf(stderr, "bench_fingerprint: %s\n", result.error().text().c_str());
    return false;
  }
  std::printf("%s %.2f\n", name, took.count());
  if (prints_result)
    std::printf("entries %llu\nbytes %llu\nhasher %s\n",
                static_cast<unsigned long long>(result->entries),
                static_cast<unsigned long long>(result->content_bytes),
                std::string(assay::image::make_block_hasher()->name()).c_str());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_fingerprint DIRECTORY\n");
    return 2;
  }
  const assay::UniqueFd root(::open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    std::fprintf(stderr, "bench_fingerprint: cannot open %s\n", argv[1]);
    return 7;
  }
  const bool is_done = measure(root.get(), "shape", Scope::kShape, false) &&
                       measure(root.get(), "content", Scope::kContent, true);
  return is_done ? 0 : 6;
}
