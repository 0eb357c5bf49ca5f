// SPDX-License-Identifier: Apache-2.0
#include "common/image/layer_stream.h"

#include <utility>

#include "common/image/byte_source.h"
#include "common/image/tar_layer.h"
#include "common/image/tar_split.h"

namespace assay::image {
namespace {

// What a tar has beside its files: headers, padding, and what stands behind its end.
constexpr std::uint64_t kMostOfHeaders = 4ULL << 30;

Result<LayerStream> fingerprint(ByteSource& plain, const FingerprintLimits& limits,
                                LayerObserver* observer, PayloadGuard* guard) {
  const std::uint64_t most = limits.max_content_bytes + kMostOfHeaders;
  std::uint64_t left = most;
  LimitedSource limited(plain, left, most);
  HashingSource hashed(limited);
  LayerStream stream;
  ASSAY_ASSIGN(stream.layer, fingerprint_tar(hashed, Scope::kContent, limits, observer, guard));
  stream.bytes = hashed.bytes();
  stream.diff_id = DiffId{hashed.digest().bytes};
  return stream;
}

}  // namespace

Result<LayerStream> read_tar_split(UniqueFd tar_split, int layer_fd,
                                   const FingerprintLimits& limits, LayerObserver* observer,
                                   const std::stop_token& stop) {
  FdSource file(std::move(tar_split), stop, {});
  ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(file));
  std::uint64_t left = kMostOfHeaders;
  LimitedSource limited(*plain, left, kMostOfHeaders);
  TarSplitLines lines(limited);
  ASSAY_ASSIGN(const FileOpener opener, FileOpener::create());
  TarSplitSource source(lines, opener, layer_fd, stop);
  ASSAY_ASSIGN(LayerStream stream, fingerprint(source, limits, observer, &source));
  stream.problem_count = source.problem_count();
  for (const PayloadProblem& problem : source.problems())
    stream.problems.push_back({problem.path, problem.what});
  return stream;
}

Result<LayerStream> read_layer_blob(UniqueFd blob, const FingerprintLimits& limits,
                                    LayerObserver* observer, const std::stop_token& stop) {
  FdSource file(std::move(blob), stop, {});
  ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(file));
  return fingerprint(*plain, limits, observer, nullptr);
}

}  // namespace assay::image
