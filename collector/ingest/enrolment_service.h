// SPDX-License-Identifier: Apache-2.0
// The gRPC service by which nodes come by their certificates. It answers without a client
// certificate.
#pragma once

#include <memory>

#include "collector/core/call_rates.h"
#include "collector/core/enrolment_book.h"

namespace grpc {
class Service;
}

namespace assay::collector {

struct EnrolmentOptions {
  AttemptRates rates;
  int threads = 2;
  std::size_t max_waiting = 64;  ///< calls beyond this are refused
};

/// Thread-safe. Must outlive the gRPC server that its service is registered with.
class EnrolmentService {
 public:
  /// All references must outlive the service; `reviewer`: null where Kubernetes is not asked.
  static std::unique_ptr<EnrolmentService> create(EnrolmentBook& book, NodeCertifier& certifier,
                                                  AccountReviewer* reviewer, Ledger& ledger,
                                                  const Clock& clock,
                                                  const EnrolmentOptions& options);
  virtual ~EnrolmentService() = default;
  virtual grpc::Service& service() = 0;
};

}  // namespace assay::collector
