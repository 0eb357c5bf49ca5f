// SPDX-License-Identifier: Apache-2.0
// Any bytes as an image archive, OCI or docker, plain or compressed, with all that is in it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/base/unique_fd.h"
#include "common/image/image.h"

using namespace assay;
using namespace assay::image;

namespace {

Result<Image> run(const std::string& path, const std::string& platform) {
  ImageOptions options;
  options.platform = platform;
  options.max_image_bytes = 8U << 20;
  options.limits.max_entries = 2000;
  options.limits.max_content_bytes = 4U << 20;
  return read_image(path, options, {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const UniqueFd file(::memfd_create("image", MFD_CLOEXEC));
  if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const auto image = run(path, "");
  if (image)
    for (const ImageLayer& layer : image->layers)
      if (!layer.diff_id || !layer.chain_id || !layer.fingerprint.content) std::abort();
  for (const char* prefix : {"oci-archive:", "docker-archive:"})
    (void)run(prefix + path, "linux/amd64").has_value();
  return 0;
}
