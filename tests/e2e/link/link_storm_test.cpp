// SPDX-License-Identifier: Apache-2.0
// Storms on the link between the agent's real outbox and uplink and the real collector, over mTLS:
// whatever a relay loses, repeats, reorders, delays, replays and cuts, the collector's store ends
// as it does without a relay, and the outbox ends empty.
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "agent/app/journal.h"
#include "agent/outbox/outbox.h"
#include "agent/uplink/uplink.h"
#include "collector/app/collector.h"
#include "collector/identity/authority_dir.h"
#include "collector/identity/certificates.h"
#include "common/base/file.h"
#include "common/catalog/signing.h"
#include "tests/e2e/link/agent_life.h"
#include "tests/support/link_proxy.h"
#include "tests/support/store_dump.h"
#include "tests/unit/agent/scratch.h"

namespace assay {
namespace {

using namespace std::chrono_literals;
using agent::tests::Scratch;

constexpr auto kDeadline = 180s;
constexpr const char* kNode = "node-1";

/// Stands still, so that two collectors write the same times.
class StillClock final : public Clock {
 public:
  explicit StillClock(WallTime now) : now_(now) {}
  WallTime wall_now() const override { return now_; }
  BootTime boot_now() const override { return 1h; }

 private:
  const WallTime now_;
};

std::string slurp(const std::string& path) {
  auto bytes = read_file(path, 1 << 20);
  REQUIRE(bytes);
  return *bytes;
}

/// One authority for agents, collectors and the proxy, and an outbox full of events.
struct Stage {
  Scratch scratch;
  StillClock clock{SystemClock().wall_now()};
  std::unique_ptr<service::Log> log = *service::Log::create({"error", "text"});

  Stage() {
    collector::redirect_grpc_log({});
    REQUIRE(collector::init_authority({authority(), "test", ""}, clock.wall_now()));
    for (const char* out : {"agent", "proxy-client"})
      REQUIRE(
          collector::issue_client({authority(), kNode, "", scratch.path(out)}, clock.wall_now()));
    const auto key = catalog::SigningKey::generate(catalog::KeyType::kEcdsaP256);
    REQUIRE(write_file_atomically(scratch.path("trust.pem"), key->public_key().pem(), 0644));
  }

  std::string authority() const { return scratch.path("authority"); }

  std::unique_ptr<collector::Collector> start_collector(const std::string& name) {
    std::filesystem::create_directories(scratch.path(name));
    collector::CollectorConfig config;
    config.data_dir = authority();
    config.store_path = store(name);
    config.listen = "127.0.0.1:0";
    config.http_address = "";
    config.trust_file = scratch.path("trust.pem");
    config.heartbeat_interval = 1s;
    auto started = collector::Collector::start(config, clock, *log);
    INFO((started ? std::string() : started.error().text()));
    REQUIRE(started);
    return std::move(*started);
  }

  std::string store(const std::string& name) const { return scratch.path(name) + "/collector.db"; }

  tests::ProxyTls proxy_tls() {
    const collector::CertificatePair ca{slurp(authority() + "/ca.pem"),
                                        slurp(authority() + "/ca-key.pem")};
    const auto server =
        collector::issue(ca, {"proxy", {}, {"localhost", "127.0.0.1"}, true}, clock.wall_now());
    REQUIRE(server);
    return {ca.certificate, server->certificate, server->key,
            slurp(scratch.path("proxy-client") + "/cert.pem"),
            slurp(scratch.path("proxy-client") + "/key.pem")};
  }

  std::unique_ptr<agent::Outbox> open_outbox(const std::string& path) {
    auto outbox = agent::Outbox::open(path, {});
    REQUIRE(outbox);
    return std::move(*outbox);
  }

  /// Writes a life into an outbox that nobody sends yet.
  void record(const std::string& path, std::uint32_t seed, int steps) {
    const auto outbox = open_outbox(path);
    outbox->start({[] {}, [](const agent::DroppedEvents&) { return agent::NewEvent{}; }});
    agent::OutboxJournal journal(*outbox, clock, {});
    for (auto& one : tests::make_life("test", kNode, seed, steps, clock.wall_now()))
      journal.record(std::move(one.event), std::move(one.stack));
    REQUIRE(outbox->flush(kDeadline));
  }

  /// Sends all that an outbox holds to `address`, until it is empty.
  void deliver(const std::string& outbox_path, const std::string& address) {
    const auto outbox = open_outbox(outbox_path);
    agent::UplinkOptions options;
    options.address = address;
    options.tls = {scratch.path("agent/ca.pem"), scratch.path("agent/cert.pem"),
                   scratch.path("agent/key.pem")};
    options.cluster = "test";
    options.node = kNode;
    options.boot_id = "boot";
    options.backoff_least = 5ms;
    options.backoff_most = 50ms;
    options.max_batch_bytes = 4 << 10;  // many batches, so that much can happen to them
    options.max_in_flight_bytes = 64 << 10;
    agent::UplinkCallbacks callbacks;
    callbacks.health = [] { return agent::AgentHealth{}; };
    callbacks.on_catalog = [](const catalog::SignedLog&) {};
    callbacks.on_status = [] {};
    agent::Uplink uplink(options, *outbox, callbacks);
    outbox->start(
        {[&] { uplink.notify(); }, [](const agent::DroppedEvents&) { return agent::NewEvent{}; }});
    uplink.start();
    const auto until = std::chrono::steady_clock::now() + kDeadline;
    while (outbox->status().events > 0 && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(2ms);  // between two looks
    INFO(uplink.status().error);
    CHECK(outbox->status().events == 0);
    uplink.stop();
    outbox->stop();
  }
};

std::uint32_t seed_of_this_run() {
  const char* given = std::getenv("ASSAY_STORM_SEED");
  return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                          : std::random_device{}();
}

/// How often each kind of weather came over.
struct Seen {
  std::uint64_t lost = 0, repeated = 0, overtaken = 0, replayed = 0, held_up = 0, cut = 0;

  void add(const tests::WeatherCounts& counts) {
    lost += counts.lost;
    repeated += counts.repeated;
    overtaken += counts.overtaken;
    replayed += counts.replayed;
    held_up += counts.held_up;
    cut += counts.cut;
  }
};

void storm(std::uint32_t seed, int steps, Seen& seen) {
  std::printf("storm: ASSAY_STORM_SEED=%u\n", seed);
  std::fflush(stdout);
  INFO("ASSAY_STORM_SEED=" << seed);
  Stage stage;
  const std::string calm_outbox = stage.scratch.path("calm.db");
  const std::string storm_outbox = stage.scratch.path("storm.db");
  stage.record(calm_outbox, seed, steps);
  std::filesystem::copy_file(calm_outbox, storm_outbox);  // the same epoch, too

  auto calm = stage.start_collector("calm");
  stage.deliver(calm_outbox, "localhost:" + std::to_string(calm->port()));
  REQUIRE(calm->commit_loop().drain(kDeadline));
  calm.reset();

  auto stormy = stage.start_collector("stormy");
  const auto proxy = tests::LinkProxy::start(
      stage.proxy_tls(), "localhost:" + std::to_string(stormy->port()), seed, tests::Weather{});
  stage.deliver(storm_outbox, proxy->address());
  REQUIRE(stormy->commit_loop().drain(kDeadline));
  stormy.reset();

  const auto& counts = proxy->counts();
  std::printf("%s\n", counts.text().c_str());
  const auto expected = tests::dump_store(stage.store("calm"));
  CHECK(expected.size() > static_cast<std::size_t>(steps / 4));
  const std::string left = tests::difference(expected, tests::dump_store(stage.store("stormy")));
  INFO(left);
  CHECK(left.empty());
  seen.add(counts);
  CHECK(counts.streams > 1);
}

void storms(int count, int steps) {
  const std::uint32_t seed = seed_of_this_run();
  Seen seen;
  for (int i = 0; i < count; ++i)
    storm(seed + static_cast<std::uint32_t>(i), steps, seen);
  // A proxy that lets everything through would prove nothing.
  for (const std::uint64_t one :
       {seen.lost, seen.repeated, seen.overtaken, seen.replayed, seen.held_up, seen.cut})
    CHECK(one > 0);
}

TEST_CASE("storms on the link leave the store as it is without one", "[link][e2e]") {
  storms(5, 1500);
}

TEST_CASE("a hundred storms on the link", "[link][.slow]") {
  storms(100, 3000);
}

}  // namespace
}  // namespace assay
