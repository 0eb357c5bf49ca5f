// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/uplink.h"

#include <pthread.h>
#include <sys/random.h>

#include <optional>
#include <thread>

#include "agent/uplink/backoff.h"
#include "agent/uplink/stream.h"
#include "common/base/mutex.h"
#include "common/retry/retry_delay.h"

namespace assay::agent {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // a catalog's whole log comes in one message
constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr std::chrono::seconds kWelcomeDeadline{20};
constexpr std::chrono::seconds kEndDeadline{5};
constexpr std::chrono::seconds kIdleWait{60};

// A channel of its own for each attempt: no hidden back-off of gRPC's and no cached credentials.
std::shared_ptr<grpc::Channel> make_channel(const UplinkOptions& options,
                                            const TlsMaterial& material) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = material.ca;
  tls.pem_cert_chain = material.certificate;
  tls.pem_private_key = material.key;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // Of a compressed message that limit is no limit (docs/threat-model.md, "The port").
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);  // identity
  return grpc::CreateCustomChannel(options.address, grpc::SslCredentials(tls), arguments);
}

std::string random_instance() {
  std::string bytes(16, '\0');
  ASSAY_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

/// Why a stream is over, and how long the collector wants to be left alone.
struct Ended {
  std::string reason;
  std::chrono::milliseconds retry_after{};
};

std::string describe(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return "the collector at " + address + " closed the stream";
  return "collector " + address + ": " + status.error_message();
}

}  // namespace

struct Uplink::State {
  State(UplinkOptions uplink_options, OutgoingEvents& outgoing, UplinkCallbacks uplink_callbacks)
      : events(outgoing),
        callbacks(std::move(uplink_callbacks)),
        options_(std::move(uplink_options)) {
    user_status = std::move(callbacks.on_status);
    callbacks.on_status = [this] { on_welcome(); };
    if (!callbacks.on_state_request)
      callbacks.on_state_request = [](std::uint64_t, const std::string&) {};
    identity.instance = random_instance();
  }

  void run(const std::stop_token& stop);
  Ended connect_once(const UplinkOptions& options, const std::stop_token& stop, Backoff& backoff);
  Ended serve(const UplinkOptions& options, Stream& stream, const std::stop_token& stop,
              Backoff& backoff);
  UplinkOptions present_options();
  bool has_reloaded();
  void reload(const std::string& address, const TlsFiles& tls, const TlsMaterial& material);
  void set_status(UplinkState state, const std::string& error);
  void on_welcome() { set_status(UplinkState::kConnected, ""); }
  template <typename Call>
  void with_stream(Call call) {
    const MutexLock lock(stream_mutex);
    if (current != nullptr) call(*current);
  }

  OutgoingEvents& events;
  UplinkCallbacks callbacks;
  std::function<void()> user_status;
  StreamIdentity identity;

  Mutex options_mutex;  // after status_mutex
  UplinkOptions options_ ASSAY_GUARDED_BY(options_mutex);
  TlsMaterial in_use ASSAY_GUARDED_BY(options_mutex);  // of the present or last connection
  bool is_reloaded ASSAY_GUARDED_BY(options_mutex) = false;

  Mutex stream_mutex;
  Stream* current ASSAY_GUARDED_BY(stream_mutex) = nullptr;

  mutable Mutex status_mutex;
  std::condition_variable_any wake;
  UplinkStatus status ASSAY_GUARDED_BY(status_mutex);

  std::jthread thread;
};

Uplink::Uplink(UplinkOptions options, OutgoingEvents& events, UplinkCallbacks callbacks)
    : state_(std::make_unique<State>(std::move(options), events, std::move(callbacks))) {}

Uplink::~Uplink() {
  stop();
}

void Uplink::start() {
  state_->thread =
      std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
  ::pthread_setname_np(state_->thread.native_handle(), "assay-uplink");
}

void Uplink::stop() {
  if (!state_->thread.joinable()) return;
  state_->thread.request_stop();
  state_->thread.join();
}

void Uplink::notify() {
  state_->with_stream([](Stream& stream) { stream.notify(); });
}

void Uplink::refuse_catalog(std::uint64_t sequence, std::string reason) {
  state_->with_stream([&](Stream& stream) { stream.queue_refusal(sequence, reason); });
}

void Uplink::heartbeat() {
  state_->with_stream([](Stream& stream) { stream.queue_heartbeat(); });
}

UplinkStatus Uplink::status() const {
  const MutexLock lock(state_->status_mutex);
  return state_->status;
}

void Uplink::State::set_status(UplinkState state, const std::string& error) {
  {
    const MutexLock lock(status_mutex);
    if (status.state == state && status.error == error) return;
    if (state == UplinkState::kConnected) ++status.connects;
    status.state = state;
    status.error = error;
  }
  user_status();
}

void Uplink::reload(const std::string& address, const TlsFiles& tls, const TlsMaterial& material) {
  state_->reload(address, tls, material);
}

void Uplink::State::reload(const std::string& address, const TlsFiles& tls,
                           const TlsMaterial& material) {
  {
    const MutexLock lock(options_mutex);
    const bool is_same = options_.address == address && in_use == material;
    options_.address = address;
    options_.tls = tls;
    if (is_same) return;
    is_reloaded = true;
  }
  with_stream([](Stream& stream) { stream.cancel(); });
  {
    const MutexLock lock(status_mutex);  // run() looks under it before it waits
  }
  wake.notify_all();
}

UplinkOptions Uplink::State::present_options() {
  const MutexLock lock(options_mutex);
  is_reloaded = false;
  return options_;
}

bool Uplink::State::has_reloaded() {
  const MutexLock lock(options_mutex);
  return is_reloaded;
}

void Uplink::State::run(const std::stop_token& stop) {
  std::optional<Backoff> backoff;
  for (bool was_idle = true; !stop.stop_requested();) {
    const UplinkOptions options = present_options();
    const bool is_idle = options.address.empty();
    {
      const MutexLock lock(status_mutex);
      status.address = options.address;
    }
    if (!backoff)
      backoff.emplace(options.backoff_least, options.backoff_most, std::random_device{}());
    if (is_idle)
      set_status(UplinkState::kDisabled, "");
    else if (was_idle)
      set_status(UplinkState::kConnecting, "");
    was_idle = is_idle;
    const Ended ended = is_idle ? Ended{} : connect_once(options, stop, *backoff);
    if (stop.stop_requested()) return;
    if (has_reloaded()) {
      set_status(UplinkState::kConnecting, "");
      backoff->reset();
      continue;
    }
    if (!is_idle) set_status(UplinkState::kConnecting, ended.reason);
    std::unique_lock lock(status_mutex);
    wake.wait_for(lock, stop, is_idle ? kIdleWait : backoff->next(ended.retry_after),
                  [this] { return has_reloaded(); });
  }
}

Ended Uplink::State::connect_once(const UplinkOptions& options, const std::stop_token& stop,
                                  Backoff& backoff) {
  const auto material = load_tls_files(options.tls);
  if (!material && callbacks.trust && material.error().code == ErrorCode::kNotFound)
    return {"this node has no certificate yet: it is being asked for"};
  if (!material) return {material.error().text()};
  {
    const MutexLock lock(options_mutex);
    in_use = *material;
  }
  const auto channel = make_channel(options, *material);
  const auto stub = v1::AgentLink::NewStub(channel);
  Stream stream(options, events, callbacks, identity);
  stream.begin(*stub);
  {
    const MutexLock lock(stream_mutex);
    current = &stream;
  }
  Ended ended = serve(options, stream, stop, backoff);
  {
    const MutexLock lock(stream_mutex);
    current = nullptr;
  }
  stream.cancel();
  while (!stream.wait_for_end(kEndDeadline))
    stream.cancel();  // gRPC always ends a cancelled call
  if (callbacks.on_stream_ended) callbacks.on_stream_ended();
  return ended;
}

Ended Uplink::State::serve(const UplinkOptions& options, Stream& stream,
                           const std::stop_token& stop, Backoff& backoff) {
  const std::stop_callback on_stop(stop, [&stream] { stream.cancel(); });
  const auto began = std::chrono::steady_clock::now();
  auto last_beat = began;
  while (!stop.stop_requested()) {
    if (const auto ended = stream.wait_for_end(std::chrono::milliseconds(500))) {
      if (stream.has_progress()) backoff.reset();
      return {describe(*ended, options.address), retry_delay_of(ended->error_details())};
    }
    if (has_reloaded()) return {};
    const auto now = std::chrono::steady_clock::now();
    if (!stream.is_welcome()) {
      if (now - began < kWelcomeDeadline) continue;
      return {"collector " + options.address + ": no answer to Hello"};
    }
    // Being welcomed is not enough: a collector at its budget welcomes and then refuses.
    if (stream.has_progress() || now - began >= options.stable_after) backoff.reset();
    {
      const MutexLock lock(status_mutex);
      status.acknowledged = stream.acknowledged();
    }
    if (now - last_beat < stream.heartbeat_interval()) continue;
    last_beat = now;
    stream.queue_heartbeat();
  }
  return {};
}

}  // namespace assay::agent
