// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/enrolment_service.h"

#include "assay/v1/enrolment.grpc.pb.h"
#include "collector/core/worker_pool.h"
#include "collector/ingest/enrolment_desk.h"
#include "collector/ingest/peer.h"
#include "collector/ingest/refusal.h"

namespace assay::collector {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using Asking = EnrolmentDesk::Asking;

constexpr std::chrono::seconds kRetryWhenBusy{5};
constexpr std::size_t kMaxRenewals = 256;  // that wait
constexpr std::size_t kMaxRequestBytes = 16 << 10;

grpc::Status refusal(const Error& error) {
  switch (error.code) {
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kUntrusted:
      return {grpc::StatusCode::PERMISSION_DENIED, error.message};
    case ErrorCode::kUnsupported:
      return {grpc::StatusCode::FAILED_PRECONDITION, error.message};
    case ErrorCode::kUnavailable:
      return status_with_retry(grpc::StatusCode::UNAVAILABLE, error.message, kRetryWhenBusy);
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorrupt:
    case ErrorCode::kLimitExceeded:
      return {grpc::StatusCode::INVALID_ARGUMENT, error.message};
    default:
      return {grpc::StatusCode::INTERNAL, error.message};
  }
}

// gRPC keeps request and response until Finish.
class Service final : public EnrolmentService, public v1::Enrolment::CallbackService {
 public:
  Service(EnrolmentBook& book, NodeCertifier& certifier, AccountReviewer* reviewer, Ledger& ledger,
          const Clock& clock, const EnrolmentOptions& options)
      : certifier_(certifier),
        desk_(book, certifier, reviewer, ledger, clock, options.rates),
        strangers_(options.threads, options.max_waiting),
        nodes_(1, kMaxRenewals) {}

  grpc::Service& service() override { return *this; }

  Reactor* GetAuthorities(Context* context, const v1::GetAuthoritiesRequest*,
                          v1::TrustBundle* response) override {
    Reactor* reactor = context->DefaultReactor();
    if (const auto wait = desk_.wait_before(Asking::kStranger, peer_of(*context)); wait.count() > 0)
      reactor->Finish(too_often(wait));
    else
      reactor->Finish(answer(response));
    return reactor;
  }

  Reactor* Enrol(Context* context, const v1::EnrolRequest* request,
                 v1::IssuedCertificate* response) override {
    if (request->ByteSizeLong() > kMaxRequestBytes) {
      Reactor* reactor = context->DefaultReactor();
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "the request is too large"});
      return reactor;
    }
    return serve(context, Asking::kStranger, [this, peer = peer_of(*context), request, response] {
      auto issued = desk_.enrol(*request, peer);
      if (!issued) return refusal(issued.error());
      *response = std::move(*issued);
      return grpc::Status::OK;
    });
  }

  Reactor* Renew(Context* context, const v1::RenewRequest* request,
                 v1::IssuedCertificate* response) override {
    const std::string peer = peer_of(*context);
    auto who = principal_of(*context);
    if (!who || who->role != Role::kNode) {
      const std::string reason = who ? who->text() + " is no node" : who.error().message;
      desk_.note_refused("node.renew", who ? who->text() : "", "", reason, peer);
      Reactor* reactor = context->DefaultReactor();
      reactor->Finish(
          {who ? grpc::StatusCode::PERMISSION_DENIED : grpc::StatusCode::UNAUTHENTICATED, reason});
      return reactor;
    }
    return serve(context, Asking::kNode,
                 [this, peer, node = who->node, shown = shown_certificate(*context, certifier_),
                  request, response] {
                   auto issued = desk_.renew(node, shown, *request, peer);
                   if (!issued) return refusal(issued.error());
                   *response = std::move(*issued);
                   return grpc::Status::OK;
                 });
  }

 private:
  static grpc::Status too_often(std::chrono::milliseconds wait) {
    return status_with_retry(grpc::StatusCode::RESOURCE_EXHAUSTED,
                             "too many tries to enrol: try again later", wait);
  }
  grpc::Status answer(v1::TrustBundle* response) const {
    *response = desk_.authorities();
    return grpc::Status::OK;
  }

  Reactor* serve(Context* context, Asking asking, std::function<grpc::Status()> work) {
    Reactor* reactor = context->DefaultReactor();
    if (const auto wait = desk_.wait_before(asking, peer_of(*context)); wait.count() > 0) {
      reactor->Finish(too_often(wait));
      return reactor;
    }
    WorkerPool& pool = asking == Asking::kStranger ? strangers_ : nodes_;
    if (!pool.post([reactor, work = std::move(work)] { reactor->Finish(work()); }))
      reactor->Finish(status_with_retry(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                        "too many enrol at a time: try again later",
                                        kRetryWhenBusy));
    return reactor;
  }

  NodeCertifier& certifier_;
  EnrolmentDesk desk_;
  WorkerPool strangers_;  // uses the desk
  WorkerPool nodes_;      // likewise; whoever floods the other one does not hold up renewals
};

}  // namespace

std::unique_ptr<EnrolmentService> EnrolmentService::create(EnrolmentBook& book,
                                                           NodeCertifier& certifier,
                                                           AccountReviewer* reviewer,
                                                           Ledger& ledger, const Clock& clock,
                                                           const EnrolmentOptions& options) {
  return std::make_unique<Service>(book, certifier, reviewer, ledger, clock, options);
}

}  // namespace assay::collector
