// SPDX-License-Identifier: Apache-2.0
// The JSON of OCI images and of docker's archives, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::image {

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string text() const;  ///< "os/architecture[/variant]"
};

struct Descriptor {
  std::string media_type;
  Sha256 digest;
  std::uint64_t size = 0;
  std::optional<Platform> platform;
  std::string
      ref_name;  ///< annotation io.containerd.image.name, else org.opencontainers.image.ref.name
  bool is_no_image = false;  ///< an attestation, a signature or another artifact
  bool is_index() const;
  bool is_manifest() const;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;
};

struct ImageConfig {
  Platform platform;
  std::string created;
  std::vector<DiffId> diff_ids;
};

struct DockerManifest {
  std::string config;
  std::vector<std::string> repo_tags;
  std::vector<std::string> layers;  ///< names in the archive, bottom first
};

/// All of them: kCorrupt when the text is no such JSON, kUnsupported for digests other than
/// SHA-256, kLimitExceeded for more than 1,000 layers or manifests. Source: OCI image-spec v1.1
/// image-index.md, manifest.md, config.md; moby image/tarexport.
Result<std::vector<Descriptor>> parse_index(std::string_view text);
Result<Manifest> parse_manifest(std::string_view text);
Result<ImageConfig> parse_image_config(std::string_view text);
Result<std::vector<DockerManifest>> parse_docker_manifest(std::string_view text);

/// Chain ID of a layer on all below it; `below`: theirs, none for the bottom layer.
/// Source: OCI image-spec v1.1 config.md "Layer ChainID".
ChainId chain_id_of(const std::optional<ChainId>& below, const DiffId& diff_id);

}  // namespace assay::image
