// SPDX-License-Identifier: Apache-2.0
// One agent's stream: gRPC's reactions from Hello to the end. Private to collector/ingest.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "assay/v1/agent.pb.h"
#include "collector/core/principal.h"
#include "collector/ingest/agent_link.h"
#include "common/base/mutex.h"

namespace assay::collector {

class AgentStream;

/// What a stream needs from its service.
class AgentStreamHost {
 public:
  virtual ~AgentStreamHost() = default;
  virtual Intake& intake() = 0;
  virtual AgentLinkOptions options() const = 0;
  /// The whole log, shared by all streams that send it, and its sequence.
  struct CatalogMessage {
    std::string state;  ///< what an agent that holds it says in Hello
    std::shared_ptr<const v1::ToAgent> message;
  };
  virtual CatalogMessage catalog() = 0;
  /// The freshness mark; nothing while the catalog is empty.
  virtual std::shared_ptr<const v1::ToAgent> mark() = 0;
  /// The trusted authorities.
  struct TrustMessage {
    std::string digest;
    std::string issuer;
    std::shared_ptr<const v1::ToAgent> message;  ///< shared by many streams
  };
  virtual TrustMessage trust() = 0;
  /// Whether the stream may speak for its node; OK: it does from now on, until left(). Another
  /// agent that does so at the same time is the reason to refuse.
  virtual grpc::Status join(const std::shared_ptr<AgentStream>& stream) = 0;
  virtual void left(const NodeKey& node, const AgentStream* stream) = 0;
  virtual void denied(const Actor& who, const std::string& reason) = 0;
};

/// Owns itself until gRPC is done with it; the service and callbacks share it meanwhile.
class AgentStream final : public grpc::ServerBidiReactor<v1::FromAgent, v1::ToAgent>,
                          public std::enable_shared_from_this<AgentStream> {
 public:
  /// `address`: where the connection comes from; `shown`: its certificate.
  AgentStream(AgentStreamHost& host, Principal who, std::string address,
              std::optional<ShownCertificate> shown)
      : host_(host), who_(std::move(who)), address_(std::move(address)), shown_(shown) {}

  const NodeKey& node() const { return who_.node; }
  /// Of the agent's process; set before join().
  const std::string& instance() const { return instance_; }
  const std::string& address() const { return address_; }
  const std::optional<ShownCertificate>& shown() const { return shown_; }
  bool is_expired(std::int64_t now_ns) const { return shown_ && shown_->expires_ns <= now_ns; }
  /// When anything came from the agent last. Any thread.
  std::chrono::steady_clock::time_point heard() const { return heard_.load(); }

  /// Begins to read; `self` keeps the stream until OnDone.
  void begin(std::shared_ptr<AgentStream> self);
  void send_catalog(std::shared_ptr<const v1::ToAgent> message);
  /// After a catalog that still waits.
  void send_mark(std::shared_ptr<const v1::ToAgent> message);
  /// When the agent keeps its trust by itself, and keeps another or has another's certificate.
  void send_trust(const AgentStreamHost::TrustMessage& trust);
  /// Sends a command; the errors of NodeCommands::verify(). Any thread.
  Result<void> command(std::uint64_t command, const NodeCommands::Verify& verify,
                       NodeCommands::OnEvent on_event);
  void cancel_command(std::uint64_t command);
  /// Ends the stream once; later calls do nothing. Any thread.
  void finish(const grpc::Status& status);

  void OnReadDone(bool is_ok) override;
  void OnWriteDone(bool is_ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Message = std::shared_ptr<const v1::ToAgent>;  // a catalog is shared by many streams

  bool on_message();
  bool on_hello(const v1::Hello& hello);
  bool on_heartbeat(const v1::Heartbeat& heartbeat);
  bool on_batch(Batch batch, std::size_t bytes);
  void on_epoch(Result<BatchOutcome> outcome, const std::string& catalog_state);
  void on_committed(Result<BatchOutcome> outcome, std::size_t bytes);
  void send(Message message);
  void request_stacks(const std::vector<StackDigest>& digests);
  void request_state(const std::optional<StateWish>& wish);
  void request_file_sets(const std::vector<FileSetWish>& wishes);
  void on_verified(const v1::VerifyAnswer& answer);
  void end_commands();
  bool on_file_set(const v1::FileSetAnswer& answer, std::size_t bytes);
  void read_next();
  void pump() ASSAY_REQUIRES(mutex_);

  AgentStreamHost& host_;
  const Principal who_;
  const std::string address_;
  const std::optional<ShownCertificate> shown_;
  std::shared_ptr<AgentStream> self_;
  v1::FromAgent incoming_;      // between StartRead and OnReadDone
  bool has_hello_ = false;      // gRPC's reading thread only
  Epoch epoch_;                 // set with has_hello_
  std::string instance_;        // likewise
  std::uint64_t received_ = 0;  // highest sequence that came; gRPC's reading thread only
  std::atomic<std::chrono::steady_clock::time_point> heard_{
      std::chrono::steady_clock::time_point{}};

  Mutex mutex_;
  std::deque<Message> queue_ ASSAY_GUARDED_BY(mutex_);
  std::string trust_digest_ ASSAY_GUARDED_BY(mutex_);  // what the agent keeps, "" = it does not
  std::string trust_issuer_ ASSAY_GUARDED_BY(mutex_);
  Message trust_ ASSAY_GUARDED_BY(mutex_);
  Message catalog_ ASSAY_GUARDED_BY(mutex_);  // the newest one not yet sent
  Message mark_ ASSAY_GUARDED_BY(mutex_);     // likewise
  std::optional<std::uint64_t> acknowledged_ ASSAY_GUARDED_BY(mutex_);  // not yet sent
  std::uint64_t committed_ ASSAY_GUARDED_BY(mutex_) = 0;      // what was acknowledged last
  std::uint64_t state_request_ ASSAY_GUARDED_BY(mutex_) = 0;  // asked for on this stream
  bool can_verify_ ASSAY_GUARDED_BY(mutex_) = false;          // its agent says so
  std::map<std::uint64_t, NodeCommands::OnEvent> commands_ ASSAY_GUARDED_BY(mutex_);
  std::set<StackDigest> file_sets_asked_ ASSAY_GUARDED_BY(mutex_);  // and not answered yet
  Message outgoing_ ASSAY_GUARDED_BY(mutex_);                       // being written
  std::size_t in_flight_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  bool is_paused_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_welcomed_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_finished_ ASSAY_GUARDED_BY(mutex_) = false;
};

}  // namespace assay::collector
