// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/image_list.h"

#include "agent/runtime/json_rows.h"
#include "agent/runtime/store_record.h"
#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/image/oci_json.h"

namespace assay::agent {

std::optional<ListedImage> find_listed_image(int fd, const std::string& image_id) {
  std::optional<ListedImage> found;
  const auto read = read_json_rows(
      fd, {{"id", "digest", "layer"}, {"mapped-layers", "names"}}, {}, [&](const JsonRow& row) {
        if (row.texts[0] != image_id) return true;
        found = ListedImage{row.texts[0], row.texts[1], row.texts[2], row.lists[0], row.lists[1]};
        return false;
      });
  return read ? found : std::nullopt;
}

ImageFiles read_image_files(StoreFolder& root, const std::string& folder,
                            const ListedImage& image) {
  ImageFiles files;
  const auto manifest_text = root.read(folder + "/manifest", kMaxImageJson);
  if (!manifest_text) return files;
  const auto digest = ManifestDigest::parse(image.digest);
  const bool has_digest = digest && image.digest.starts_with("sha256:");
  if (has_digest && sha256(*manifest_text).bytes != digest->bytes) {
    files.problem = "the manifest of the image has other bytes than its digest says";
    return files;
  }
  // An index, or a manifest of an age that names no configuration, is no platform's manifest.
  const auto manifest = image::parse_manifest(*manifest_text);
  if (!manifest) return files;
  if (has_digest) files.manifest_digest = *digest;
  const std::string name = "=" + to_base64(manifest->config.digest.text());
  const auto config_text = root.read(folder + "/" + name, kMaxImageJson);
  if (!config_text) return files;
  if (sha256(*config_text) != manifest->config.digest) {
    files.problem = "the configuration of the image has other bytes than its digest says";
    return files;
  }
  files.config_digest = ConfigDigest{manifest->config.digest.bytes};
  if (auto config = image::parse_image_config(*config_text))
    files.diff_ids = std::move(config->diff_ids);
  return files;
}

}  // namespace assay::agent
