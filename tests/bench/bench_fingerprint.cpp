// SPDX-License-Identifier: Apache-2.0
// The shape or the content of one directory, once, for tests/bench/bench_fingerprint.py.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <thread>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/verity.h"

namespace {

using namespace assay::image;

int usage() {
  std::fprintf(stderr,
               "usage: bench_fingerprint DIRECTORY shape|content|stop [own|spare]\n"
               "own: a thread of its own hashes; spare: the page cache is left as it was\n"
               "stop: how long content walks go on after they were asked to stop\n");
  return 2;
}

/// The longest of 20 stops, each a little later in the walk than the one before.
std::chrono::duration<double, std::milli> longest_stop(int root, const WalkOptions& options) {
  std::chrono::duration<double, std::milli> longest{0};
  for (int i = 1; i <= 20; ++i) {
    std::jthread walk(
        [&](const std::stop_token& stop) { (void)fingerprint_directory(root, options, stop); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5) * i);
    const auto asked = std::chrono::steady_clock::now();
    walk.request_stop();
    walk.join();
    longest = std::max(longest, std::chrono::duration<double, std::milli>(
                                    std::chrono::steady_clock::now() - asked));
  }
  return longest;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) return usage();
  const std::string_view scope = argv[2];
  const std::string_view way = argc > 3 ? argv[3] : "";
  WalkOptions options;
  options.dialect = Dialect::kPlain;
  options.scope = scope == "shape" ? Scope::kShape : Scope::kContent;
  if (way == "own") options.hash_thread = HashThread::kOwn;
  if (way == "spare") options.page_cache = PageCache::kSpare;
  const assay::UniqueFd root(::open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    std::fprintf(stderr, "bench_fingerprint: cannot open %s\n", argv[1]);
    return 7;
  }
  if (scope == "stop") {
    std::printf("the longest of 20 stops: %.1f ms\n", longest_stop(root.get(), options).count());
    return 0;
  }
  const auto found = fingerprint_directory(root.get(), options, {});
  if (!found) {
    std::fprintf(stderr, "bench_fingerprint: %s\n", found.error().text().c_str());
    return 6;
  }
  std::printf("%llu entries, %llu bytes\n", static_cast<unsigned long long>(found->entries),
              static_cast<unsigned long long>(found->content_bytes));
  return 0;
}
