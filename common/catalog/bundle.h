// SPDX-License-Identifier: Apache-2.0
// Sigstore bundles, signed with a key (not by way of Fulcio): what cosign writes and reads
// (docs/formats/bundle.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/catalog/signing.h"

namespace assay::catalog {

inline constexpr std::size_t kMaxBundleBytes = 32 << 20;

/// A bundle of version 0.1, 0.2 or 0.3: one signature over a blob, or one DSSE envelope.
struct Bundle {
  std::string media_type;
  std::string key_hint;          ///< never a proof; "" when there is none
  bool has_certificate = false;  ///< keyless: Assay cannot verify it
  std::optional<Envelope> envelope;
  std::optional<std::string> signature;       ///< over a blob
  std::optional<std::string> message_digest;  ///< of the blob, to tell which one is meant

  /// Errors: kCorrupt, kLimitExceeded, kUnsupported (a version that we do not know).
  static Result<Bundle> from_json(std::string_view json);
};

/// `envelope` with its signature by `signer` alone, as a bundle of version 0.3.
/// Errors: kNotFound (no good signature by that key on it).
Result<std::string> make_bundle(const Envelope& envelope, const PublicKey& signer);

/// What a bundle that verified says.
struct BundleContent {
  std::string predicate_type;         ///< of an in-toto statement, "" when it signs a blob
  std::vector<std::string> subjects;  ///< "NAME sha256:…" of an in-toto statement
};
/// Verifies with `key`, without any transparency log. `artifact`: the blob; of an in-toto statement
/// it must be one of the subjects; it may be absent there.
/// Errors: kUntrusted (the signature, or another blob), kInvalidArgument (the blob is missing),
/// kUnsupported (a certificate), kCorrupt.
Result<BundleContent> verify_bundle(const Bundle& bundle, const PublicKey& key,
                                    const std::optional<std::string>& artifact);

}  // namespace assay::catalog
