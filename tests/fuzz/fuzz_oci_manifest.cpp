// SPDX-License-Identifier: Apache-2.0
// Any bytes as each of the JSON files of an image.
#include <cstdint>
#include <string_view>

#include "common/image/manifest_choice.h"
#include "common/image/oci_json.h"

using namespace assay::image;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto index = parse_index(text)) {
    for (const char* platform : {"", "linux/amd64", "linux/arm64/v8"})
      if (const auto chosen = choose_manifest(*index, platform)) (void)chosen->is_index();
  }
  if (const auto manifest = parse_manifest(text)) (void)manifest->config.is_index();
  if (const auto config = parse_image_config(text)) (void)config->platform.text();
  (void)parse_docker_manifest(text).has_value();
  return 0;
}
