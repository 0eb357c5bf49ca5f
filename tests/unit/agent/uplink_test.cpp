// SPDX-License-Identifier: Apache-2.0
// The uplink against a real gRPC server on the loopback, with real certificates.
#include "agent/uplink/uplink.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>

#include "assay/v1/agent.grpc.pb.h"
#include "assay/v1/retry.pb.h"
#include "common/base/sha256.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/agent/test_authority.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using tests::TestAuthority;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

/// Events as the outbox would hold them.
class MemoryEvents final : public OutgoingEvents {
 public:
  Epoch epoch() const override { return {1, 2, 3}; }
  std::uint64_t acknowledged() const override {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  Result<std::vector<OutgoingEvent>> read_after(std::uint64_t sequence, std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    std::vector<OutgoingEvent> found;
    for (auto one = events_.upper_bound(sequence); one != events_.end(); ++one)
      found.push_back(one->second);
    return found;
  }
  std::optional<std::string> describe(const StackDigest& digest) override {
    v1::Stack stack;
    stack.set_unsupported(digest.hex());
    return stack.SerializeAsString();
  }
  bool resume(std::uint64_t sequence) override {
    if (is_older_copy_) return false;
    acknowledge(sequence);
    return true;
  }
  void set_older_copy(bool is_older_copy) { is_older_copy_ = is_older_copy; }
  void acknowledge(std::uint64_t sequence) override {
    const std::lock_guard lock(mutex_);
    acknowledged_ = std::max(acknowledged_, sequence);
    events_.erase(events_.begin(), events_.upper_bound(sequence));
  }
  void add(std::uint64_t sequence, std::optional<StackDigest> stack = std::nullopt) {
    v1::Event event;
    event.mutable_run_ended()->set_run_id("run " + std::to_string(sequence));
    const std::lock_guard lock(mutex_);
    events_[sequence] = {sequence, stack, event.SerializeAsString()};
  }

 private:
  std::atomic<bool> is_older_copy_{false};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, OutgoingEvent> events_;
  std::uint64_t acknowledged_ = 0;
};

/// Takes what agents send and answers what the test says.
class Collector final : public v1::AgentLink::Service {
 public:
  explicit Collector(const TestAuthority& authority,
                     grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = authority.certificate();
    const auto [certificate, key] = authority.issue("localhost");
    tls.pem_key_cert_pairs.push_back({key, certificate});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("localhost:0", grpc::SslServerCredentials(tls), &port_);
    builder.SetDefaultCompressionAlgorithm(compression);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
  }
  ~Collector() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Connect(grpc::ServerContext*,
                       grpc::ServerReaderWriter<v1::ToAgent, v1::FromAgent>* stream) override {
    v1::FromAgent message;
    if (!stream->Read(&message) || !message.has_hello())
      return {grpc::StatusCode::INVALID_ARGUMENT, "no hello"};
    {
      const std::lock_guard lock(mutex_);
      stream_ = stream;
      messages_.push_back(message);
    }
    v1::ToAgent welcome;
    welcome.mutable_welcome()->set_acknowledged(committed_);
    welcome.mutable_welcome()->set_heartbeat_interval_s(1);
    write(stream, welcome);
    while (stream->Read(&message)) {
      if (message.has_batch() && refuse_next_.exchange(false)) return refusal();
      {
        const std::lock_guard lock(mutex_);
        messages_.push_back(message);
        if (message.has_batch()) committed_ = message.batch().events().rbegin()->sequence();
      }
      changed_.notify_all();
      if (message.has_batch() && acknowledges_) send_acknowledgement(stream);
    }
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
    return grpc::Status::OK;
  }

  void send(const v1::ToAgent& message) {
    const std::lock_guard lock(mutex_);
    REQUIRE(stream_ != nullptr);
    write(stream_, message);
  }
  /// The first message for which `matches` is true.
  template <typename Matches>
  v1::FromAgent wait_for(Matches matches) {
    std::unique_lock lock(mutex_);
    v1::FromAgent found;
    REQUIRE(changed_.wait_for(lock, kDeadline, [&] {
      for (const v1::FromAgent& message : messages_) {
        if (!matches(message)) continue;
        found = message;
        return true;
      }
      return false;
    }));
    return found;
  }
  std::string address() const { return "localhost:" + std::to_string(port_); }
  /// Ends the stream at its next batch as a collector at its budget does.
  void refuse_next_batch() { refuse_next_ = true; }
  std::size_t count_hellos() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(messages_.begin(), messages_.end(),
                      [](const v1::FromAgent& message) { return message.has_hello(); }));
  }
  void set_committed(std::uint64_t sequence) { committed_ = sequence; }
  void set_acknowledges(bool acknowledges) { acknowledges_ = acknowledges; }

 private:
  using Streaming = grpc::ServerReaderWriter<v1::ToAgent, v1::FromAgent>;

  static grpc::Status refusal() {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_nanos(700'000'000);
    google::rpc::Status details;
    details.add_details()->PackFrom(retry);
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "at its limit", details.SerializeAsString()};
  }
  void send_acknowledgement(Streaming* stream) {
    v1::ToAgent answer;
    answer.mutable_acknowledgement()->set_sequence(committed_);
    write(stream, answer);
  }
  void write(Streaming* stream, const v1::ToAgent& message) {
    const std::lock_guard lock(write_mutex_);
    stream->Write(message);
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex write_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::FromAgent> messages_;
  grpc::ServerReaderWriter<v1::ToAgent, v1::FromAgent>* stream_ = nullptr;
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<bool> acknowledges_{true};
  std::atomic<bool> refuse_next_{false};
};

bool holds_event(const v1::FromAgent& message, std::uint64_t sequence) {
  for (const v1::Event& event : message.batch().events())
    if (event.sequence() == sequence) return true;
  return false;
}

/// An agent's side: certificates on disk, events in memory, an uplink with quick attempts.
struct AgentSide {
  explicit AgentSide(const TestAuthority& authority) {
    const auto [certificate, key] = authority.issue("node-1");
    scratch.write("ca.pem", authority.certificate());
    scratch.write("cert.pem", certificate);
    scratch.write_secret("key.pem", key);
  }
  void start(const std::string& address) {
    UplinkOptions options;
    options.address = address;
    options.tls = {scratch.path("ca.pem"), scratch.path("cert.pem"), scratch.path("key.pem")};
    options.cluster = "c";
    options.node = "node-1";
    options.backoff_least = 20ms;
    options.backoff_most = 100ms;
    UplinkCallbacks callbacks;
    callbacks.health = [this] {
      AgentHealth health;
      health.catalog.refused = refused;
      health.catalog.refused_sequence = refused.empty() ? 0 : 7;
      health.running = 42;
      health.starts = 7;
      health.late_starts = 2;
      health.probe.state = ProbeState::kAttached;
      health.probe.loss.lost_starts = 3;
      health.probe.loss.lost_execs = 4;
      health.outbox.oldest = from_unix_ns(55);
      health.outbox.dropped = 6;
      health.catalog.expires = from_unix_ns(66);
      health.degraded = {{"probe-blind", "not yet \xff"}};
      return health;
    };
    callbacks.on_catalog = [this](catalog::SignedLog log) {
      const std::lock_guard lock(mutex);
      catalogs.push_back(std::move(log));
      changed.notify_all();
    };
    callbacks.on_state_request = [this](std::uint64_t request, const std::string& reason) {
      const std::lock_guard lock(mutex);
      state_requests.emplace_back(request, reason);
      changed.notify_all();
    };
    callbacks.on_file_set_wish = [this](const FileSetWish& wish) {
      const std::lock_guard lock(mutex);
      wishes.push_back(wish);
      changed.notify_all();
    };
    callbacks.take_file_set = [this] {
      const std::lock_guard lock(mutex);
      return std::exchange(file_set, std::nullopt);
    };
    callbacks.on_status = [this] {
      const std::lock_guard lock(mutex);
      changed.notify_all();
    };
    uplink = std::make_unique<Uplink>(std::move(options), events, std::move(callbacks));
    uplink->start();
  }
  template <typename Condition>
  bool wait_for(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + kDeadline;
    std::unique_lock lock(mutex);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      changed.wait_for(lock, 10ms);
    }
    return true;
  }

  Scratch scratch;
  MemoryEvents events;
  std::mutex mutex;
  std::condition_variable changed;
  std::string refused;  ///< what health says of the catalog, before start()
  std::vector<catalog::SignedLog> catalogs;
  std::vector<std::pair<std::uint64_t, std::string>> state_requests;
  std::vector<FileSetWish> wishes;
  std::optional<FileSetAnswer> file_set;
  std::unique_ptr<Uplink> uplink;
};

TEST_CASE("the agent says hello, sends its events and forgets what is acknowledged",
          "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.events.add(1);
  agent.start(collector.address());
  const auto hello = collector.wait_for([](const auto& message) { return message.has_hello(); });
  CHECK(hello.hello().node() == "node-1");
  CHECK(hello.hello().epoch().size() == 16);
  collector.wait_for([](const auto& message) { return holds_event(message, 1); });
  agent.events.add(2);
  agent.uplink->notify();
  collector.wait_for([](const auto& message) { return holds_event(message, 2); });
  CHECK(agent.wait_for([&] { return agent.events.acknowledged() == 2; }));
  CHECK(agent.uplink->status().state == UplinkState::kConnected);
}

TEST_CASE("after a welcome only what was not committed is sent", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  collector.set_committed(2);
  AgentSide agent(authority);
  for (const std::uint64_t sequence : {1U, 2U, 3U})
    agent.events.add(sequence);
  agent.start(collector.address());
  const auto batch =
      collector.wait_for([](const auto& message) { return message.has_batch(); }).batch();
  REQUIRE(batch.events_size() == 1);
  CHECK(batch.events(0).sequence() == 3);
  CHECK(agent.wait_for([&] { return agent.events.acknowledged() == 3; }));
}

TEST_CASE("what the outbox had to drop is told with the event that follows", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  collector.set_committed(2);
  AgentSide agent(authority);
  for (const std::uint64_t sequence : {3U, 7U, 8U})
    agent.events.add(sequence);
  agent.start(collector.address());
  const auto batch =
      collector.wait_for([](const auto& message) { return message.has_batch(); }).batch();
  REQUIRE(batch.events_size() == 3);
  CHECK(batch.events(0).skipped() == 0);
  CHECK(batch.events(1).skipped() == 3);
  CHECK(batch.events(2).skipped() == 0);
}

TEST_CASE("what was sent and not acknowledged is sent again on the next stream", "[agent][unit]") {
  const TestAuthority authority;
  AgentSide agent(authority);
  agent.events.add(1);
  auto first = std::make_unique<Collector>(authority);
  first->set_acknowledges(false);
  agent.start(first->address());
  first->wait_for([](const auto& message) { return holds_event(message, 1); });
  agent.uplink->stop();
  first.reset();
  Collector second(authority);
  agent.start(second.address());
  second.wait_for([](const auto& message) { return holds_event(message, 1); });
  CHECK(agent.wait_for([&] { return agent.events.acknowledged() == 1; }));
}

TEST_CASE("a stack is described with its first event and again when it is asked for",
          "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  const StackDigest digest{sha256("stack").bytes};
  agent.events.add(1, digest);
  agent.events.add(2, digest);
  agent.start(collector.address());
  const auto batch =
      collector.wait_for([](const auto& message) { return holds_event(message, 2); }).batch();
  CHECK(batch.stacks_size() == 1);
  v1::ToAgent request;
  request.mutable_stack_request()->add_digests(std::string(digest.raw()));
  collector.send(request);
  const auto answer = collector.wait_for([](const auto& message) { return message.has_stacks(); });
  REQUIRE(answer.stacks().stacks_size() == 1);
  CHECK(answer.stacks().stacks(0).unsupported() == digest.hex());
}

TEST_CASE("a pushed catalog reaches the agent, and its refusal the collector", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.start(collector.address());
  collector.wait_for([](const auto& message) { return message.has_heartbeat(); });
  v1::ToAgent push;
  push.mutable_catalog()->add_statements("one");
  push.mutable_catalog()->set_head("head");
  collector.send(push);
  REQUIRE(agent.wait_for([&] { return !agent.catalogs.empty(); }));
  CHECK(agent.catalogs[0].statements == std::vector<std::string>{"one"});
  CHECK(agent.catalogs[0].head == "head");
  agent.uplink->refuse_catalog(7, "fork");
  const auto refused =
      collector.wait_for([](const auto& message) { return message.has_catalog_refused(); });
  CHECK(refused.catalog_refused().sequence() == 7);
  CHECK(refused.catalog_refused().reason() == "fork");
}

TEST_CASE("what was refused without a stream is told on the next one", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.refused = "the stored catalog: its chain is broken";
  agent.start(collector.address());
  const auto told =
      collector.wait_for([](const auto& message) { return message.has_catalog_refused(); });
  CHECK(told.catalog_refused().sequence() == 7);
  CHECK(told.catalog_refused().reason() == agent.refused);
}

TEST_CASE("a new certificate or address makes a new connection, the same ones do not",
          "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.start(collector.address());
  const auto is_connected = [&](std::uint64_t connects) {
    return agent.wait_for([&] {
      const UplinkStatus status = agent.uplink->status();
      return status.connects == connects && status.state == UplinkState::kConnected;
    });
  };
  REQUIRE(is_connected(1));
  const TlsFiles files{agent.scratch.path("ca.pem"), agent.scratch.path("cert.pem"),
                       agent.scratch.path("key.pem")};
  agent.uplink->reload(collector.address(), files, load_tls_files(files).value());
  agent.events.add(1);
  agent.uplink->notify();
  collector.wait_for([](const auto& message) { return holds_event(message, 1); });
  CHECK(agent.uplink->status().connects == 1);

  const auto [certificate, key] = authority.issue("node-1");
  agent.scratch.write("cert.pem", certificate);
  agent.scratch.write_secret("key.pem", key);
  agent.uplink->reload(collector.address(), files, load_tls_files(files).value());
  REQUIRE(is_connected(2));

  Collector other(authority);
  agent.uplink->reload(other.address(), files, load_tls_files(files).value());
  REQUIRE(is_connected(3));
  agent.events.add(2);
  agent.uplink->notify();
  other.wait_for([](const auto& message) { return holds_event(message, 2); });
  CHECK(agent.uplink->status().address == other.address());

  agent.uplink->reload("", files, {});
  CHECK(agent.wait_for([&] { return agent.uplink->status().state == UplinkState::kDisabled; }));
  agent.uplink->reload(collector.address(), files, load_tls_files(files).value());
  REQUIRE(is_connected(4));
}

TEST_CASE("heartbeats carry the agent's health, and say how far the stream is", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.events.add(1);
  agent.start(collector.address());
  const auto is_informed = [](const v1::FromAgent& message) {
    return message.has_heartbeat() && message.heartbeat().acknowledged() == 1;
  };
  const v1::Heartbeat beat = collector.wait_for(is_informed).heartbeat();
  CHECK(beat.running() == 42);
  CHECK(beat.number() >= 2);
  CHECK(beat.sent_sequence() == 1);
  CHECK(beat.starts() == 7);
  CHECK(beat.late_starts() == 2);
  CHECK(beat.probe_is_attached());
  CHECK_FALSE(beat.probe_has_seen());
  CHECK(beat.probe_lost() == 7);
  CHECK(beat.lost_starts() == 3);
  CHECK(beat.lost_execs() == 4);
  CHECK(beat.outbox_oldest_ns() == 55);
  CHECK(beat.outbox_dropped() == 6);
  CHECK(beat.catalog_expires_ns() == 66);
  REQUIRE(beat.degraded_size() == 1);
  CHECK(beat.degraded(0).mode() == "probe-blind");
  CHECK(beat.degraded(0).reason() == "not yet \\xff");
}

TEST_CASE("a refusal with a retry delay is obeyed, and all arrives in the end", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  collector.refuse_next_batch();
  AgentSide agent(authority);
  const auto began = std::chrono::steady_clock::now();
  agent.events.add(1);
  agent.start(collector.address());
  REQUIRE(agent.wait_for([&] { return agent.events.acknowledged() == 1; }));
  // Its own back-off would have brought it back within 20 ms.
  CHECK(std::chrono::steady_clock::now() - began >= 700ms);
  CHECK(collector.count_hellos() == 2);
}

TEST_CASE("the hello names the process and what was acknowledged to it", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  collector.set_committed(2);
  AgentSide agent(authority);
  agent.events.acknowledge(2);
  agent.start(collector.address());
  const auto hello = collector.wait_for([](const auto& message) { return message.has_hello(); });
  CHECK(hello.hello().instance().size() == 16);
  CHECK(hello.hello().acknowledged() == 2);
  AgentSide other(authority);
  Collector second(authority);
  other.start(second.address());
  const auto theirs = second.wait_for([](const auto& message) { return message.has_hello(); });
  CHECK(theirs.hello().instance() != hello.hello().instance());
}

TEST_CASE("a request for the full state reaches the agent", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.start(collector.address());
  collector.wait_for([](const auto& message) { return message.has_heartbeat(); });
  v1::ToAgent request;
  request.mutable_state_request()->set_request(9);
  request.mutable_state_request()->set_reason("why");
  collector.send(request);
  REQUIRE(agent.wait_for([&] { return !agent.state_requests.empty(); }));
  CHECK(agent.state_requests[0] == std::pair<std::uint64_t, std::string>{9, "why"});
}

TEST_CASE("wishes for file sets reach the agent, and a ready set the collector", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.start(collector.address());
  collector.wait_for([](const auto& message) { return message.has_heartbeat(); });
  v1::ToAgent request;
  v1::FileSetWish& wish = *request.mutable_file_set_request()->add_wishes();
  wish.set_stack(std::string(32, 's'));
  wish.set_first_layer(3);
  request.mutable_file_set_request()->add_wishes()->set_stack("no digest");
  collector.send(request);
  REQUIRE(agent.wait_for([&] { return !agent.wishes.empty(); }));
  CHECK(agent.wishes.size() == 1);
  CHECK(agent.wishes[0].first_layer == 3);
  {
    const std::lock_guard lock(agent.mutex);
    agent.file_set = FileSetAnswer{agent.wishes[0], std::string(1 << 20, 'f'), ""};
  }
  agent.uplink->notify();
  const auto sent = collector.wait_for([](const auto& message) { return message.has_file_set(); });
  CHECK(sent.file_set().stack() == std::string(32, 's'));
  CHECK(sent.file_set().first_layer() == 3);
  CHECK(sent.file_set().files().size() == 1 << 20);
}

TEST_CASE("an outbox that is an older copy sends nothing under its old epoch", "[agent][unit]") {
  const TestAuthority authority;
  Collector collector(authority);
  AgentSide agent(authority);
  agent.events.add(1);
  agent.events.set_older_copy(true);
  agent.start(collector.address());
  REQUIRE(agent.wait_for(
      [&] { return agent.uplink->status().error.find("older copy") != std::string::npos; }));
  agent.events.set_older_copy(false);  // a new epoch has begun
  REQUIRE(agent.wait_for([&] { return agent.events.acknowledged() == 1; }));
  CHECK(collector.count_hellos() >= 2);
}

TEST_CASE("a collector of another authority is not believed", "[agent][unit]") {
  const TestAuthority authority;
  const TestAuthority other;
  Collector collector(other);
  AgentSide agent(authority);
  agent.start(collector.address());
  REQUIRE(agent.wait_for([&] { return !agent.uplink->status().error.empty(); }));
  CHECK(agent.uplink->status().state == UplinkState::kConnecting);
}

TEST_CASE("a collector that compresses is not listened to: it could inflate without a limit",
          "[agent][unit]") {
  const TestAuthority authority;
  for (const auto compression : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    Collector collector(authority, compression);
    AgentSide agent(authority);
    agent.start(collector.address());
    REQUIRE(agent.wait_for([&] { return !agent.uplink->status().error.empty(); }));
    INFO(agent.uplink->status().error);
    CHECK(agent.uplink->status().error.find("ompression algorithm") != std::string::npos);
    CHECK(agent.uplink->status().state == UplinkState::kConnecting);
  }
}

}  // namespace
}  // namespace assay::agent
