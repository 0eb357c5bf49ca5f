// SPDX-License-Identifier: Apache-2.0
// A containerd that says what a test wants: truths, lies, too much, or nothing for ever.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/sha256.h"
#include "containerd/containers.grpc.pb.h"
#include "containerd/content.grpc.pb.h"
#include "containerd/images.grpc.pb.h"
#include "containerd/namespaces.grpc.pb.h"
#include "containerd/snapshots.grpc.pb.h"

namespace assay::agent::tests {

class FakeContainerd {
 public:
  // What it knows; change it before it is asked.
  std::vector<std::string> spaces = {"default"};
  std::map<std::string, containerd::services::containers::v1::Container>
      containers;                              // NAMESPACE/ID
  std::map<std::string, std::string> parents;  ///< by snapshot key
  std::map<std::string, containerd::services::snapshots::v1::Mount> mounts;
  std::map<std::string, std::string> images;              ///< name → digest
  std::map<std::string, std::string> blobs;               ///< by digest
  std::map<std::string, std::set<std::string>> labelled;  ///< by filter
  // How it behaves.
  std::string hangs_in;     ///< name of a call that never answers
  bool is_endless = false;  ///< streams never end
  std::atomic<int> calls{0};

  explicit FakeContainerd(const std::string& socket) : services_(*this) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(&services_.containers);
    builder.RegisterService(&services_.snapshots);
    builder.RegisterService(&services_.images);
    builder.RegisterService(&services_.content);
    builder.RegisterService(&services_.namespaces);
    server_ = builder.BuildAndStart();
  }
  ~FakeContainerd() { server_->Shutdown(std::chrono::system_clock::now()); }

  /// Keeps `bytes` as content; its digest.
  std::string add_blob(const std::string& bytes) {
    const std::string digest = sha256(bytes).text();
    blobs[digest] = bytes;
    return digest;
  }
  void label(const std::string& name, const std::string& value, const std::string& digest) {
    labelled["labels.\"" + name + "\"==\"" + value + "\""].insert(digest);
  }

 private:
  template <typename Map>
  static grpc::Status found(const Map& map, const std::string& key) {
    return map.contains(key) ? grpc::Status::OK
                             : grpc::Status(grpc::StatusCode::NOT_FOUND, key + ": not found");
  }
  static std::string space_of(grpc::ServerContext* context) {
    const auto header = context->client_metadata().find("containerd-namespace");
    if (header == context->client_metadata().end()) return "";
    return {header->second.data(), header->second.size()};
  }
  void enter(const std::string& name, grpc::ServerContext* context) {
    ++calls;
    while (hangs_in == name && !context->IsCancelled())
      std::this_thread::yield();
  }

  struct Containers final : containerd::services::containers::v1::Containers::Service {
    explicit Containers(FakeContainerd& to) : fake(to) {}
    grpc::Status Get(
        grpc::ServerContext* context,
        const containerd::services::containers::v1::GetContainerRequest* request,
        containerd::services::containers::v1::GetContainerResponse* response) override {
      fake.enter("container", context);
      const std::string key = space_of(context) + "/" + request->id();
      if (fake.containers.contains(key)) *response->mutable_container() = fake.containers.at(key);
      return found(fake.containers, key);
    }
    FakeContainerd& fake;
  };
  struct Snapshots final : containerd::services::snapshots::v1::Snapshots::Service {
    explicit Snapshots(FakeContainerd& to) : fake(to) {}
    grpc::Status Stat(
        grpc::ServerContext* context,
        const containerd::services::snapshots::v1::StatSnapshotRequest* request,
        containerd::services::snapshots::v1::StatSnapshotResponse* response) override {
      fake.enter("stat", context);
      response->mutable_info()->set_name(request->key());
      if (fake.parents.contains(request->key()))
        response->mutable_info()->set_parent(fake.parents.at(request->key()));
      return found(fake.parents, request->key());
    }
    grpc::Status Mounts(grpc::ServerContext* context,
                        const containerd::services::snapshots::v1::MountsRequest* request,
                        containerd::services::snapshots::v1::MountsResponse* response) override {
      fake.enter("mounts", context);
      if (fake.mounts.contains(request->key()))
        *response->add_mounts() = fake.mounts.at(request->key());
      return found(fake.mounts, request->key());
    }
    FakeContainerd& fake;
  };
  struct Images final : containerd::services::images::v1::Images::Service {
    explicit Images(FakeContainerd& to) : fake(to) {}
    grpc::Status Get(grpc::ServerContext* context,
                     const containerd::services::images::v1::GetImageRequest* request,
                     containerd::services::images::v1::GetImageResponse* response) override {
      fake.enter("image", context);
      if (fake.images.contains(request->name()))
        response->mutable_image()->mutable_target()->set_digest(fake.images.at(request->name()));
      return found(fake.images, request->name());
    }
    FakeContainerd& fake;
  };
  struct Content final : containerd::services::content::v1::Content::Service {
    explicit Content(FakeContainerd& to) : fake(to) {}
    grpc::Status List(grpc::ServerContext* context,
                      const containerd::services::content::v1::ListContentRequest* request,
                      grpc::ServerWriter<containerd::services::content::v1::ListContentResponse>*
                          writer) override {
      fake.enter("list", context);
      do {
        containerd::services::content::v1::ListContentResponse response;
        for (const std::string& digest : fake.labelled[request->filters(0)])
          response.add_info()->set_digest(digest);
        if (!writer->Write(response)) break;
      } while (fake.is_endless);
      return grpc::Status::OK;
    }
    grpc::Status Read(grpc::ServerContext* context,
                      const containerd::services::content::v1::ReadContentRequest* request,
                      grpc::ServerWriter<containerd::services::content::v1::ReadContentResponse>*
                          writer) override {
      fake.enter("read", context);
      if (!fake.blobs.contains(request->digest())) return found(fake.blobs, request->digest());
      do {
        containerd::services::content::v1::ReadContentResponse response;
        response.set_data(fake.blobs.at(request->digest()));
        if (!writer->Write(response)) break;
      } while (fake.is_endless);
      return grpc::Status::OK;
    }
    FakeContainerd& fake;
  };
  struct Namespaces final : containerd::services::namespaces::v1::Namespaces::Service {
    explicit Namespaces(FakeContainerd& to) : fake(to) {}
    grpc::Status List(
        grpc::ServerContext* context,
        const containerd::services::namespaces::v1::ListNamespacesRequest*,
        containerd::services::namespaces::v1::ListNamespacesResponse* response) override {
      fake.enter("namespaces", context);
      for (const std::string& space : fake.spaces)
        response->add_namespaces()->set_name(space);
      return grpc::Status::OK;
    }
    FakeContainerd& fake;
  };
  struct Services {
    explicit Services(FakeContainerd& fake)
        : containers(fake), snapshots(fake), images(fake), content(fake), namespaces(fake) {}
    Containers containers;
    Snapshots snapshots;
    Images images;
    Content content;
    Namespaces namespaces;
  };

  Services services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace assay::agent::tests
