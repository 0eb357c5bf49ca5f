// SPDX-License-Identifier: Apache-2.0
#include "tests/support/link_proxy.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "assay/v1/agent.grpc.pb.h"

namespace assay::tests {
namespace {

using assay::v1::FromAgent;
using assay::v1::ToAgent;

constexpr std::size_t kMaxRemembered = 200;  // batches that can be replayed
constexpr int kMaxHoldUpMs = 15;

class Proxy final : public LinkProxy, public assay::v1::AgentLink::Service {
 public:
  Proxy(const ProxyTls& tls, const std::string& collector, std::uint32_t seed,
        const Weather& weather)
      : tls_(tls), collector_(collector), random_(seed), weather_(weather) {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = tls.authority;
    options.pem_key_cert_pairs.push_back({tls.key, tls.certificate});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("localhost:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Proxy() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const override { return "localhost:" + std::to_string(port_); }
  void set_weather(const Weather& weather) override {
    const std::lock_guard lock(mutex_);
    weather_ = weather;
  }
  void set_forged_catalog(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    forged_catalog_ = path;
  }
  const WeatherCounts& counts() const override { return counts_; }

  grpc::Status Connect(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<ToAgent, FromAgent>* agent) override;

 private:
  struct Link;
  enum class Fate { kPass, kLose, kRepeat, kOvertake, kReplay, kHoldUp, kCutBefore, kCutAfter };

  /// `is_vital`: Hello and Welcome.
  Fate draw(bool is_vital);
  void hold_up();
  void remember(const FromAgent& message);
  std::optional<FromAgent> any_remembered();
  template <typename Message, typename Write>
  bool pass(Link& link, std::optional<Message>& waiting, Message message, bool is_vital,
            Write write);
  std::optional<ToAgent> forged();
  void pump_down(Link& link, grpc::ServerReaderWriter<ToAgent, FromAgent>& agent);

  const ProxyTls tls_;
  const std::string collector_;
  int port_ = 0;
  std::mutex mutex_;
  std::mt19937 random_;               // guarded by mutex_
  Weather weather_;                   // guarded by mutex_
  std::deque<FromAgent> remembered_;  // guarded by mutex_
  std::string forged_catalog_;        // guarded by mutex_
  WeatherCounts counts_;
  std::unique_ptr<grpc::Server> server_;
};

/// One stream of an agent and the one to the collector that belongs to it.
struct Proxy::Link {
  grpc::ServerContext& from_agent;
  grpc::ClientContext to_collector;
  std::unique_ptr<assay::v1::AgentLink::Stub> stub;
  std::unique_ptr<grpc::ClientReaderWriter<FromAgent, ToAgent>> collector;

  void cut() {
    to_collector.TryCancel();
    from_agent.TryCancel();
  }
};

Proxy::Fate Proxy::draw(bool is_vital) {
  const std::lock_guard lock(mutex_);
  ++counts_.messages;
  auto dice = std::uniform_int_distribution<int>(0, 999)(random_);
  const auto is = [&](int thousandths) { return (dice -= thousandths) < 0; };
  if (is(weather_.cut)) {
    ++counts_.cut;
    return random_() % 2 == 0 ? Fate::kCutBefore : Fate::kCutAfter;
  }
  if (is(weather_.hold_up)) {
    ++counts_.held_up;
    return Fate::kHoldUp;
  }
  if (is_vital) return Fate::kPass;
  if (is(weather_.lose)) {
    ++counts_.lost;
    return Fate::kLose;
  }
  if (is(weather_.repeat)) {
    ++counts_.repeated;
    return Fate::kRepeat;
  }
  if (is(weather_.overtake)) return Fate::kOvertake;
  if (is(weather_.replay)) return Fate::kReplay;
  return Fate::kPass;
}

void Proxy::hold_up() {
  int ms = 0;
  {
    const std::lock_guard lock(mutex_);
    ms = std::uniform_int_distribution<int>(1, kMaxHoldUpMs)(random_);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));  // the network's, not the test's
}

void Proxy::remember(const FromAgent& message) {
  if (!message.has_batch()) return;
  const std::lock_guard lock(mutex_);
  if (remembered_.size() >= kMaxRemembered) remembered_.pop_front();
  remembered_.push_back(message);
}

std::optional<FromAgent> Proxy::any_remembered() {
  const std::lock_guard lock(mutex_);
  if (remembered_.empty()) return std::nullopt;
  ++counts_.replayed;
  return remembered_[random_() % remembered_.size()];
}

/// False: the link is cut. What waits was overtaken and goes after the next message.
template <typename Message, typename Write>
bool Proxy::pass(Link& link, std::optional<Message>& waiting, Message message, bool is_vital,
                 Write write) {
  const Fate fate = draw(is_vital);
  if (fate == Fate::kCutBefore) return link.cut(), false;
  if (fate == Fate::kHoldUp) hold_up();
  if (fate == Fate::kOvertake && !waiting) {
    waiting = std::move(message);
    return true;
  }
  if (fate == Fate::kLose) return true;
  if (!write(message)) return false;
  if (fate == Fate::kRepeat && !write(message)) return false;
  if constexpr (std::is_same_v<Message, FromAgent>) {
    if (fate == Fate::kReplay)
      if (const auto old = any_remembered(); old && !write(*old)) return false;
  }
  if (waiting) {
    ++counts_.overtaken;
    if (!write(*std::exchange(waiting, std::nullopt))) return false;
  }
  if (fate == Fate::kCutAfter) return link.cut(), false;
  return true;
}

std::optional<ToAgent> Proxy::forged() {
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    path = forged_catalog_;
  }
  std::ifstream file(path, std::ios::binary);
  ToAgent message;
  if (!file || !message.mutable_catalog()->ParseFromIstream(&file)) return std::nullopt;
  return message;
}

void Proxy::pump_down(Link& link, grpc::ServerReaderWriter<ToAgent, FromAgent>& agent) {
  ToAgent message;
  std::optional<ToAgent> waiting;
  while (link.collector->Read(&message)) {
    const bool is_vital = message.has_welcome();
    const auto write = [&](const ToAgent& one) { return agent.Write(one); };
    const bool is_catalog = message.has_catalog() || message.has_mark();
    const auto instead = is_vital || is_catalog ? forged() : std::nullopt;
    if (instead && is_catalog) message = *instead;
    if (!pass(link, waiting, message, is_vital, write)) break;
    if (instead && is_vital && !agent.Write(*instead)) break;
  }
  link.cut();
}

grpc::Status Proxy::Connect(grpc::ServerContext* context,
                            grpc::ServerReaderWriter<ToAgent, FromAgent>* agent) {
  ++counts_.streams;
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = tls_.authority;
  options.pem_cert_chain = tls_.client_certificate;
  options.pem_private_key = tls_.client_key;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  Link link{*context, {}, nullptr, nullptr};
  link.stub = assay::v1::AgentLink::NewStub(
      grpc::CreateCustomChannel(collector_, grpc::SslCredentials(options), arguments));
  link.collector = link.stub->Connect(&link.to_collector);
  std::thread down([&] { pump_down(link, *agent); });

  FromAgent message;
  std::optional<FromAgent> waiting;
  while (agent->Read(&message)) {
    const auto write = [&](const FromAgent& one) { return link.collector->Write(one); };
    if (!pass(link, waiting, message, message.has_hello(), write)) break;
    remember(message);
  }
  link.to_collector.TryCancel();
  down.join();
  (void)link.collector->Finish();
  return {grpc::StatusCode::UNAVAILABLE, "the link broke"};
}

}  // namespace

std::string WeatherCounts::text() const {
  return std::to_string(messages) + " messages on " + std::to_string(streams) +
         " streams: " + std::to_string(lost) + " lost, " + std::to_string(repeated) +
         " repeated, " + std::to_string(overtaken) + " overtaken, " + std::to_string(replayed) +
         " replayed, " + std::to_string(held_up) + " held up, " + std::to_string(cut) + " cuts";
}

std::unique_ptr<LinkProxy> LinkProxy::start(const ProxyTls& tls, const std::string& collector,
                                            std::uint32_t seed, const Weather& weather) {
  return std::make_unique<Proxy>(tls, collector, seed, weather);
}

}  // namespace assay::tests
