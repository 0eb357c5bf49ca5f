// SPDX-License-Identifier: Apache-2.0
#include "common/image/oci_json.h"

#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::image {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxItems = 1000;

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, std::move(message)};
}

Result<Json> parse_object(std::string_view text, std::string_view what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return corrupt(std::string(what) + " is no JSON");
  return json;
}

// The member `key` when it is a string, else "".
std::string text_of(const Json& json, const char* key) {
  if (!json.is_object()) return {};
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& member_of(const Json& json, const char* key) {
  static const Json none;
  if (!json.is_object()) return none;
  const auto found = json.find(key);
  return found == json.end() ? none : *found;
}

Result<const Json*> list_of(const Json& json, const char* key) {
  const Json& list = member_of(json, key);
  if (!list.is_array()) return corrupt("no list \"" + std::string(key) + "\"");
  if (list.size() > kMaxItems)
    return Error{ErrorCode::kLimitExceeded, "\"" + std::string(key) + "\" has more than " +
                                                std::to_string(kMaxItems) + " items"};
  return &list;
}

Platform parse_platform(const Json& json) {
  return {text_of(json, "os"), text_of(json, "architecture"), text_of(json, "variant")};
}

Result<DigestBytes> parse_sha256(const std::string& text) {
  if (!text.starts_with("sha256:") && text.find(':') != std::string::npos)
    return Error{ErrorCode::kUnsupported,
                 "digest \"" + escape_untrusted(text, 128) + "\": only sha256 is read"};
  auto digest = parse_digest(text);
  if (!digest) return corrupt("\"" + escape_untrusted(text, 128) + "\" is no digest");
  return *digest;
}

Result<Descriptor> parse_descriptor(const Json& json) {
  Descriptor descriptor;
  descriptor.media_type = text_of(json, "mediaType");
  ASSAY_ASSIGN(descriptor.digest.bytes, parse_sha256(text_of(json, "digest")));
  const Json& size = member_of(json, "size");
  if (!size.is_number_unsigned()) return corrupt("a descriptor has no size");
  descriptor.size = size.get<std::uint64_t>();
  const Json& platform = member_of(json, "platform");
  if (platform.is_object()) descriptor.platform = parse_platform(platform);
  const Json& annotations = member_of(json, "annotations");
  descriptor.ref_name = text_of(annotations, "org.opencontainers.image.ref.name");
  if (descriptor.ref_name.empty())
    descriptor.ref_name = text_of(annotations, "io.containerd.image.name");
  descriptor.is_attestation =
      text_of(annotations, "vnd.docker.reference.type") == "attestation-manifest";
  return descriptor;
}

Result<std::vector<std::string>> parse_texts(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& item : list) {
    if (!item.is_string()) return corrupt("a list of names holds something else");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

}  // namespace

std::string Platform::text() const {
  if (os.empty() && architecture.empty()) return {};
  return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

bool Descriptor::is_index() const {
  return media_type == "application/vnd.oci.image.index.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool Descriptor::is_manifest() const {
  return media_type == "application/vnd.oci.image.manifest.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.v2+json";
}

Result<std::vector<Descriptor>> parse_index(std::string_view text) {
  ASSAY_ASSIGN(const Json json, parse_object(text, "the index"));
  ASSAY_ASSIGN(const Json* list, list_of(json, "manifests"));
  std::vector<Descriptor> descriptors;
  for (const Json& item : *list) {
    ASSAY_ASSIGN(Descriptor descriptor, parse_descriptor(item));
    descriptors.push_back(std::move(descriptor));
  }
  return descriptors;
}

Result<Manifest> parse_manifest(std::string_view text) {
  ASSAY_ASSIGN(const Json json, parse_object(text, "the manifest"));
  Manifest manifest;
  ASSAY_ASSIGN(manifest.config, parse_descriptor(member_of(json, "config")));
  ASSAY_ASSIGN(const Json* list, list_of(json, "layers"));
  for (const Json& item : *list) {
    ASSAY_ASSIGN(Descriptor layer, parse_descriptor(item));
    manifest.layers.push_back(std::move(layer));
  }
  return manifest;
}

Result<ImageConfig> parse_image_config(std::string_view text) {
  ASSAY_ASSIGN(const Json json, parse_object(text, "the image config"));
  ImageConfig config;
  config.platform = parse_platform(json);
  config.created = text_of(json, "created");
  const Json& rootfs = member_of(json, "rootfs");
  if (!rootfs.is_object())
    return Error{ErrorCode::kInvalidArgument,
                 "its config describes no root file system: not a "
                 "container image"};
  if (member_of(rootfs, "diff_ids").is_null()) return config;  // an image without layers
  ASSAY_ASSIGN(const Json* list, list_of(rootfs, "diff_ids"));
  ASSAY_ASSIGN(const std::vector<std::string> texts, parse_texts(*list));
  for (const std::string& diff_id : texts) {
    ASSAY_ASSIGN(const DigestBytes bytes, parse_sha256(diff_id));
    config.diff_ids.push_back(DiffId{bytes});
  }
  return config;
}

Result<std::vector<DockerManifest>> parse_docker_manifest(std::string_view text) {
  ASSAY_ASSIGN(const Json json, parse_object(text, "manifest.json"));
  if (!json.is_array() || json.size() > kMaxItems)
    return corrupt("manifest.json is no list of images");
  std::vector<DockerManifest> images;
  for (const Json& item : json) {
    DockerManifest image;
    image.config = text_of(item, "Config");
    if (image.config.empty()) return corrupt("manifest.json names no config");
    if (member_of(item, "RepoTags").is_array()) {
      ASSAY_ASSIGN(image.repo_tags, parse_texts(member_of(item, "RepoTags")));
    }
    if (!member_of(item, "Layers").is_null()) {
      ASSAY_ASSIGN(const Json* list, list_of(item, "Layers"));
      ASSAY_ASSIGN(image.layers, parse_texts(*list));
    }
    images.push_back(std::move(image));
  }
  return images;
}

ChainId chain_id_of(const std::optional<ChainId>& below, const DiffId& diff_id) {
  if (!below) return ChainId{diff_id.bytes};
  return ChainId{sha256(below->text() + " " + diff_id.text()).bytes};
}

}  // namespace assay::image
