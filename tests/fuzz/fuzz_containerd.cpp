// SPDX-License-Identifier: Apache-2.0
// Any bytes as what containerd answers with: a runtime specification, the options of a mount, and
// the JSON of an image. Protobuf's own parser is not ours to test.
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/runtime/annotations.h"
#include "agent/runtime/containerd/mount_options.h"
#include "common/image/oci_json.h"

using namespace assay;
using namespace assay::agent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ContainerNames names;
  (void)read_spec_annotations(text, names);
  ContainerdMount mount{"overlay", "overlay", {}};
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    mount.options.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (const auto folders = overlay_folders(mount))
    for (const std::string& lower : folders->lowers)
      if (lower.empty() || lower.front() != '/') __builtin_trap();
  if (const auto config = image::parse_image_config(text)) {
    std::optional<ChainId> chain;
    for (const DiffId& diff_id : config->diff_ids)
      chain = image::chain_id_of(chain, diff_id);
  }
  (void)image::parse_manifest(text).has_value();
  (void)image::parse_index(text).has_value();
  return 0;
}
