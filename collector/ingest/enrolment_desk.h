// SPDX-License-Identifier: Apache-2.0
// What strangers ask for who want to become nodes, without gRPC: requests in, certificates or
// errors out. All of it is foreign bytes that arrive before anybody is known.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "assay/v1/enrolment.pb.h"
#include "collector/core/call_rates.h"
#include "collector/core/enrolment_book.h"

namespace assay::collector {

/// Thread-safe; a call blocks on the disk, and on the network where Kubernetes is asked.
class EnrolmentDesk {
 public:
  /// All references must outlive the desk; `reviewer`: null where Kubernetes is not asked.
  EnrolmentDesk(EnrolmentBook& book, NodeCertifier& certifier, AccountReviewer* reviewer,
                Ledger& ledger, const Clock& clock, AttemptRates rates)
      : book_(book),
        certifier_(certifier),
        reviewer_(reviewer),
        ledger_(ledger),
        clock_(clock),
        strangers_{{rates.all, 1}, {rates.address, rates.max_addresses}},
        nodes_{{rates.all, 1}, {rates.address, rates.max_addresses}} {}

  /// How long the peer has to wait first; zero: it may try. What is refused so is counted, and
  /// written down now and then.
  /// Strangers cannot use up what nodes may: those are counted apart.
  enum class Asking { kStranger, kNode };
  std::chrono::milliseconds wait_before(Asking asking, const std::string& peer);
  /// Errors: those of EnrolmentBook, NodeCertifier and AccountReviewer; kInvalidArgument. Each one
  /// is in the audit log.
  Result<v1::IssuedCertificate> enrol(const v1::EnrolRequest& request, const std::string& peer);
  Result<v1::IssuedCertificate> renew(const NodeKey& node,
                                      const std::optional<ShownCertificate>& shown,
                                      const v1::RenewRequest& request, const std::string& peer);
  v1::TrustBundle authorities() const;
  /// A refusal that was decided elsewhere, for the log.
  void note_refused(const std::string& action, const std::string& actor, const std::string& subject,
                    const std::string& reason, const std::string& peer);

 private:
  Result<EnrolmentRequest> read(const v1::EnrolRequest& request, const std::string& peer);
  v1::IssuedCertificate answer(const IssuedLeaf& leaf) const;

  EnrolmentBook& book_;
  NodeCertifier& certifier_;
  AccountReviewer* const reviewer_;
  Ledger& ledger_;
  const Clock& clock_;
  struct Limits {
    CallRates all;
    CallRates addresses;
  };
  Limits strangers_;
  Limits nodes_;
  Mutex mutex_;
  std::uint64_t held_back_ ASSAY_GUARDED_BY(mutex_) = 0;  // tries that are not in the log yet
  std::optional<BootTime> noted_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
