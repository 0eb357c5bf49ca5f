// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/enrolment_desk.h"

#include "collector/core/join_token.h"
#include "collector/core/principal.h"
#include "collector/ingest/trust_wire.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxServiceTokenBytes = 8192;
constexpr std::size_t kMaxClaimBytes = 300;  // of a name nobody vouches for
constexpr std::chrono::seconds kNoteInterval{60};

}  // namespace

std::chrono::milliseconds EnrolmentDesk::wait_before(Asking asking, const std::string& peer) {
  const BootTime now = clock_.boot_now();
  Limits& limits = asking == Asking::kStranger ? strangers_ : nodes_;
  auto wait = limits.addresses.take(host_of_peer(peer), now);
  if (wait.count() == 0) wait = limits.all.take("", now);
  if (wait.count() == 0) return wait;
  std::uint64_t count = 0;
  {
    const MutexLock lock(mutex_);
    ++held_back_;
    if (noted_ && now - *noted_ < kNoteInterval) return wait;
    noted_ = now;
    count = std::exchange(held_back_, 0);
  }
  note_refused("node.enrol", "", "",
               std::to_string(count) +
                   " tries at a rate above the limit (enrol.rate, "
                   "enrol.address_rate), the last one from here",
               peer);
  return wait;
}

void EnrolmentDesk::note_refused(const std::string& action, const std::string& actor,
                                 const std::string& subject, const std::string& reason,
                                 const std::string& peer) {
  ledger_.audit({to_unix_ns(clock_.wall_now()), actor, action, subject, "refused", reason, peer});
}

Result<EnrolmentRequest> EnrolmentDesk::read(const v1::EnrolRequest& request,
                                             const std::string& peer) {
  EnrolmentRequest read;
  read.node = {request.cluster(), request.node()};
  read.peer = peer;
  if (!is_valid_name(read.node.cluster) || !is_valid_name(read.node.node))
    return Error{ErrorCode::kInvalidArgument,
                 "cluster and node may only hold letters, digits, \".\", \"_\" and \"-\""};
  ASSAY_ASSIGN(read.key, certifier_.read_request(request.request()));
  if (request.has_join_token()) {
    ASSAY_ASSIGN(read.token, read_join_token(request.join_token()));
  }
  if (!request.has_service_account_token()) return read;
  if (reviewer_ == nullptr)
    return Error{
        ErrorCode::kPermissionDenied,
        "this collector asks no Kubernetes about service accounts (kubernetes.api_server)"};
  if (request.service_account_token().size() > kMaxServiceTokenBytes)
    return Error{ErrorCode::kLimitExceeded, "the service account's token is too long"};
  ASSAY_ASSIGN(read.account, reviewer_->review(request.service_account_token()));
  const NodeKey named{read.account->cluster, read.account->node_name};
  if (named == read.node) return read;
  return Error{ErrorCode::kPermissionDenied, "the service account's token is for node " +
                                                 escape_untrusted(named.text(), kMaxClaimBytes) +
                                                 ", not for " + read.node.text()};
}

Result<v1::IssuedCertificate> EnrolmentDesk::enrol(const v1::EnrolRequest& request,
                                                   const std::string& peer) {
  const auto refused = [&](Error error) {
    note_refused("node.enrol", "",
                 escape_untrusted(request.cluster() + "/" + request.node(), kMaxClaimBytes),
                 error.message, peer);
    return error;
  };
  auto asked = read(request, peer);
  if (!asked) return refused(std::move(asked.error()));
  auto leaf = book_.enrol(*asked);
  if (!leaf) return refused(std::move(leaf.error()));
  return answer(*leaf);
}

Result<v1::IssuedCertificate> EnrolmentDesk::renew(const NodeKey& node,
                                                   const std::optional<ShownCertificate>& shown,
                                                   const v1::RenewRequest& request,
                                                   const std::string& peer) {
  const auto refused = [&](Error error) {
    note_refused("node.renew", "node:" + node.text(), node.text(), error.message, peer);
    return error;
  };
  if (!shown) return refused({ErrorCode::kUntrusted, "the certificate cannot be read"});
  auto key = certifier_.read_request(request.request());
  if (!key) return refused(std::move(key.error()));
  auto leaf = book_.renew(node, *shown, *key, peer);
  if (!leaf) return refused(std::move(leaf.error()));
  return answer(*leaf);
}

v1::TrustBundle EnrolmentDesk::authorities() const {
  v1::TrustBundle bundle;
  to_wire(certifier_.trusted(), bundle);
  return bundle;
}

v1::IssuedCertificate EnrolmentDesk::answer(const IssuedLeaf& leaf) const {
  v1::IssuedCertificate issued;
  issued.set_certificate(leaf.der);
  *issued.mutable_trust() = authorities();
  return issued;
}

}  // namespace assay::collector
