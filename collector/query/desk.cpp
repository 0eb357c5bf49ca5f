// SPDX-License-Identifier: Apache-2.0
#include "collector/query/desk.h"

#include "collector/query/caller.h"

namespace assay::collector {
namespace {

grpc::StatusCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnsupported:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case ErrorCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case ErrorCode::kUntrusted:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case ErrorCode::kLimitExceeded:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case ErrorCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case ErrorCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case ErrorCode::kInternal:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

}  // namespace

grpc::Status status_of(const Result<void>& result) {
  if (result) return grpc::Status::OK;
  return {code_of(result.error().code), result.error().message};
}

grpc::ServerUnaryReactor* Desk::serve(grpc::CallbackServerContext* context, const char* method,
                                      Role least, Work work) {
  return serve_for(
      context, method, least,
      [work = std::move(work)](const Principal&, const Actor& actor) { return work(actor); });
}

grpc::ServerUnaryReactor* Desk::serve_for(grpc::CallbackServerContext* context, const char* method,
                                          Role least, WorkFor work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Credentials shown = credentials_of(*context);
  const Admission admission = door_.admit(shown, {method, least});
  if (const auto refusal = refusal_of(admission)) {
    reactor->Finish(*refusal);
    return reactor;
  }
  const bool is_taken =
      pool_.post([reactor, who = admission.who, actor = actor_of(admission, shown),
                  work = std::move(work)] { reactor->Finish(status_of(work(who, actor))); });
  if (!is_taken)
    reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many queries: try again later"});
  return reactor;
}

}  // namespace assay::collector
