// SPDX-License-Identifier: Apache-2.0
// Which keys may sign the catalog: pinned on every machine as a trust file, and changed by versions
// of a root that the old and the new keys sign (docs/formats/root.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/catalog/signing.h"

namespace assay::catalog {

inline constexpr std::size_t kMaxKeys = 64;    ///< in one root or trust file
inline constexpr std::size_t kMaxRoots = 128;  ///< versions in one chain

/// Keys, and how many of them must sign.
struct KeySet {
  std::uint32_t threshold = 1;
  std::vector<PublicKey> keys;
};

/// One version of the root, as it is signed.
struct Root {
  std::uint64_t version = 1;  ///< 1, 2, 3 … without holes
  WallTime issued_at{};
  std::string reason;
  std::uint32_t threshold = 1;       ///< signatures on a statement and on a head
  std::uint32_t root_threshold = 1;  ///< signatures on this and on the next version
  std::vector<PublicKey> keys;
  std::vector<PublicKey> mark_keys;           ///< of collectors, for freshness marks (mark.h)
  std::map<std::string, std::string> owners;  ///< of keys by id: names for people, may be missing
};

/// in-toto Statement v1 JSON, the payload that is signed.
std::string to_in_toto(const Root& root);
/// Errors: kCorrupt, kLimitExceeded, kUnsupported (a later version of the format).
Result<Root> root_from_in_toto(std::string_view json);

/// The keys that may sign now, and those that might before.
struct TrustRoot {
  std::uint32_t threshold = 1;
  std::vector<PublicKey> keys;
  std::uint64_t version = 0;         ///< of the root; 0: a trust file that is a list of keys
  std::uint32_t root_threshold = 0;  ///< of the next root; 0: as `threshold`
  std::vector<PublicKey> mark_keys = {};
  std::map<std::string, std::string> owners = {};  ///< of all keys, old ones as well
  std::vector<KeySet> earlier = {};                ///< of older roots, oldest first
  std::vector<std::string> roots = {};             ///< envelopes, from version 1 on

  /// The trust file: concatenated PEM public keys, or JSON {"threshold": n, "keys": [PEM…]}, or a
  /// root file, JSON {"roots": [envelope…]}, whose first version signs for itself.
  /// Errors: kInvalidArgument (no key, threshold above the number of keys), kUnsupported,
  /// kUntrusted (a version that too few keys signed), kCorrupt.
  static Result<TrustRoot> parse(std::string_view text);
  /// Keys by version, the newest last; never empty.
  std::vector<KeySet> key_sets() const;
};

/// `trust` after those of `envelopes` that follow it, in their order; versions that it has already
/// are skipped. TUF's rule: version N+1 is signed by enough keys of N and of N+1.
/// Errors: kUntrusted (signatures, a hole in the versions), kCorrupt, kLimitExceeded.
Result<TrustRoot> extend_trust(const TrustRoot& trust, const std::vector<std::string>& envelopes);

/// How far the newest version of a root is signed.
struct RootSignatures {
  std::vector<std::string> by_old;  ///< key ids of the version before; empty for version 1
  std::vector<std::string> by_new;  ///< key ids of its own
};

/// A root file that is being made: every version but the last is signed by enough keys.
struct RootFile {
  std::vector<std::string> envelopes;  ///< version 1 first

  std::string to_json() const;
  /// Errors: kCorrupt, kLimitExceeded.
  static Result<RootFile> from_json(std::string_view json);
  /// The chain without its last version: nothing is trusted before version 1.
  Result<TrustRoot> before_last() const;
  Result<Root> last() const;
  /// Errors: as extend_trust() for all versions but the last.
  Result<RootSignatures> signatures() const;
};

}  // namespace assay::catalog
