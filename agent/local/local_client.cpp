// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include "agent/local/local_server.h"
#include "assay/v1/verify.grpc.pb.h"
#include "common/base/encoding.h"
#include "common/verification/verify_codec.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kGrace{10};  // the agent keeps to the time by itself

Error error_of(const grpc::Status& status, const std::string& path, bool has_heard) {
  const std::string said = escape_untrusted(status.error_message(), 500);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return {ErrorCode::kUnavailable, "the agent at " + path + " did not answer in time"};
  const bool is_closed = !has_heard && status.error_code() == grpc::StatusCode::UNAVAILABLE;
  if (is_closed && ::geteuid() != 0)
    return {ErrorCode::kPermissionDenied,
            "the agent at " + path +
                " closed the connection: it takes commands of root and of its "
                "own user only, run this as root"};
  if (is_closed)
    return {ErrorCode::kUnavailable, "the agent at " + path + " closed the connection: it stops"};
  return {ErrorCode::kUnavailable, "the agent at " + path + " went away before it had answered" +
                                       (said.empty() ? "" : ": " + said)};
}

}  // namespace

Result<void> verify_locally(const std::string& path, const VerifyOrder& order,
                            const std::function<void(const catalog::VerifyEvent&)>& on_event) {
  ASSAY_ASSIGN(UniqueFd fd, connect_locally(path));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(verification::kMaxEventBytes);
  const auto channel =
      grpc::CreateCustomInsecureChannelFromFd("assay-agent", fd.release(), arguments);
  const auto stub = v1::LocalAgent::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + order.timeout + kGrace);
  v1::VerifyLocalRequest request;
  request.set_target(order.target);
  request.set_timeout_ms(static_cast<std::uint32_t>(order.timeout.count()));
  const auto reader = stub->Verify(&context, request);
  v1::VerifyEvent message;
  bool is_done = false;
  bool has_heard = false;
  while (reader->Read(&message)) {
    has_heard = true;
    const auto event = verification::decode(message.SerializeAsString());
    if (!event) continue;  // of a newer agent
    is_done = is_done || std::holds_alternative<catalog::VerifyDone>(*event);
    on_event(*event);
  }
  const grpc::Status status = reader->Finish();
  if (is_done) return ok();
  return error_of(status, path, has_heard);
}

}  // namespace assay::agent
