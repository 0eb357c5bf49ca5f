// SPDX-License-Identifier: Apache-2.0
// The shape or the content of one directory, once, for tests/bench/bench_fingerprint.py.
#include <fcntl.h>

#include <cstdio>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/verity.h"

namespace {

using namespace assay::image;

int usage() {
  std::fprintf(stderr,
               "usage: bench_fingerprint DIRECTORY shape|content [own|spare]\n"
               "own: a thread of its own hashes; spare: the page cache is left as it was\n");
  return 2;
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
  const auto found = fingerprint_directory(root.get(), options, {});
  if (!found) {
    std::fprintf(stderr, "bench_fingerprint: %s\n", found.error().text().c_str());
    return 6;
  }
  std::printf("%llu entries, %llu bytes\n", static_cast<unsigned long long>(found->entries),
              static_cast<unsigned long long>(found->content_bytes));
  return 0;
}
