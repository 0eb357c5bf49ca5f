// SPDX-License-Identifier: Apache-2.0
// 32-byte digests, one type per meaning, so that a shape can never stand where a diff ID belongs.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay {

using DigestBytes = std::array<std::uint8_t, 32>;

/// Lower-case hex of `bytes`.
std::string digest_hex(const DigestBytes& bytes);
/// Reads 64 hex digits, with or without "sha256:" before them. Errors: kInvalidArgument.
Result<DigestBytes> parse_digest(std::string_view text);

template <typename Tag>
struct Digest {
  DigestBytes bytes{};

  auto operator<=>(const Digest&) const = default;
  std::string hex() const { return digest_hex(bytes); }
  /// "sha256:" and the hex digits, as the OCI specification writes digests.
  std::string text() const { return "sha256:" + hex(); }
  /// 32 raw bytes, for the wire and for SQL.
  std::string_view raw() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// Errors: kInvalidArgument.
  static Result<Digest> parse(std::string_view text) {
    auto parsed = parse_digest(text);
    if (!parsed) return std::move(parsed.error());
    return Digest{*parsed};
  }
  /// From exactly 32 raw bytes. Errors: kInvalidArgument.
  static Result<Digest> from_raw(std::string_view raw) {
    Digest digest;
    if (raw.size() != digest.bytes.size())
      return Error{ErrorCode::kInvalidArgument, "a digest has 32 bytes"};
    std::memcpy(digest.bytes.data(), raw.data(), raw.size());
    return digest;
  }
};

using Sha256 = Digest<struct Sha256Tag>;                  ///< plain SHA-256 of some bytes
using DiffId = Digest<struct DiffIdTag>;                  ///< OCI: SHA-256 of the uncompressed tar
using ChainId = Digest<struct ChainIdTag>;                ///< OCI: identity of a stack of diff IDs
using ConfigDigest = Digest<struct ConfigDigestTag>;      ///< OCI: of an image's configuration
using ManifestDigest = Digest<struct ManifestDigestTag>;  ///< OCI: of one platform's manifest
using RepoDigest = Digest<struct RepoDigestTag>;    ///< of what a registry gave: manifest or index
using ShapeDigest = Digest<struct ShapeDigestTag>;  ///< docs/formats/fingerprint.md
using ContentDigest = Digest<struct ContentDigestTag>;      ///< docs/formats/fingerprint.md
using DeletionsDigest = Digest<struct DeletionsDigestTag>;  ///< docs/formats/fingerprint.md
using FileDigest = Digest<struct FileDigestTag>;            ///< fs-verity SHA-256, 4 KiB, no salt
using StackDigest = Digest<struct StackDigestTag>;          ///< docs/formats/stack.md
using EvidenceDigest = Digest<struct EvidenceDigestTag>;    ///< catalog::evidence_digest_of()
using FileSetDigest = Digest<struct FileSetDigestTag>;      ///< docs/formats/file_set.md

}  // namespace assay

template <typename Tag>
struct std::hash<assay::Digest<Tag>> {
  std::size_t operator()(const assay::Digest<Tag>& digest) const noexcept {
    std::size_t head = 0;
    std::memcpy(&head, digest.bytes.data(), sizeof(head));
    return head;
  }
};
