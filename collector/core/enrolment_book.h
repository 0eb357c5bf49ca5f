// SPDX-License-Identifier: Apache-2.0
// Who may join, as which node, with which key; who is kept out. Decides and keeps the books; speaks
// no TLS and no gRPC.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/enrolment.h"
#include "collector/core/ports.h"
#include "common/base/mutex.h"

namespace assay::collector {

inline constexpr std::size_t kMaxJoinTokens = 10'000;
inline constexpr std::uint32_t kMaxTokenUses = 100'000;
inline constexpr std::chrono::hours kMaxTokenLifetime{24 * 366};

/// "*" stands for any characters, also none; everything else for itself.
bool matches_pattern(std::string_view pattern, std::string_view name);
/// usable, used-up, expired, revoked.
std::string_view state_of(const JoinToken& token, WallTime now);

/// A secret that a peer showed with a token's id.
struct ShownJoinToken {
  std::string id;
  Sha256 secret;
};

struct EnrolmentRequest {
  NodeKey node;
  RequestedKey key;
  std::optional<ShownJoinToken> token;
  std::optional<ReviewedAccount> account;
  std::string peer;  ///< where it comes from, for the log
};

/// Thread-safe. Changes wait for their commit; looks never do.
class EnrolmentBook final : public NodeAdmission {
 public:
  /// All references must outlive the book.
  EnrolmentBook(Enrolments saved, Ledger& ledger, const NodeDirectory& nodes,
                NodeCertifier& certifier, const Clock& clock);

  /// Issues when the node may have a certificate for this key, and writes down that it did.
  /// Errors: kPermissionDenied (revoked, no proof, a token that is not good for it),
  /// kAlreadyExists (the node is known by another key, or the key is another node's), kUnsupported,
  /// kUnavailable.
  Result<IssuedLeaf> enrol(const EnrolmentRequest& request);
  /// For a node that shows a certificate of its own. Errors: as admit(); kPermissionDenied (another
  /// key than that of the certificate).
  Result<IssuedLeaf> renew(const NodeKey& node, const ShownCertificate& shown,
                           const RequestedKey& key, const std::string& peer);

  /// `token` with everything but times and uses made. Where there are kMaxJoinTokens, the oldest
  /// that is not usable any more makes room. Errors: kInvalidArgument, kLimitExceeded (all are
  /// usable).
  Result<JoinToken> add_token(JoinToken token, const std::string& actor, const std::string& peer);
  std::vector<JoinToken> tokens() const;  ///< newest first
  /// Errors: kNotFound.
  Result<JoinToken> revoke_token(const std::string& id, const std::string& actor,
                                 const std::string& peer);

  /// `name`: NAME or CLUSTER/NAME of a known node. Errors: kNotFound, kInvalidArgument (several).
  Result<NodeKey> find_node(const std::string& name) const;
  Result<void> revoke(const NodeKey& node, const std::string& reason, const std::string& actor,
                      const std::string& peer);
  /// Errors: kNotFound (it is not revoked).
  Result<void> restore(const NodeKey& node, const std::string& actor, const std::string& peer);
  Result<void> forget(const NodeKey& node, const std::string& actor, const std::string& peer);

  Result<void> admit(const NodeKey& node,
                     const std::optional<ShownCertificate>& shown) const override;
  std::optional<NodeIdentity> identity(const NodeKey& node) const override;
  std::vector<NodeIdentity> revoked() const override;

 private:
  using Work = std::function<Result<void>(StoreWriter&)>;

  bool is_known(const NodeKey& node, const NodeIdentity& identity) const;
  NodeIdentity identity_or_new(const NodeKey& node) const;
  Result<void> check_owner(const NodeKey& node, const Sha256& key) const;
  /// The token that is good for `request`, counted as used. Errors: kPermissionDenied.
  Result<JoinToken> use_token(const EnrolmentRequest& request) const;
  Result<IssuedLeaf> issue(NodeIdentity identity, const RequestedKey& key,
                           std::optional<JoinToken> token, const AuditEntry& entry);
  Result<void> change_identity(const NodeIdentity& identity, const AuditEntry& entry);
  /// "": no token has to make room for one more. Errors: kLimitExceeded.
  Result<std::string> token_to_drop(WallTime now) const;
  /// `dropped`: the id of one to remove with it, "" = none.
  Result<void> save_token(const JoinToken& token, const AuditEntry& entry,
                          const std::string& dropped = "");
  AuditEntry entry(const std::string& actor, const std::string& action, const std::string& subject,
                   const std::string& detail, const std::string& peer) const;

  Ledger& ledger_;
  const NodeDirectory& nodes_;
  NodeCertifier& certifier_;
  const Clock& clock_;
  std::mutex changing_;  // one change at a time; before mutex_
  mutable Mutex mutex_;
  std::map<std::string, JoinToken> tokens_ ASSAY_GUARDED_BY(mutex_);
  std::map<NodeKey, NodeIdentity> identities_ ASSAY_GUARDED_BY(mutex_);
  std::map<Sha256, NodeKey> owners_ ASSAY_GUARDED_BY(mutex_);  // of keys
};

}  // namespace assay::collector
