// SPDX-License-Identifier: Apache-2.0
// What the collector keeps of nodes' certificates and of the tokens by which nodes join, and the
// ports between those who ask, decide and issue.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/events.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::collector {

/// A join token as it is kept: its secret only as a digest.
struct JoinToken {
  std::string id;  ///< 16 hex digits, not secret
  Sha256 secret;   ///< digest of the 256 random bits
  std::string cluster;
  std::string pattern;  ///< of node names; "*" stands for any characters
  std::uint32_t uses = 1;
  std::uint32_t used = 0;
  bool may_replace = false;  ///< also for nodes that are known by another key
  std::int64_t created_ns = 0;
  std::string created_by;
  std::int64_t expires_ns = 0;
  std::int64_t last_used_ns = 0;  ///< 0 = never
  std::string last_node;
  std::int64_t revoked_ns = 0;  ///< 0 = it is not
  bool operator==(const JoinToken&) const = default;
};

/// What is kept of one node's certificates, and whether the node is let in at all.
struct NodeIdentity {
  NodeKey node;
  std::optional<Sha256> key;  ///< of the public key that it was last issued for
  std::string serial;         ///< of the last certificate, hex digits
  std::int64_t not_before_ns = 0;
  std::int64_t expires_ns = 0;
  std::string method;         ///< how it proved itself: "token ID", "service-account", …
  std::string node_uid;       ///< of Kubernetes, "" when it did not join by it
  bool is_forgotten = false;  ///< the next enrolment may come with another key
  std::int64_t revoked_ns = 0;
  std::string revoked_by;
  std::string revoked_reason;
  bool operator==(const NodeIdentity&) const = default;
};

/// All of it, as the store has it.
struct Enrolments {
  std::vector<JoinToken> tokens;
  std::vector<NodeIdentity> identities;
};

/// A public key whose holder proved that he has the private one.
struct RequestedKey {
  std::string der;  ///< SubjectPublicKeyInfo
  Sha256 digest;    ///< of `der`
};

struct IssuedLeaf {
  std::string der;     ///< X.509
  std::string serial;  ///< hex digits
  std::int64_t not_before_ns = 0;
  std::int64_t expires_ns = 0;
};

/// The authorities that are trusted now.
struct TrustedAuthorities {
  std::vector<std::string> certificates;  ///< X.509, DER
  std::optional<Sha256> issuer;  ///< digest of the one that issues; none: no key of one is here
  Sha256 digest;                 ///< over the sorted digests of the certificates
};

/// What matters of a certificate that a peer showed.
struct ShownCertificate {
  Sha256 key;  ///< of its public key
  std::int64_t not_before_ns = 0;
  std::int64_t expires_ns = 0;
};

/// Issues certificates to nodes. Thread-safe; a call takes about a millisecond.
class NodeCertifier {
 public:
  virtual ~NodeCertifier() = default;
  /// Only the key and the proof count; names and extensions in `der` are ignored.
  /// Errors: kLimitExceeded, kCorrupt (no PKCS #10), kUntrusted (not signed by its key, or a key
  /// that is not on P-256).
  virtual Result<RequestedKey> read_request(std::string_view der) const = 0;
  /// Errors: kUnsupported (no authority's key is here: certificates come from elsewhere).
  virtual Result<IssuedLeaf> issue(const NodeKey& node, const RequestedKey& key) = 0;
  virtual TrustedAuthorities trusted() const = 0;
  /// `pem`: as gRPC gives it. Errors: kCorrupt.
  virtual Result<ShownCertificate> read_certificate(const std::string& pem) const = 0;
};

/// Whom a service-account token names.
struct ReviewedAccount {
  std::string cluster;  ///< ours, for which that Kubernetes speaks
  std::string node_name;
  std::string node_uid;
  std::string account;  ///< NAMESPACE/NAME
};

/// Asks Kubernetes whose a token is. Thread-safe; blocks on the network, with a deadline.
class AccountReviewer {
 public:
  virtual ~AccountReviewer() = default;
  /// Errors: kUntrusted (refused, wrong audience, another account, bound to no node), kUnavailable
  /// (the API server does not answer), kCorrupt, kLimitExceeded (its answer).
  virtual Result<ReviewedAccount> review(const std::string& token) = 0;
};

}  // namespace assay::collector
