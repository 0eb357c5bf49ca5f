// SPDX-License-Identifier: Apache-2.0
// What the layers say of themselves: distribution and packages. Claims for people; they are part of
// no digest and no verdict.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::catalog {

/// Of os-release(5); plain text (to_plain_text), each at most 256 bytes, "" when it is not said.
struct Distribution {
  std::string id;       ///< ID: "debian"
  std::string version;  ///< VERSION_ID: "12"
  std::string name;     ///< PRETTY_NAME, else NAME
  std::string variant;  ///< VARIANT, else VARIANT_ID
  bool operator==(const Distribution&) const = default;
};

struct Package {
  std::string name;
  std::string version;  ///< as the package manager writes it; rpm: [EPOCH:]VERSION-RELEASE
  std::string architecture;
  bool operator==(const Package&) const = default;
};

/// One database of installed packages.
struct PackageDatabase {
  std::string manager;         ///< dpkg, apk, rpm
  std::string format;          ///< status, status.d, installed, sqlite, ndb, bdb
  std::string path;            ///< where it lies in the image
  std::uint64_t packages = 0;  ///< how many are installed
  std::string gap;             ///< why it was not read, or not wholly; "" when it was
  std::vector<Package> list;   ///< where it was asked for
  bool operator==(const PackageDatabase&) const = default;
};

/// The merged view of an image's layers. Nothing in it: they say nothing (an image made from
/// scratch), or hold only what Assay does not know.
struct About {
  std::optional<Distribution> distribution;
  std::vector<PackageDatabase> databases;
  std::string gap;  ///< why there is no distribution although something is there, "" otherwise
  bool operator==(const About&) const = default;
};

/// One path of one layer that About may depend on.
struct AboutNode {
  enum class Kind : char { kDirectory = 'd', kFile = 'f', kLink = 'l', kOther = 'o' };
  Kind kind = Kind::kDirectory;
  std::string target;                        ///< links
  std::optional<Distribution> distribution;  ///< files: what it says, when it is an os-release
  std::optional<PackageDatabase> database;   ///< files: likewise; its path is empty
  std::string gap;                           ///< files: why nothing is known of what it says
  bool operator==(const AboutNode&) const = default;
};

/// What one layer adds to About, or takes away.
struct LayerAbout {
  std::map<std::string, AboutNode> nodes;  ///< by path
  std::vector<std::string> whiteouts;
  std::vector<std::string> opaques;  ///< "" is the root
  bool operator==(const LayerAbout&) const = default;
};

/// Lays the layers over one another, bottom first, as a mount would, and follows links inside.
About merge_about(std::span<const LayerAbout> layers);

/// `layer` as JSON for the agent's own tables, without package lists; "" when it holds nothing.
std::string encode_about(const LayerAbout& layer);
/// Errors: kCorrupt.
Result<LayerAbout> decode_about(std::string_view text);
/// The same for the merged view, as the collector keeps it.
std::string encode_about(const About& about);
Result<About> decode_merged_about(std::string_view text);

}  // namespace assay::catalog
