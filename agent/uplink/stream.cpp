// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/stream.h"

#include <algorithm>
#include <utility>

#include "agent/uplink/heartbeat.h"
#include "common/base/encoding.h"
#include "common/verification/verify_codec.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxControl = 64;  // waiting answers and heartbeats
constexpr std::size_t kMaxDescribed =
    20'000;  // then stacks are described again, which harms nothing
constexpr std::size_t kMaxRequestedStacks = 1000;
constexpr std::uint64_t kLargeMessage = 32 << 10;  // bytes; its memory is given back
constexpr std::uint32_t kMaxHeartbeatSeconds = 3600;
constexpr std::size_t kMaxActorBytes = 300;

std::string bytes_of(const Epoch& epoch) {
  return {reinterpret_cast<const char*>(epoch.data()), epoch.size()};
}

}  // namespace

Stream::Stream(const UplinkOptions& options, OutgoingEvents& events,
               const UplinkCallbacks& callbacks, StreamIdentity& identity)
    : options_(options), events_(events), callbacks_(callbacks), identity_(identity) {}

void Stream::begin(v1::AgentLink::Stub& stub) {
  v1::FromAgent first = hello();
  {
    const MutexLock lock(mutex_);
    control_.push_back(std::move(first));
  }
  stub.async()->Connect(&context_, this);
  StartRead(&incoming_);
  AddHold();  // pump() starts writes from other threads than gRPC's
  StartCall();
  pump();
}

v1::FromAgent Stream::hello() const {
  v1::FromAgent message;
  v1::Hello& hello = *message.mutable_hello();
  hello.set_cluster(options_.cluster);
  hello.set_node(options_.node);
  hello.set_epoch(bytes_of(events_.epoch()));
  hello.set_boot_id(options_.boot_id);
  hello.set_version(options_.version);
  hello.set_kernel(options_.kernel);
  const CatalogStatus catalog = callbacks_.health().catalog;
  hello.set_catalog_sequence(catalog.sequence);
  hello.set_catalog_state(catalog.state);
  hello.set_fingerprint_version(options_.fingerprint_version);
  hello.set_instance(identity_.instance);
  hello.set_acknowledged(events_.acknowledged());
  if (callbacks_.on_verify) hello.add_commands("verify");
  if (callbacks_.trust) {
    HeldTrust trust = callbacks_.trust();
    hello.set_trust(std::move(trust.digest));
    hello.set_issuer(std::move(trust.issuer));
  }
  return message;
}

v1::FromAgent Stream::make_heartbeat() const {
  v1::FromAgent message;
  fill_heartbeat(callbacks_.health(), *message.mutable_heartbeat());
  message.mutable_heartbeat()->set_time_ns(to_unix_ns(std::chrono::system_clock::now()));
  return message;
}

void Stream::notify() {
  pump();
}

void Stream::queue_heartbeat() {
  v1::FromAgent message = make_heartbeat();
  {
    const MutexLock lock(mutex_);
    v1::Heartbeat& beat = *message.mutable_heartbeat();
    beat.set_number(++identity_.heartbeats);
    beat.set_sent_sequence(sent_);
    beat.set_acknowledged(acknowledged_);
  }
  queue_control(std::move(message));
}

void Stream::queue_refusal(std::uint64_t sequence, const std::string& reason) {
  v1::FromAgent message;
  message.mutable_catalog_refused()->set_sequence(sequence);
  message.mutable_catalog_refused()->set_reason(reason);
  queue_control(std::move(message));
}

void Stream::queue_control(v1::FromAgent message) {
  {
    const MutexLock lock(mutex_);
    if (control_.size() >= kMaxControl) return;  // the peer does not read; the next beat says more
    control_.push_back(std::move(message));
  }
  pump();
}

void Stream::pump() {
  const MutexLock lock(mutex_);
  if (is_writing_ || is_broken_) return;
  // Clear() keeps the memory of all that a message ever held.
  if (std::exchange(is_outgoing_large_, false))
    v1::FromAgent().Swap(&outgoing_);
  else
    outgoing_.Clear();
  if (!next_message(outgoing_)) return;
  is_writing_ = true;
  // Under the mutex: after is_broken_ was set and the hold released, no write may begin. gRPC never
  // runs a reaction inside StartWrite.
  StartWrite(&outgoing_);
}

bool Stream::next_message(v1::FromAgent& message) {
  if (!control_.empty()) {
    message = std::move(control_.front());
    control_.pop_front();
    return true;
  }
  if (!is_welcome_) return false;
  if (!requested_.empty() && next_descriptions(*message.mutable_stacks())) return true;
  message.Clear();
  if (next_answer(*message.mutable_verified())) return true;
  message.Clear();
  if (next_file_set(*message.mutable_file_set())) return true;
  message.Clear();
  if (in_flight_bytes_ >= options_.max_in_flight_bytes) return false;
  if (next_batch(*message.mutable_batch())) return true;
  message.Clear();
  return false;
}

bool Stream::next_batch(v1::EventBatch& batch) {
  auto events = events_.read_after(sent_, options_.max_batch_bytes);
  if (!events || events->empty()) return false;  // an unreadable outbox shows in its own status
  std::uint64_t bytes = 0;
  for (const OutgoingEvent& event : *events) {
    v1::Event& one = *batch.add_events();
    if (!one.ParseFromString(event.payload)) one.Clear();  // the sequence still has to go on
    one.set_sequence(event.sequence);
    one.set_skipped(event.sequence - sent_ - 1);  // dropped at the outbox's limit
    sent_ = event.sequence;
    bytes += event.payload.size();
    if (event.stack && !described_.contains(*event.stack)) bytes += describe(*event.stack, batch);
    if (bytes >= options_.max_batch_bytes)
      break;  // descriptions count: a stack can have 500 layers
  }
  is_outgoing_large_ = bytes >= kLargeMessage;
  in_flight_.emplace_back(sent_, bytes);
  in_flight_bytes_ += bytes;
  return true;
}

std::uint64_t Stream::describe(const StackDigest& digest, v1::EventBatch& batch) {
  const auto description = events_.describe(digest);
  if (!description) return 0;  // forgotten: the collector asks when it does not know it either
  if (described_.size() >= kMaxDescribed) described_.clear();
  described_.insert(digest);
  if (!batch.add_stacks()->ParseFromString(*description)) batch.mutable_stacks()->RemoveLast();
  return description->size();
}

void Stream::OnWriteDone(bool is_ok) {
  {
    const MutexLock lock(mutex_);
    is_writing_ = false;
    if (!is_ok) is_broken_ = true;
  }
  if (is_ok) pump();
}

void Stream::OnReadDone(bool is_ok) {
  if (!is_ok) {
    {
      const MutexLock lock(mutex_);
      is_broken_ = true;
    }
    context_.TryCancel();  // the peer closed its side: a write in flight must not wait for it
    RemoveHold();
    return;
  }
  switch (incoming_.message_case()) {
    case v1::ToAgent::kWelcome:
      on_welcome(incoming_.welcome());
      break;
    case v1::ToAgent::kAcknowledgement:
      on_acknowledged(incoming_.acknowledgement().sequence());
      break;
    case v1::ToAgent::kStackRequest:
      on_stack_request(incoming_.stack_request());
      break;
    case v1::ToAgent::kCatalog:
      on_catalog(incoming_.catalog());
      v1::ToAgent().Swap(&incoming_);  // a whole log: not to be kept for the next message
      break;
    case v1::ToAgent::kMark:
      callbacks_.on_catalog({{}, "", {}, incoming_.mark().envelope()});
      break;
    case v1::ToAgent::kStateRequest:
      callbacks_.on_state_request(incoming_.state_request().request(),
                                  incoming_.state_request().reason());
      break;
    case v1::ToAgent::kFileSetRequest:
      on_file_set_request(incoming_.file_set_request());
      break;
    case v1::ToAgent::kVerify:
      on_verify(incoming_.verify());
      break;
    case v1::ToAgent::kCommandCancelled:
      if (callbacks_.on_command_cancelled)
        callbacks_.on_command_cancelled(incoming_.command_cancelled().command());
      break;
    case v1::ToAgent::kTrust:
      on_trust(incoming_.trust());
      break;
    case v1::ToAgent::MESSAGE_NOT_SET:
      break;  // from a newer collector
  }
  StartRead(&incoming_);
  pump();
}

void Stream::on_welcome(const v1::Welcome& welcome) {
  if (!events_.resume(welcome.acknowledged()))
    return end_locally("it has more of this outbox than the outbox ever gave out: " +
                       std::to_string(welcome.acknowledged()) +
                       " events; the outbox is an older copy and begins a new epoch");
  {
    const MutexLock lock(mutex_);
    is_welcome_ = true;
    sent_ = acknowledged_ = welcomed_at_ = welcome.acknowledged();
    if (welcome.heartbeat_interval_s() > 0)
      heartbeat_interval_ =
          std::chrono::seconds(std::min(welcome.heartbeat_interval_s(), kMaxHeartbeatSeconds));
  }
  queue_heartbeat();
  // What was refused while there was no stream, or on one that broke before it was told.
  const CatalogStatus catalog = callbacks_.health().catalog;
  if (!catalog.refused.empty()) queue_refusal(catalog.refused_sequence, catalog.refused);
  callbacks_.on_status();
}

void Stream::on_acknowledged(std::uint64_t sequence) {
  {
    const MutexLock lock(mutex_);
    if (sequence > sent_) return;  // of what was never sent
    acknowledged_ = std::max(acknowledged_, sequence);
    while (!in_flight_.empty() && in_flight_.front().first <= sequence) {
      in_flight_bytes_ -= in_flight_.front().second;
      in_flight_.pop_front();
    }
  }
  events_.acknowledge(sequence);
}

void Stream::on_stack_request(const v1::StackRequest& request) {
  const MutexLock lock(mutex_);
  for (const std::string& raw : request.digests()) {
    if (requested_.size() >= kMaxRequestedStacks) return;  // asked for again on the next stream
    if (const auto digest = StackDigest::from_raw(raw)) requested_.push_back(*digest);
  }
}

void Stream::on_file_set_request(const v1::FileSetRequest& request) {
  if (!callbacks_.on_file_set_wish) return;
  for (const v1::FileSetWish& wish : request.wishes())
    if (const auto stack = StackDigest::from_raw(wish.stack()))
      callbacks_.on_file_set_wish({*stack, wish.first_layer()});
}

void Stream::on_verify(const v1::VerifyCommand& command) {
  if (!callbacks_.on_verify) return;
  callbacks_.on_verify({command.command(),
                        {command.target(), std::chrono::milliseconds(command.timeout_ms())},
                        escape_untrusted(command.actor(), kMaxActorBytes)});
}

void Stream::on_trust(const v1::TrustBundle& bundle) {
  if (!callbacks_.on_trust || !callbacks_.trust) return;
  if (!callbacks_.on_trust({bundle.authorities().begin(), bundle.authorities().end()},
                           bundle.issuer()))
    return;
  v1::FromAgent message;
  message.mutable_trust_taken()->set_trust(callbacks_.trust().digest);
  queue_control(std::move(message));
}

bool Stream::next_answer(v1::VerifyAnswer& answer) {
  const auto ready = callbacks_.take_answer ? callbacks_.take_answer() : std::nullopt;
  if (!ready) return false;
  answer.set_command(ready->command);
  return answer.mutable_event()->ParseFromString(verification::encode(ready->event));
}

/// Not acknowledged: what is lost with the stream is asked for on the next one.
bool Stream::next_file_set(v1::FileSetAnswer& answer) {
  auto ready = callbacks_.take_file_set ? callbacks_.take_file_set() : std::nullopt;
  if (!ready) return false;
  answer.set_stack(std::string(ready->wish.stack.raw()));
  answer.set_first_layer(static_cast<std::uint32_t>(ready->wish.first_layer));
  answer.set_files(std::move(ready->files));
  answer.set_gap(std::move(ready->gap));
  is_outgoing_large_ = true;
  return true;
}

bool Stream::next_descriptions(v1::StackDescriptions& answer) {
  std::uint64_t bytes = 0;
  while (!requested_.empty() && bytes < options_.max_batch_bytes) {
    const auto description = events_.describe(requested_.front());
    requested_.pop_front();
    if (!description) continue;  // forgotten
    if (!answer.add_stacks()->ParseFromString(*description)) answer.mutable_stacks()->RemoveLast();
    bytes += description->size();
  }
  is_outgoing_large_ = bytes >= kLargeMessage;
  return answer.stacks_size() > 0;
}

void Stream::on_catalog(const v1::CatalogLog& log) {
  catalog::SignedLog signed_log;
  signed_log.statements.assign(log.statements().begin(), log.statements().end());
  signed_log.head = log.head();
  signed_log.roots.assign(log.roots().begin(), log.roots().end());
  signed_log.mark = log.mark();
  callbacks_.on_catalog(std::move(signed_log));
}

void Stream::end_locally(const std::string& reason) {
  {
    const MutexLock lock(mutex_);
    own_reason_ = reason;
  }
  context_.TryCancel();
}

void Stream::OnDone(const grpc::Status& status) {
  const MutexLock lock(mutex_);
  is_broken_ = true;
  status_ = own_reason_.empty() ? status
                                : grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, own_reason_);
  ended_.notify_all();
}

std::optional<grpc::Status> Stream::wait_for_end(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, timeout, [this] { return status_.has_value(); });
  return status_;
}

bool Stream::is_welcome() const {
  const MutexLock lock(mutex_);
  return is_welcome_;
}

bool Stream::has_progress() const {
  const MutexLock lock(mutex_);
  return acknowledged_ > welcomed_at_;
}

std::uint64_t Stream::acknowledged() const {
  const MutexLock lock(mutex_);
  return acknowledged_;
}

std::chrono::seconds Stream::heartbeat_interval() const {
  const MutexLock lock(mutex_);
  return heartbeat_interval_;
}

}  // namespace assay::agent
