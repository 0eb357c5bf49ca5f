// SPDX-License-Identifier: Apache-2.0
// A base: one version of an approved (or once approved) image, as the catalog holds it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::catalog {

/// States of a base's life. Expired is not among them: it follows from a date (see judge.h).
enum class BaseStatus { kDraft, kApproved, kDeprecated, kRevoked };
std::string_view to_string(BaseStatus status);
/// Errors: kInvalidArgument.
Result<BaseStatus> parse_base_status(std::string_view text);

/// The layer as a runtime unpacks it where it cannot make devices (docs/formats/fingerprint.md).
struct BaseDeviceless {
  ShapeDigest shape;
  ContentDigest content;
  bool operator==(const BaseDeviceless&) const = default;
};

struct BaseLayer {
  std::optional<DiffId> diff_id;  ///< none when the base was approved from a plain directory
  ShapeDigest shape;
  ContentDigest content;
  std::optional<DeletionsDigest> deletions;
  std::uint64_t entries = 0;
  std::uint64_t content_bytes = 0;
  std::optional<BaseDeviceless> deviceless = {};  ///< none when it holds no devices
};

/// All layers of a stack together, in the root form (docs/formats/fingerprint.md): what a store
/// without layers (vfs, native) makes of them.
struct BaseRoot {
  ShapeDigest shape;
  ContentDigest content;
  std::uint64_t entries = 0;
  std::uint64_t content_bytes = 0;
  bool operator==(const BaseRoot&) const = default;
};

/// Which file set all layers of a stack have together (docs/formats/file_set.md). The set itself
/// lies beside the catalog, at collectors and in exports: agents do not need it.
struct FileSetReference {
  FileSetDigest digest;
  std::uint64_t files = 0;
  bool operator==(const FileSetReference&) const = default;
};

struct BaseStack {
  std::string platform;           ///< "linux/amd64", "" when unknown
  std::string manifest_digest;    ///< "sha256:…" or ""
  std::vector<BaseLayer> layers;  ///< bottom first, at least one
  std::optional<BaseRoot> root;   ///< none: roots without layers do not match this stack
  /// None: the base is not found in flattened images by this stack.
  std::optional<FileSetReference> file_set = {};
};

/// Named NAME:VERSION everywhere; NAME may hold "/", VERSION neither "/" nor ":".
struct BaseId {
  std::string name;
  std::string version;
  auto operator<=>(const BaseId&) const = default;
  std::string text() const { return name + ":" + version; }
  /// "NAME" or "NAME:VERSION"; the version is "" in the first case.
  /// Errors: kInvalidArgument (empty, longer than 255 bytes, characters outside [a-z0-9._/-]).
  static Result<BaseId> parse(std::string_view text);
};

/// Annotations that mean something to Assay; all others are for people alone.
inline constexpr std::string_view kCreatedAnnotation = "assay.created";  ///< when it was built
inline constexpr std::string_view kContactAnnotation = "assay.contact";  ///< whom to ask about it
inline constexpr std::string_view kNoteAnnotation = "assay.note";

struct Base {
  BaseId id;
  BaseStatus status = BaseStatus::kDraft;
  std::vector<BaseStack> stacks;
  std::optional<WallTime> deprecated_until;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> approved_at = {};  ///< first; none of a draft
  std::optional<WallTime> built_at = {};     ///< as the approval says; never after it
  std::string reason;                        ///< of the last change
  std::string successor;                     ///< NAME:VERSION or ""
  WallTime changed_at{};                     ///< of the last change
  std::string changed_by;                    ///< id of the key that signed it
  std::uint64_t changed_in = 0;              ///< sequence of the statement
  std::map<std::string, std::string>
      annotations;  ///< claims for people: distribution, source, notes
};

}  // namespace assay::catalog
