// SPDX-License-Identifier: Apache-2.0
// One life of the agent's stream: gRPC's reactions, from Hello to the end. Private to agent/uplink.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/uplink/uplink.h"
#include "assay/v1/agent.grpc.pb.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Of this process, told on all its streams: with it a collector tells a broken connection's
/// remains from a second agent of the same name.
struct StreamIdentity {
  std::string instance;                      ///< 16 random bytes
  std::atomic<std::uint64_t> heartbeats{0};  ///< told so far
};

/// Owned by the uplink's thread, which waits for the end before it lets go. notify(), heartbeat()
/// and refuse_catalog() may be called from any thread while it lives.
class Stream final : public grpc::ClientBidiReactor<v1::FromAgent, v1::ToAgent> {
 public:
  Stream(const UplinkOptions& options, OutgoingEvents& events, const UplinkCallbacks& callbacks,
         StreamIdentity& identity);

  /// Begins the call on `stub`, which outlives the stream.
  void begin(v1::AgentLink::Stub& stub);
  void notify();
  void queue_heartbeat();
  void queue_refusal(std::uint64_t sequence, const std::string& reason);
  void cancel() { context_.TryCancel(); }

  /// Waits at most `timeout` for the end of the stream; the status when it ended.
  std::optional<grpc::Status> wait_for_end(std::chrono::milliseconds timeout);
  bool is_welcome() const;
  /// The collector committed something that was sent on this stream.
  bool has_progress() const;
  std::uint64_t acknowledged() const;
  std::chrono::seconds heartbeat_interval() const;

  void OnReadDone(bool is_ok) override;
  void OnWriteDone(bool is_ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void queue_control(v1::FromAgent message);
  void pump();
  bool next_message(v1::FromAgent& message) ASSAY_REQUIRES(mutex_);
  bool next_batch(v1::EventBatch& batch) ASSAY_REQUIRES(mutex_);
  bool next_answer(v1::VerifyAnswer& answer) ASSAY_REQUIRES(mutex_);
  bool next_file_set(v1::FileSetAnswer& answer) ASSAY_REQUIRES(mutex_);
  bool next_descriptions(v1::StackDescriptions& answer) ASSAY_REQUIRES(mutex_);
  /// Bytes of the description that was added.
  std::uint64_t describe(const StackDigest& digest, v1::EventBatch& batch) ASSAY_REQUIRES(mutex_);
  void on_welcome(const v1::Welcome& welcome);
  void on_acknowledged(std::uint64_t sequence);
  void on_stack_request(const v1::StackRequest& request);
  void on_file_set_request(const v1::FileSetRequest& request);
  void on_verify(const v1::VerifyCommand& command);
  void on_trust(const v1::TrustBundle& bundle);
  void on_catalog(const v1::CatalogLog& log);
  v1::FromAgent hello() const;
  v1::FromAgent make_heartbeat() const;
  void end_locally(const std::string& reason);

  const UplinkOptions& options_;
  OutgoingEvents& events_;
  const UplinkCallbacks& callbacks_;
  StreamIdentity& identity_;
  grpc::ClientContext context_;
  v1::ToAgent incoming_;    // between StartRead and OnReadDone
  v1::FromAgent outgoing_;  // between StartWrite and OnWriteDone

  mutable Mutex mutex_;
  std::condition_variable_any ended_;
  std::optional<grpc::Status> status_ ASSAY_GUARDED_BY(mutex_);
  std::string own_reason_ ASSAY_GUARDED_BY(mutex_);  // why we ended it, "" when we did not
  bool is_writing_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_broken_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_welcome_ ASSAY_GUARDED_BY(mutex_) = false;
  std::chrono::seconds heartbeat_interval_ ASSAY_GUARDED_BY(mutex_){10};
  std::deque<v1::FromAgent> control_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t sent_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t acknowledged_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t welcomed_at_ ASSAY_GUARDED_BY(mutex_) = 0;      // acknowledged in the welcome
  std::deque<StackDigest> requested_ ASSAY_GUARDED_BY(mutex_);  // stacks still to be described
  bool is_outgoing_large_ ASSAY_GUARDED_BY(mutex_) = false;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> in_flight_
      ASSAY_GUARDED_BY(mutex_);  // (last sequence of a batch, its bytes)
  std::uint64_t in_flight_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::set<StackDigest> described_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
