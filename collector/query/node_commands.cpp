// SPDX-License-Identifier: Apache-2.0
// gRPC never runs a reaction inside StartWrite or Finish, so those are called under the mutex.
#include "collector/query/node_commands.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "assay/v1/verify.grpc.pb.h"
#include "collector/query/caller.h"
#include "common/base/encoding.h"
#include "common/base/mutex.h"
#include "common/verification/verify_codec.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxQueuedBytes = 8U << 20;  // of one call whose client does not read
constexpr std::chrono::seconds kAgentGrace{15};    // an agent keeps to the time by itself
constexpr std::size_t kMaxNodeBytes = 600;

using Reactor = grpc::ServerWriteReactor<v1::VerifyEvent>;

/// A call that is refused before anything happens.
class Refusal final : public Reactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

constexpr const char* kAction = "node.verify";

struct Desk {
  Doorkeeper& door;
  NodeCommands& commands;
  const NodeDirectory& nodes;
  Ledger& ledger;
  const Clock& clock;

  void log(const Actor& actor, const std::string& subject, const std::string& outcome,
           const std::string& detail) {
    ledger.audit(
        {to_unix_ns(clock.wall_now()), actor.name, kAction, subject, outcome, detail, actor.peer});
  }
};

/// One call: sends what comes of a command. Owns itself until gRPC is done with it; the agent's
/// stream shares it meanwhile.
class VerifyCall final : public Reactor, public std::enable_shared_from_this<VerifyCall> {
 public:
  VerifyCall(Desk& desk, Actor actor, std::string subject)
      : desk_(desk), actor_(std::move(actor)), subject_(std::move(subject)) {}

  void begin(std::shared_ptr<VerifyCall> self, const std::string& node,
             const NodeCommands::Verify& command) {
    self_ = std::move(self);
    const auto known = find_connected_node(node, desk_.nodes.nodes());
    if (!known) return on_event(catalog::failed(known.error()));
    desk_.log(actor_, subject_, "begun", "");
    alarm_.Set(std::chrono::system_clock::now() + command.timeout + kAgentGrace,
               [weak = weak_from_this()](bool is_due) {
                 if (const auto call = weak.lock(); call && is_due) call->on_late();
               });
    const auto number = desk_.commands.verify(
        *known, command,
        [call = shared_from_this()](const catalog::VerifyEvent& event) { call->on_event(event); });
    if (!number) return on_event(catalog::failed(number.error()));
    bool is_over = false;
    {
      const MutexLock lock(mutex_);
      command_ = {*known, *number};
      is_over = is_finished_;
    }
    if (is_over) cancel();
  }

  /// Ends the call when the token that it came with is revoked or expires. After begin().
  void hold_to(const TokenGrant& token) {
    expiry_.Set(std::chrono::system_clock::time_point(
                    std::chrono::duration_cast<std::chrono::system_clock::duration>(
                        std::chrono::nanoseconds(token.expires_ns))),
                [weak = weak_from_this()](bool is_due) {
                  if (const auto call = weak.lock(); call && is_due) call->lose("has expired");
                });
    auto watch = desk_.door.tokens().watch(token.id, [weak = weak_from_this()] {
      if (const auto call = weak.lock()) call->lose("was revoked");
    });
    const MutexLock lock(mutex_);
    watch_ = std::move(watch);
  }

  void OnWriteDone(bool is_ok) override {
    const MutexLock lock(mutex_);
    is_writing_ = false;
    queued_bytes_ -= queue_.front().ByteSizeLong();
    queue_.pop_front();
    if (is_ok) pump();
  }
  void OnCancel() override {
    close({grpc::StatusCode::CANCELLED, "cancelled"}, "cancelled", "the caller went away");
    cancel();
  }
  void OnDone() override {
    alarm_.Cancel();
    expiry_.Cancel();
    const auto last = std::move(self_);  // may destroy this when it goes
  }

 private:
  void on_event(const catalog::VerifyEvent& event) {
    v1::VerifyEvent message;
    if (!message.ParseFromString(verification::encode(event))) return;
    const auto* done = std::get_if<catalog::VerifyDone>(&event);
    bool is_too_much = false;
    {
      const MutexLock lock(mutex_);
      if (is_finished_ || is_last_queued_) return;
      if (const auto* layer = std::get_if<catalog::VerifiedLayer>(&event)) count(*layer);
      queued_bytes_ += message.ByteSizeLong();
      is_too_much = queued_bytes_ > kMaxQueuedBytes;
      queue_.push_back(std::move(message));
      is_last_queued_ = done != nullptr;
      if (is_last_queued_)
        desk_.log(actor_, subject_, done->error ? "failed" : "done", detail(done->message));
      if (!is_too_much) pump();
    }
    if (!is_too_much) return;
    close({grpc::StatusCode::RESOURCE_EXHAUSTED, "the caller does not read its answers"}, "failed",
          "the caller did not read");
    cancel();
  }

  void lose(const std::string& how) {
    const std::string why = "the token of this call " + how;
    close({grpc::StatusCode::UNAUTHENTICATED, why}, "cancelled", why);
    cancel();
  }

  void on_late() {
    on_event(catalog::VerifyDone{ErrorCode::kUnavailable, "the agent did not answer in time"});
    cancel();
  }

  void count(const catalog::VerifiedLayer& layer) ASSAY_REQUIRES(mutex_) {
    ++layers_;
    if (layer.outcome == catalog::LayerOutcome::kChanged) ++changed_;
    if (layer.outcome == catalog::LayerOutcome::kNotChecked ||
        layer.outcome == catalog::LayerOutcome::kNoRecord)
      ++unknown_;
  }

  std::string detail(const std::string& message) ASSAY_REQUIRES(mutex_) {
    std::string text = std::to_string(layers_) + " layers, " + std::to_string(changed_) +
                       " changed, " + std::to_string(unknown_) + " not looked at or without record";
    if (!message.empty()) text += "; " + escape_untrusted(message, 300);
    return text;
  }

  void pump() ASSAY_REQUIRES(mutex_) {
    if (is_finished_ || is_writing_) return;
    if (!queue_.empty()) {
      is_writing_ = true;
      return StartWrite(&queue_.front());
    }
    if (!is_last_queued_) return;
    is_finished_ = true;
    Finish(grpc::Status::OK);
  }

  void close(const grpc::Status& status, const std::string& outcome, const std::string& why) {
    const MutexLock lock(mutex_);
    if (is_finished_) return;
    is_finished_ = true;
    if (!is_last_queued_) desk_.log(actor_, subject_, outcome, detail(why));
    Finish(status);
  }

  void cancel() {
    std::optional<std::pair<NodeKey, std::uint64_t>> command;
    {
      const MutexLock lock(mutex_);
      command = std::exchange(command_, std::nullopt);
    }
    if (command) desk_.commands.cancel(command->first, command->second);
  }

  Desk& desk_;
  const Actor actor_;
  const std::string subject_;
  std::shared_ptr<VerifyCall> self_;
  grpc::Alarm alarm_;
  grpc::Alarm expiry_;

  Mutex mutex_;
  TokenBook::Watch watch_ ASSAY_GUARDED_BY(mutex_);
  std::optional<std::pair<NodeKey, std::uint64_t>> command_ ASSAY_GUARDED_BY(mutex_);
  std::deque<v1::VerifyEvent> queue_ ASSAY_GUARDED_BY(mutex_);  // the first is being written
  std::size_t queued_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::size_t layers_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::size_t changed_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::size_t unknown_ ASSAY_GUARDED_BY(mutex_) = 0;
  bool is_writing_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_last_queued_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_finished_ ASSAY_GUARDED_BY(mutex_) = false;
};

std::string subject_of(const v1::VerifyNodeRequest& request) {
  return escape_untrusted(request.node(), 200) + " " +
         (request.target().empty() ? "all layers" : escape_untrusted(request.target(), 200));
}

class Service final : public NodeCommandService, public v1::NodeCommands::CallbackService {
 public:
  Service(Doorkeeper& door, NodeCommands& commands, const NodeDirectory& nodes, Ledger& ledger,
          const Clock& clock)
      : desk_{door, commands, nodes, ledger, clock} {}

  grpc::Service& service() override { return *this; }

  Reactor* Verify(grpc::CallbackServerContext* context,
                  const v1::VerifyNodeRequest* request) override {
    const Credentials shown = credentials_of(*context);
    const Admission admission = desk_.door.admit(
        shown, {"NodeCommands.Verify", Role::kAdmin, kAction, subject_of(*request)});
    if (const auto refusal = refusal_of(admission)) return new Refusal(*refusal);
    if (request->target().size() > catalog::kMaxVerifyTargetBytes ||
        request->node().size() > kMaxNodeBytes)
      return new Refusal({grpc::StatusCode::INVALID_ARGUMENT, "node or target is too long"});
    const auto asked = request->timeout_ms() == 0
                           ? catalog::kDefaultVerifyTimeout
                           : std::chrono::milliseconds(request->timeout_ms());
    const NodeCommands::Verify command{
        request->target(),
        std::clamp(asked, catalog::kLeastVerifyTimeout, catalog::kMostVerifyTimeout),
        admission.who.text()};
    const auto call =
        std::make_shared<VerifyCall>(desk_, actor_of(admission, shown), subject_of(*request));
    call->begin(call, request->node(), command);
    if (admission.who.token) call->hold_to(*admission.who.token);
    return call.get();
  }

 private:
  Desk desk_;
};

}  // namespace

Result<NodeKey> find_connected_node(const std::string& name, const std::vector<NodeView>& nodes) {
  std::vector<const NodeView*> found;
  for (const NodeView& node : nodes)
    if (node.key.text() == name || node.key.node == name) found.push_back(&node);
  const std::string shown = escape_untrusted(name, 200);
  if (found.empty())
    return Error{ErrorCode::kNotFound,
                 "no node \"" + shown + "\" has ever connected (assay nodes lists them)"};
  if (found.size() > 1)
    return Error{ErrorCode::kInvalidArgument,
                 "there is a node \"" + shown + "\" in several clusters: say " +
                     found.front()->key.text() + " or " + found.back()->key.text()};
  const NodeView& node = *found.front();
  if (node.is_connected) return node.key;
  return Error{ErrorCode::kUnavailable, "node " + node.key.text() +
                                            " is not connected, it was heard of last at " +
                                            to_rfc3339(from_unix_ns(node.last_seen_ns), 0) +
                                            ": its layers were not looked at"};
}

std::unique_ptr<NodeCommandService> NodeCommandService::create(Doorkeeper& door,
                                                               NodeCommands& commands,
                                                               const NodeDirectory& nodes,
                                                               Ledger& ledger, const Clock& clock) {
  return std::make_unique<Service>(door, commands, nodes, ledger, clock);
}

}  // namespace assay::collector
