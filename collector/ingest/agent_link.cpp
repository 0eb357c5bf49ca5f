// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/agent_link.h"

#include <map>

#include "assay/v1/agent.grpc.pb.h"
#include "collector/core/identity_guard.h"
#include "collector/ingest/agent_stream.h"
#include "collector/ingest/peer.h"
#include "collector/ingest/refusal.h"
#include "collector/ingest/trust_wire.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

using Reactor = grpc::ServerBidiReactor<v1::FromAgent, v1::ToAgent>;

/// A call that is refused before anything is read.
class Refusal final : public Reactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

class Link final : public AgentLink,
                   public NodeCommands,
                   public v1::AgentLink::CallbackService,
                   private AgentStreamHost {
 public:
  Link(Intake& intake, const CatalogKeeper& keeper, Ledger& ledger, const Enrolling& enrolling,
       const Clock& clock, AgentLinkOptions options)
      : intake_(intake),
        keeper_(keeper),
        ledger_(ledger),
        enrolling_(enrolling),
        clock_(clock),
        options_(std::move(options)),
        guard_(options_.heartbeat_interval) {}

  grpc::Service& service() override { return *this; }

  Reactor* Connect(grpc::CallbackServerContext* context) override {
    auto who = principal_of(*context);
    const std::string peer = peer_of(*context);
    const auto shown = shown_certificate(*context, enrolling_.certifier);
    std::string reason;
    if (!who)
      reason = who.error().message;
    else if (who->role != Role::kNode)
      reason = who->text() + " may not open AgentLink: it is for node certificates";
    else if (auto admitted = enrolling_.admission.admit(who->node, shown); !admitted)
      reason = admitted.error().message;
    if (!reason.empty()) {
      denied({who ? who->text() : "", peer}, reason);
      return new Refusal(
          {who ? grpc::StatusCode::PERMISSION_DENIED : grpc::StatusCode::UNAUTHENTICATED, reason});
    }
    const auto stream = std::make_shared<AgentStream>(static_cast<AgentStreamHost&>(*this),
                                                      std::move(*who), peer, shown);
    stream->begin(stream);
    return stream.get();
  }

  NodeCommands& commands() override { return *this; }

  Result<std::uint64_t> verify(const NodeKey& node, const Verify& command,
                               OnEvent on_event) override {
    const auto stream = find(node);
    if (!stream) return Error{ErrorCode::kUnavailable, "node " + node.text() + " is not connected"};
    const std::uint64_t number = ++last_command_;
    auto sent = stream->command(number, command, std::move(on_event));
    if (!sent) return std::move(sent.error()).with_context("node " + node.text());
    return number;
  }

  void cancel(const NodeKey& node, std::uint64_t command) override {
    if (const auto stream = find(node)) stream->cancel_command(command);
  }

  bool disconnect(const NodeKey& node, const std::string& reason) override {
    const auto stream = find(node);
    if (stream) stream->finish({grpc::StatusCode::PERMISSION_DENIED, reason});
    return stream != nullptr;
  }

  void push_trust() override {
    const TrustMessage newest = trust();
    for (const auto& stream : streams())
      stream->send_trust(newest);
  }

  void end_expired() override {
    const std::int64_t now_ns = to_unix_ns(clock_.wall_now());
    for (const auto& stream : streams())
      if (stream->is_expired(now_ns))
        stream->finish({grpc::StatusCode::UNAUTHENTICATED,
                        "the time of this node's certificate is over: connect with a new one"});
      else if (const auto admitted = enrolling_.admission.admit(stream->node(), stream->shown());
               !admitted)
        stream->finish({grpc::StatusCode::PERMISSION_DENIED, admitted.error().message});
  }

  void push_catalog() override {
    const auto newest = catalog();
    for (const auto& stream : streams())
      stream->send_catalog(newest.message);
    push_mark();
  }

  void push_mark() override {
    const auto newest = mark();
    if (!newest) return;
    for (const auto& stream : streams())
      stream->send_mark(newest);
  }

  void set_limits(std::chrono::seconds heartbeat_interval,
                  std::size_t max_in_flight_bytes) override {
    const MutexLock lock(options_mutex_);
    options_.heartbeat_interval = heartbeat_interval;
    options_.max_in_flight_bytes = max_in_flight_bytes;
  }

  std::size_t connected() const override {
    const MutexLock lock(mutex_);
    return streams_.size();
  }

 private:
  Intake& intake() override { return intake_; }
  AgentLinkOptions options() const override {
    const MutexLock lock(options_mutex_);
    return options_;
  }

  CatalogMessage catalog() override {
    const auto log = keeper_.log();
    const MutexLock lock(catalog_mutex_);
    if (log != catalog_log_) {
      auto message = std::make_shared<v1::ToAgent>();
      for (const auto& statement : log->statements)
        message->mutable_catalog()->add_statements(statement);
      message->mutable_catalog()->set_head(log->head);
      for (const auto& root : log->roots)
        message->mutable_catalog()->add_roots(root);
      catalog_log_ = log;
      catalog_message_ = std::move(message);
      catalog_state_ = catalog::held_state(*log);
    }
    return {catalog_state_, catalog_message_};
  }

  TrustMessage trust() override { return trust_message(enrolling_.certifier.trusted()); }

  std::shared_ptr<const v1::ToAgent> mark() override {
    std::string mark = keeper_.mark();
    if (mark.empty()) return nullptr;
    auto message = std::make_shared<v1::ToAgent>();
    message->mutable_mark()->set_envelope(std::move(mark));
    return message;
  }

  grpc::Status join(const std::shared_ptr<AgentStream>& stream) override {
    std::shared_ptr<AgentStream> present;
    IdentityGuard::Decision decision{};
    {
      const MutexLock lock(mutex_);
      // Under the lock: who is revoked after this is found among the streams.
      if (const auto admitted = enrolling_.admission.admit(stream->node(), stream->shown());
          !admitted)
        return {grpc::StatusCode::PERMISSION_DENIED, admitted.error().message};
      std::optional<IdentityGuard::Speaker> speaker;
      if (const auto found = streams_.find(stream->node()); found != streams_.end()) {
        present = found->second;
        // Who would not be let in any more, as another key was enrolled since, shuts nobody out.
        if (enrolling_.admission.admit(present->node(), present->shown()))
          speaker = {present->instance(), present->heard()};
      }
      decision = guard_.decide(stream->node(), speaker, stream->instance(), stream->heard());
      if (decision == IdentityGuard::Decision::kAccept) streams_[stream->node()] = stream;
    }
    if (decision != IdentityGuard::Decision::kAccept)
      return refuse(*stream, *present, decision == IdentityGuard::Decision::kConflict);
    // Usually the remains of a broken connection.
    if (present)
      present->finish({grpc::StatusCode::ABORTED, "a newer stream of this node took over"});
    return grpc::Status::OK;
  }

  grpc::Status refuse(const AgentStream& newcomer, const AgentStream& present, bool is_conflict) {
    if (is_conflict) {
      const std::string reason =
          "two agents give themselves for this node at the same time, from " + present.address() +
          " and from " + newcomer.address() +
          ": one of them has a copy of the other's certificate or state "
          "folder; the second one is refused";
      denied({Principal{Role::kNode, newcomer.node(), ""}.text(), newcomer.address()}, reason);
      (void)intake_.identity_conflict(newcomer.node(), reason);
    }
    return status_with_retry(grpc::StatusCode::ALREADY_EXISTS,
                             "another agent, at " + present.address() + ", speaks for node " +
                                 newcomer.node().text() +
                                 ": stop one of them, or issue a certificate of its own",
                             options().heartbeat_interval);
  }

  void left(const NodeKey& node, const AgentStream* stream) override {
    std::shared_ptr<AgentStream> last;  // released after the lock
    const MutexLock lock(mutex_);
    const auto found = streams_.find(node);
    if (found == streams_.end() || found->second.get() != stream) return;
    last = std::move(found->second);
    streams_.erase(found);
  }

  void denied(const Actor& who, const std::string& reason) override {
    ledger_.audit({to_unix_ns(clock_.wall_now()), who.name, "agent.connect", "AgentLink", "refused",
                   reason, who.peer});
  }

  std::shared_ptr<AgentStream> find(const NodeKey& node) const {
    const MutexLock lock(mutex_);
    const auto found = streams_.find(node);
    return found == streams_.end() ? nullptr : found->second;
  }

  std::vector<std::shared_ptr<AgentStream>> streams() const {
    const MutexLock lock(mutex_);
    std::vector<std::shared_ptr<AgentStream>> all;
    all.reserve(streams_.size());
    for (const auto& [node, stream] : streams_)
      all.push_back(stream);
    return all;
  }

  Intake& intake_;
  const CatalogKeeper& keeper_;
  Ledger& ledger_;
  const Enrolling enrolling_;
  const Clock& clock_;
  mutable Mutex options_mutex_;  // the last one: no other is taken while it is held
  AgentLinkOptions options_ ASSAY_GUARDED_BY(options_mutex_);
  Mutex catalog_mutex_;
  std::shared_ptr<const catalog::SignedLog> catalog_log_ ASSAY_GUARDED_BY(catalog_mutex_);
  std::shared_ptr<const v1::ToAgent> catalog_message_ ASSAY_GUARDED_BY(catalog_mutex_);
  std::string catalog_state_ ASSAY_GUARDED_BY(catalog_mutex_);
  std::atomic<std::uint64_t> last_command_{0};
  mutable Mutex mutex_;
  IdentityGuard guard_ ASSAY_GUARDED_BY(mutex_);
  std::map<NodeKey, std::shared_ptr<AgentStream>> streams_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<AgentLink> AgentLink::create(Intake& intake, const CatalogKeeper& keeper,
                                             Ledger& ledger, const Enrolling& enrolling,
                                             const Clock& clock, AgentLinkOptions options) {
  return std::make_unique<Link>(intake, keeper, ledger, enrolling, clock, std::move(options));
}

}  // namespace assay::collector
