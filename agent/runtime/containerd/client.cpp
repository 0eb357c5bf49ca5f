// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "containerd/containers.grpc.pb.h"
#include "containerd/content.grpc.pb.h"
#include "containerd/images.grpc.pb.h"
#include "containerd/namespaces.grpc.pb.h"
#include "containerd/snapshots.grpc.pb.h"

namespace assay::agent {
namespace {

namespace containers_v1 = containerd::services::containers::v1;
namespace content_v1 = containerd::services::content::v1;
namespace images_v1 = containerd::services::images::v1;
namespace namespaces_v1 = containerd::services::namespaces::v1;
namespace snapshots_v1 = containerd::services::snapshots::v1;

constexpr int kMaxMessageBytes = 4 << 20;
constexpr std::size_t kMaxBlobBytes = 4U << 20;
constexpr int kMaxListed = 64;
constexpr int kMaxLabelsRead = 256;
// Source: containerd internal/cri/labels/labels.go (pkg/cri/server/helpers.go in 1.x).
constexpr const char* kSandboxMetadata = "io.cri-containerd.sandbox.metadata";
constexpr const char* kNamespaceHeader = "containerd-namespace";

ErrorCode code_of(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return ErrorCode::kLimitExceeded;
    case grpc::StatusCode::CANCELLED:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kUnavailable;
  }
}

Error error_of(const grpc::Status& status) {
  return {code_of(status), "containerd: " + escape_untrusted(status.error_message(), 200)};
}

/// The context of one call, cancelled when the stop is asked for.
class Call {
 public:
  Call(const std::string& name_space, const CallLimit& limit)
      : cancel_(limit.stop, [this] { context_.TryCancel(); }) {
    const auto left = std::clamp<std::chrono::steady_clock::duration>(
        limit.deadline - std::chrono::steady_clock::now(), std::chrono::seconds(0),
        limit.longest_call);
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(left));
    if (!name_space.empty()) context_.AddMetadata(kNamespaceHeader, name_space);
  }
  grpc::ClientContext* context() { return &context_; }

 private:
  grpc::ClientContext context_;
  std::stop_callback<std::function<void()>> cancel_;
};

std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // A socket that comes up after the agent is tried again soon.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

/// `text` as a quoted value in a filter of containerd's, which reads it as Go quotes.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// One question, one answer.
template <typename Stub, typename Request, typename Response>
Result<Response> ask(const std::unique_ptr<Stub>& stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const std::string& name_space, const Request& request,
                     const CallLimit& limit) {
  Call call(name_space, limit);
  Response response;
  const grpc::Status status = (stub.get()->*method)(call.context(), request, &response);
  if (!status.ok()) return error_of(status);
  return response;
}

}  // namespace

struct ContainerdClient::State {
  explicit State(const std::string& socket) : channel(connect(socket)) {}
  std::shared_ptr<grpc::Channel> channel;  // shared with the stubs
  std::unique_ptr<containers_v1::Containers::Stub> containers =
      containers_v1::Containers::NewStub(channel);
  std::unique_ptr<content_v1::Content::Stub> content = content_v1::Content::NewStub(channel);
  std::unique_ptr<images_v1::Images::Stub> images = images_v1::Images::NewStub(channel);
  std::unique_ptr<namespaces_v1::Namespaces::Stub> namespaces =
      namespaces_v1::Namespaces::NewStub(channel);
  std::unique_ptr<snapshots_v1::Snapshots::Stub> snapshots =
      snapshots_v1::Snapshots::NewStub(channel);
};

ContainerdClient::ContainerdClient(const std::string& socket)
    : state_(std::make_unique<State>(socket)) {}
ContainerdClient::ContainerdClient(ContainerdClient&&) noexcept = default;
ContainerdClient& ContainerdClient::operator=(ContainerdClient&&) noexcept = default;
ContainerdClient::~ContainerdClient() = default;

Result<std::vector<std::string>> ContainerdClient::namespaces(const CallLimit& limit) {
  ASSAY_ASSIGN(const auto response, ask(state_->namespaces, &namespaces_v1::Namespaces::Stub::List,
                                        "", namespaces_v1::ListNamespacesRequest(), limit));
  std::vector<std::string> names;
  for (int i = 0; i < std::min(response.namespaces_size(), kMaxListed); ++i)
    names.push_back(response.namespaces(i).name());
  return names;
}

Result<ContainerdContainer> ContainerdClient::container(const std::string& name_space,
                                                        const std::string& id,
                                                        const CallLimit& limit) {
  containers_v1::GetContainerRequest request;
  request.set_id(id);
  ASSAY_ASSIGN(const auto response, ask(state_->containers, &containers_v1::Containers::Stub::Get,
                                        name_space, request, limit));
  const containers_v1::Container& found = response.container();
  if (found.id() != id) return Error{ErrorCode::kCorrupt, "containerd answers about another id"};
  ContainerdContainer container{
      found.image(), found.spec().value(), found.snapshotter(), found.snapshot_key(), {}, ""};
  for (int i = 0; i < std::min(found.labels_size(), kMaxLabelsRead); ++i)
    container.labels.emplace_back(found.labels(i).key(), found.labels(i).value());
  for (const auto& extension : found.extensions())
    if (extension.key() == kSandboxMetadata) container.sandbox_metadata = extension.value().value();
  return container;
}

Result<std::string> ContainerdClient::snapshot_parent(const std::string& name_space,
                                                      const std::string& snapshotter,
                                                      const std::string& key,
                                                      const CallLimit& limit) {
  snapshots_v1::StatSnapshotRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  ASSAY_ASSIGN(const auto response, ask(state_->snapshots, &snapshots_v1::Snapshots::Stub::Stat,
                                        name_space, request, limit));
  if (response.info().name() != key)
    return Error{ErrorCode::kCorrupt, "containerd answers about another snapshot"};
  return response.info().parent();
}

Result<std::vector<ContainerdMount>> ContainerdClient::mounts(const std::string& name_space,
                                                              const std::string& snapshotter,
                                                              const std::string& key,
                                                              const CallLimit& limit) {
  snapshots_v1::MountsRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  ASSAY_ASSIGN(const auto response, ask(state_->snapshots, &snapshots_v1::Snapshots::Stub::Mounts,
                                        name_space, request, limit));
  std::vector<ContainerdMount> mounts;
  for (const snapshots_v1::Mount& mount : response.mounts())
    mounts.push_back(
        {mount.type(), mount.source(), {mount.options().begin(), mount.options().end()}});
  return mounts;
}

Result<std::string> ContainerdClient::image(const std::string& name_space, const std::string& name,
                                            const CallLimit& limit) {
  images_v1::GetImageRequest request;
  request.set_name(name);
  ASSAY_ASSIGN(const auto response,
               ask(state_->images, &images_v1::Images::Stub::Get, name_space, request, limit));
  return response.image().target().digest();
}

Result<std::vector<std::string>> ContainerdClient::content_with_label(const std::string& name_space,
                                                                      const std::string& label,
                                                                      const std::string& value,
                                                                      const CallLimit& limit) {
  Call call(name_space, limit);
  content_v1::ListContentRequest request;
  request.add_filters("labels." + quoted(label) + "==" + quoted(value));
  const auto reader = state_->content->List(call.context(), request);
  std::vector<std::string> digests;
  content_v1::ListContentResponse response;
  while (static_cast<int>(digests.size()) < kMaxListed && reader->Read(&response))
    for (const content_v1::Info& info : response.info())
      if (static_cast<int>(digests.size()) < kMaxListed) digests.push_back(info.digest());
  const bool is_cut = static_cast<int>(digests.size()) >= kMaxListed;
  if (is_cut) call.context()->TryCancel();
  const auto status = reader->Finish();
  if (!status.ok() && !is_cut) return error_of(status);
  return digests;
}

Result<std::string> ContainerdClient::blob(const std::string& name_space, const Sha256& digest,
                                           const CallLimit& limit) {
  Call call(name_space, limit);
  content_v1::ReadContentRequest request;
  request.set_digest(digest.text());
  const auto reader = state_->content->Read(call.context(), request);
  std::string bytes;
  content_v1::ReadContentResponse response;
  while (bytes.size() <= kMaxBlobBytes && reader->Read(&response))
    bytes += response.data();
  const bool is_cut = bytes.size() > kMaxBlobBytes;
  if (is_cut) call.context()->TryCancel();
  const auto status = reader->Finish();
  if (is_cut) return Error{ErrorCode::kLimitExceeded, "containerd: a blob above 4 MiB"};
  if (!status.ok()) return error_of(status);
  if (sha256(bytes) != digest)
    return Error{ErrorCode::kCorrupt, "containerd: blob " + digest.text() + " has other bytes"};
  return bytes;
}

}  // namespace assay::agent
