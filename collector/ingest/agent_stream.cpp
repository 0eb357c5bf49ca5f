// SPDX-License-Identifier: Apache-2.0
// gRPC never runs a reaction inside StartRead, StartWrite or Finish, so those are called under the
// mutex: after is_finished_ is set no operation may begin.
#include "collector/ingest/agent_stream.h"

#include <algorithm>

#include "collector/ingest/from_wire.h"
#include "collector/ingest/refusal.h"
#include "common/base/encoding.h"
#include "common/verification/verify_codec.h"

namespace assay::collector {
namespace {

constexpr std::size_t kEpochBytes = 16;
constexpr std::size_t kMaxInstanceBytes = 16;
constexpr std::size_t kTrustBytes = sizeof(DigestBytes);
constexpr std::size_t kMaxCommands = 8;  // of one agent, not answered yet
constexpr std::size_t kMaxQueued = 64;   // requests for stacks; asked again on the next connection

/// What a message weighs in memory: as it came, as it was parsed, and as values of ours.
std::size_t weight_of(const Batch& batch, std::size_t wire_bytes) {
  return 3 * wire_bytes + batch.events.size() * sizeof(Event) +
         batch.stacks.size() * sizeof(catalog::Stack);
}

}  // namespace

void AgentStream::begin(std::shared_ptr<AgentStream> self) {
  self_ = std::move(self);
  read_next();
}

void AgentStream::read_next() {
  const MutexLock lock(mutex_);
  if (is_finished_) return;
  if (in_flight_bytes_ > host_.options().max_in_flight_bytes) {
    is_paused_ = true;  // on_committed goes on: the agent feels it as back-pressure
    return;
  }
  StartRead(&incoming_);
}

void AgentStream::finish(const grpc::Status& status) {
  const MutexLock lock(mutex_);
  if (is_finished_) return;
  is_finished_ = true;
  Finish(status);
}

void AgentStream::OnCancel() {
  finish({grpc::StatusCode::CANCELLED, "cancelled"});
}

void AgentStream::OnDone() {
  end_commands();
  if (has_hello_) {
    host_.left(who_.node, this);
    host_.intake().disconnected(who_.node);
  }
  const auto last = std::move(self_);  // may destroy this when it goes
}

void AgentStream::OnReadDone(bool is_ok) {
  if (!is_ok) return finish(grpc::Status::OK);  // the agent closed its side, or went away
  heard_ = std::chrono::steady_clock::now();
  const bool goes_on = on_message();
  // A cleared message keeps all memory that it ever held, and there are thousands of streams.
  v1::FromAgent().Swap(&incoming_);
  if (goes_on) read_next();
}

/// False: the stream was finished.
bool AgentStream::on_message() {
  const bool is_hello = incoming_.message_case() == v1::FromAgent::kHello;
  if (is_hello == has_hello_) {
    finish({grpc::StatusCode::FAILED_PRECONDITION,
            has_hello_ ? "a second Hello on one stream" : "the first message must be Hello"});
    return false;
  }
  const std::size_t bytes = incoming_.ByteSizeLong();
  switch (incoming_.message_case()) {
    case v1::FromAgent::kHello:
      return on_hello(incoming_.hello());
    case v1::FromAgent::kBatch:
      for (const auto& event : incoming_.batch().events())
        received_ = std::max(received_, event.sequence());
      return on_batch(from_wire(incoming_.batch(), who_.node), bytes);
    case v1::FromAgent::kStacks:
      return on_batch(from_wire(incoming_.stacks(), who_.node), bytes);
    case v1::FromAgent::kFileSet:
      return on_file_set(incoming_.file_set(), bytes);
    case v1::FromAgent::kVerified:
      on_verified(incoming_.verified());
      return true;
    case v1::FromAgent::kHeartbeat:
      return on_heartbeat(incoming_.heartbeat());
    case v1::FromAgent::kCatalogRefused:
      (void)host_.intake().catalog_refused(who_.node, incoming_.catalog_refused().sequence(),
                                           escape_untrusted(incoming_.catalog_refused().reason()));
      return true;
    case v1::FromAgent::kTrustTaken:
      host_.intake().trust_taken(who_.node, incoming_.trust_taken().trust().substr(0, kTrustBytes));
      return true;
    case v1::FromAgent::MESSAGE_NOT_SET:
      return true;  // of a newer agent
  }
  return true;
}

bool AgentStream::on_hello(const v1::Hello& hello) {
  const NodeKey claimed{hello.cluster(), hello.node()};
  if (claimed != who_.node) {
    const std::string reason = "the certificate is for node " + who_.node.text() +
                               ", the agent says it is " + escape_untrusted(claimed.text(), 200);
    host_.denied({who_.text(), address_}, reason);
    finish({grpc::StatusCode::PERMISSION_DENIED, reason});
    return false;
  }
  if (hello.epoch().size() != kEpochBytes) {
    finish({grpc::StatusCode::INVALID_ARGUMENT, "an epoch has 16 bytes"});
    return false;
  }
  epoch_ = hello.epoch();
  instance_ = hello.instance().substr(0, kMaxInstanceBytes);
  {
    const MutexLock lock(mutex_);
    trust_digest_ = hello.trust().substr(0, kTrustBytes);
    trust_issuer_ = hello.issuer().substr(0, kTrustBytes);
    can_verify_ = std::ranges::find(hello.commands(), "verify") != hello.commands().end();
  }
  if (const grpc::Status allowed = host_.join(shared_from_this()); !allowed.ok()) {
    finish(allowed);
    return false;
  }
  has_hello_ = true;
  AgentInfo agent = from_wire(hello);
  agent.address = address_;
  const auto opened = host_.intake().open_epoch(
      who_.node, agent,
      [stream = shared_from_this(), state = hello.catalog_state()](Result<BatchOutcome> outcome) {
        stream->on_epoch(std::move(outcome), state);
      });
  if (!opened) finish(status_of(opened.error(), host_.intake().retry_after()));
  return opened.has_value();
}

bool AgentStream::on_heartbeat(const v1::Heartbeat& heartbeat) {
  host_.intake().heartbeat(who_.node, from_wire(heartbeat));
  const MutexLock lock(mutex_);
  // On a stream nothing overtakes: what was sent before this has arrived, or never will.
  const std::uint64_t arrived = std::max(received_, committed_);
  if (heartbeat.sent_sequence() > arrived && !is_finished_) {
    is_finished_ = true;
    Finish({grpc::StatusCode::OUT_OF_RANGE,
            "events up to " + std::to_string(heartbeat.sent_sequence()) +
                " were sent, those after " + std::to_string(arrived) +
                " did not arrive: send them again"});
    return false;
  }
  if (is_welcomed_ && heartbeat.acknowledged() < committed_) {
    acknowledged_ = committed_;  // an acknowledgement got lost
    pump();
  }
  return true;
}

void AgentStream::on_epoch(Result<BatchOutcome> outcome, const std::string& catalog_state) {
  if (!outcome) return finish(status_of(outcome.error(), host_.intake().retry_after()));
  auto message = std::make_shared<v1::ToAgent>();
  v1::Welcome& welcome = *message->mutable_welcome();
  welcome.set_acknowledged(outcome->acknowledged);
  welcome.set_collector_version(host_.options().version);
  welcome.set_heartbeat_interval_s(
      static_cast<std::uint32_t>(host_.options().heartbeat_interval.count()));
  {
    const MutexLock lock(mutex_);
    // Inside the lock: a change pushed before it is in what is read here, a later one is pushed.
    const auto catalog = host_.catalog();
    is_welcomed_ = true;
    committed_ = outcome->acknowledged;
    queue_.push_back(std::move(message));
    if (catalog.state != catalog_state) catalog_ = catalog.message;
    mark_ = host_.mark();
    pump();
  }
  send_trust(host_.trust());
  request_stacks(outcome->unknown);
  request_state(outcome->state_wish);
  request_file_sets(outcome->file_sets);
}

bool AgentStream::on_batch(Batch batch, std::size_t wire_bytes) {
  const std::size_t bytes = weight_of(batch, wire_bytes);
  {
    const MutexLock lock(mutex_);
    if (is_finished_) return false;
    in_flight_bytes_ += bytes;
  }
  const auto taken =
      host_.intake().record(who_.node, epoch_, std::move(batch), bytes,
                            [stream = shared_from_this(), bytes](Result<BatchOutcome> outcome) {
                              stream->on_committed(std::move(outcome), bytes);
                            });
  if (!taken) finish(status_of(taken.error(), host_.intake().retry_after()));
  return taken.has_value();
}

void AgentStream::on_committed(Result<BatchOutcome> outcome, std::size_t bytes) {
  if (!outcome) return finish(status_of(outcome.error(), host_.intake().retry_after()));
  bool is_resumed = false;
  {
    const MutexLock lock(mutex_);
    in_flight_bytes_ -= bytes;
    acknowledged_ = committed_ = outcome->acknowledged;
    is_resumed = is_paused_ && in_flight_bytes_ <= host_.options().max_in_flight_bytes;
    if (is_resumed) is_paused_ = false;
    pump();
  }
  request_stacks(outcome->unknown);
  request_state(outcome->state_wish);
  request_file_sets(outcome->file_sets);
  if (is_resumed) read_next();
}

void AgentStream::request_state(const std::optional<StateWish>& wish) {
  if (!wish) return;
  auto message = std::make_shared<v1::ToAgent>();
  message->mutable_state_request()->set_request(wish->request);
  message->mutable_state_request()->set_reason(wish->because);
  {
    const MutexLock lock(mutex_);
    if (state_request_ == wish->request) return;
    state_request_ = wish->request;
  }
  send(std::move(message));
}

/// Each once on a stream, until it is answered: a set takes the agent seconds to make.
void AgentStream::request_file_sets(const std::vector<FileSetWish>& wishes) {
  auto message = std::make_shared<v1::ToAgent>();
  {
    const MutexLock lock(mutex_);
    for (const FileSetWish& wish : wishes) {
      if (!file_sets_asked_.insert(wish.stack).second) continue;
      v1::FileSetWish& asked = *message->mutable_file_set_request()->add_wishes();
      asked.set_stack(std::string(wish.stack.raw()));
      asked.set_first_layer(static_cast<std::uint32_t>(wish.first_layer));
    }
  }
  if (message->has_file_set_request()) send(std::move(message));
}

bool AgentStream::on_file_set(const v1::FileSetAnswer& answer, std::size_t bytes) {
  auto batch = from_wire(answer);
  if (!batch) return true;
  {
    const MutexLock lock(mutex_);
    file_sets_asked_.erase(batch->file_sets.front().stack);
  }
  return on_batch(std::move(*batch), bytes);
}

Result<void> AgentStream::command(std::uint64_t command, const NodeCommands::Verify& verify,
                                  NodeCommands::OnEvent on_event) {
  auto message = std::make_shared<v1::ToAgent>();
  v1::VerifyCommand& out = *message->mutable_verify();
  out.set_command(command);
  out.set_target(verify.target);
  out.set_timeout_ms(static_cast<std::uint32_t>(verify.timeout.count()));
  out.set_actor(verify.actor);
  const MutexLock lock(mutex_);
  if (is_finished_ || !is_welcomed_)
    return Error{ErrorCode::kUnavailable, "its agent is just coming or going: try again"};
  if (!can_verify_)
    return Error{ErrorCode::kUnsupported,
                 "its agent is of a version that cannot verify on demand: upgrade it"};
  if (commands_.size() >= kMaxCommands || queue_.size() >= kMaxQueued)
    return Error{ErrorCode::kLimitExceeded, "it has " + std::to_string(commands_.size()) +
                                                " commands already: try again later"};
  commands_.emplace(command, std::move(on_event));
  queue_.push_back(std::move(message));
  pump();
  return ok();
}

void AgentStream::cancel_command(std::uint64_t command) {
  auto message = std::make_shared<v1::ToAgent>();
  message->mutable_command_cancelled()->set_command(command);
  {
    const MutexLock lock(mutex_);
    if (commands_.erase(command) == 0) return;
  }
  send(std::move(message));
}

/// An agent that answers what nobody asked is not believed.
void AgentStream::on_verified(const v1::VerifyAnswer& answer) {
  NodeCommands::OnEvent on_event;
  auto event = verification::decode(answer.event().SerializeAsString());
  const bool is_last = !event || std::holds_alternative<catalog::VerifyDone>(*event);
  {
    const MutexLock lock(mutex_);
    const auto found = commands_.find(answer.command());
    if (found == commands_.end()) return;
    on_event = found->second;
    if (is_last) commands_.erase(found);
  }
  on_event(event ? *event : catalog::VerifyEvent(catalog::failed(event.error())));
}

void AgentStream::end_commands() {
  std::map<std::uint64_t, NodeCommands::OnEvent> open;
  {
    const MutexLock lock(mutex_);
    open.swap(commands_);
  }
  for (const auto& [command, on_event] : open)
    on_event(catalog::VerifyDone{ErrorCode::kUnavailable,
                                 "the agent's stream ended before it had answered: what is missing "
                                 "was not looked at"});
}

void AgentStream::request_stacks(const std::vector<StackDigest>& digests) {
  if (digests.empty()) return;
  auto message = std::make_shared<v1::ToAgent>();
  for (const auto& digest : digests)
    message->mutable_stack_request()->add_digests(std::string(digest.raw()));
  send(std::move(message));
}

void AgentStream::send(Message message) {
  const MutexLock lock(mutex_);
  if (queue_.size() >= kMaxQueued) return;
  queue_.push_back(std::move(message));
  pump();
}

void AgentStream::send_catalog(std::shared_ptr<const v1::ToAgent> message) {
  const MutexLock lock(mutex_);
  if (!is_welcomed_) return;  // on_epoch sends what is newest then
  catalog_ = std::move(message);
  pump();
}

void AgentStream::send_mark(std::shared_ptr<const v1::ToAgent> message) {
  const MutexLock lock(mutex_);
  if (!is_welcomed_) return;
  mark_ = std::move(message);
  pump();
}

void AgentStream::send_trust(const AgentStreamHost::TrustMessage& trust) {
  const MutexLock lock(mutex_);
  if (!is_welcomed_ || trust_digest_.empty() ||
      (trust_digest_ == trust.digest && trust_issuer_ == trust.issuer))
    return;
  trust_digest_ = trust.digest;  // once
  trust_issuer_ = trust.issuer;
  trust_ = trust.message;
  pump();
}

void AgentStream::pump() {
  if (is_finished_ || outgoing_) return;
  if (!queue_.empty()) {
    outgoing_ = std::move(queue_.front());
    queue_.pop_front();
  } else if (acknowledged_) {
    auto message = std::make_shared<v1::ToAgent>();
    message->mutable_acknowledgement()->set_sequence(*acknowledged_);
    acknowledged_.reset();
    outgoing_ = std::move(message);
  } else if (catalog_) {
    outgoing_ = std::move(catalog_);
    catalog_.reset();
  } else if (trust_) {
    outgoing_ = std::move(trust_);
    trust_.reset();
  } else if (mark_) {
    outgoing_ = std::move(mark_);
    mark_.reset();
  } else {
    return;
  }
  StartWrite(outgoing_.get());
}

void AgentStream::OnWriteDone(bool is_ok) {
  const MutexLock lock(mutex_);
  outgoing_.reset();
  if (is_ok) pump();  // else the stream breaks and OnReadDone or OnCancel ends it
}

}  // namespace assay::collector
