// SPDX-License-Identifier: Apache-2.0
#include "common/image/oci_json.h"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <set>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::image {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxItems = 1000;
constexpr int kMaxDepth = 100;

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, std::move(message)};
}

// A key that comes twice in one object is read differently by different programs: the last one
// counts here, while Go puts the two together.
Result<Json> parse_object(std::string_view text, std::string_view what) {
  std::vector<std::set<std::string>> open;  // keys so far of the objects around
  bool has_key_twice = false;
  bool is_too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    is_too_deep |= depth > kMaxDepth;
    if (is_too_deep) return false;  // nothing more is kept
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key)
      has_key_twice |= !open.back().insert(parsed.get<std::string>()).second;
    return true;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (is_too_deep)
    return Error{ErrorCode::kLimitExceeded, std::string(what) + " is JSON with more than " +
                                                std::to_string(kMaxDepth) + " levels"};
  if (json.is_discarded()) return corrupt(std::string(what) + " is no JSON");
  if (has_key_twice) return corrupt(std::string(what) + " has a key twice in one object");
  return json;
}

// As Go's encoding/json compares keys: small letters, and the two letters that Unicode folds into
// ASCII (long s, Kelvin sign).
std::string folded(std::string_view key) {
  std::string text;
  while (!key.empty()) {
    std::size_t bytes = 1;
    if (key.starts_with("\xc5\xbf")) {
      text += 's';
      bytes = 2;
    } else if (key.starts_with("\xe2\x84\xaa")) {
      text += 'k';
      bytes = 3;
    } else {
      text += key[0] >= 'A' && key[0] <= 'Z' ? static_cast<char>(key[0] + ('a' - 'A')) : key[0];
    }
    key.remove_prefix(bytes);
  }
  return text;
}

// Docker, containerd and podman read JSON with Go's encoding/json, which takes "Layers" for
// "layers" as well: such an object would be one image here and another one there.
Result<void> check_spelling(const Json& object, std::initializer_list<std::string_view> keys) {
  if (!object.is_object()) return ok();
  for (const auto& [key, value] : object.items())
    for (const std::string_view wanted : keys)
      if (key != wanted && folded(key) == folded(wanted))
        return corrupt("it has \"" + escape_untrusted(key) + "\", which some read as \"" +
                       std::string(wanted) + "\"");
  return ok();
}

// One document must not be an index and a manifest at once (CVE-2021-41190).
Result<void> check_kind(const Json& json, std::initializer_list<const char*> foreign) {
  for (const char* key : foreign)
    if (json.is_object() && json.contains(key))
      return corrupt("an index and a manifest in one: it has \"" + std::string(key) + "\"");
  return ok();
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
  if (!digest || !text.starts_with("sha256:"))
    return corrupt("\"" + escape_untrusted(text, 128) + "\" is no digest");
  return *digest;
}

Result<Descriptor> parse_descriptor(const Json& json) {
  ASSAY_TRY(check_spelling(json, {"mediaType", "digest", "size", "platform", "annotations"}));
  Descriptor descriptor;
  descriptor.media_type = text_of(json, "mediaType");
  ASSAY_ASSIGN(descriptor.digest.bytes, parse_sha256(text_of(json, "digest")));
  const Json& size = member_of(json, "size");
  if (!size.is_number_unsigned()) return corrupt("a descriptor has no size");
  descriptor.size = size.get<std::uint64_t>();
  const Json& platform = member_of(json, "platform");
  ASSAY_TRY(check_spelling(platform, {"os", "architecture", "variant"}));
  if (platform.is_object()) descriptor.platform = parse_platform(platform);
  const Json& annotations = member_of(json, "annotations");
  // docker and containerd write the whole name here and its tag alone there.
  descriptor.ref_name = text_of(annotations, "io.containerd.image.name");
  if (descriptor.ref_name.empty())
    descriptor.ref_name = text_of(annotations, "org.opencontainers.image.ref.name");
  descriptor.is_no_image =
      text_of(annotations, "vnd.docker.reference.type") == "attestation-manifest" ||
      !text_of(json, "artifactType").empty() ||
      (descriptor.platform && descriptor.platform->text() == "unknown/unknown");
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
  ASSAY_TRY(check_spelling(json, {"manifests", "layers", "config"}));
  ASSAY_TRY(check_kind(json, {"layers", "config", "fsLayers"}));
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
  ASSAY_TRY(check_spelling(json, {"config", "layers", "manifests", "fsLayers"}));
  ASSAY_TRY(check_kind(json, {"manifests"}));
  if (member_of(json, "fsLayers").is_array())
    return Error{
        ErrorCode::kUnsupported,
        "it has a manifest of docker's old schema 1; copy it with skopeo copy --format v2s2"};
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
  ASSAY_TRY(check_spelling(json, {"rootfs", "os", "architecture", "variant"}));
  ImageConfig config;
  config.platform = parse_platform(json);
  config.created = text_of(json, "created");
  const Json& rootfs = member_of(json, "rootfs");
  if (!rootfs.is_object())
    return Error{ErrorCode::kInvalidArgument,
                 "its config describes no root file system: not a "
                 "container image"};
  ASSAY_TRY(check_spelling(rootfs, {"diff_ids"}));
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
    ASSAY_TRY(check_spelling(item, {"Config", "RepoTags", "Layers"}));
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
