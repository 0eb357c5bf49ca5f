// SPDX-License-Identifier: Apache-2.0
// What goes wrong on the link: too much at once, two agents of one name, things that get lost.
#include <future>

#include "assay/v1/retry.pb.h"
#include "tests/unit/collector/link_support.h"

namespace assay::collector {
namespace {

using namespace tests;
using grpc::StatusCode;
using namespace std::chrono_literals;

/// The retry delay in a status' details, in milliseconds; 0 when there is none.
std::int64_t retry_ms(const grpc::Status& status) {
  google::rpc::Status details;
  REQUIRE(details.ParseFromString(status.error_details()));
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details())
    if (detail.UnpackTo(&retry))
      return retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000;
  return 0;
}

TEST_CASE("a collector at its budget refuses with a retry delay and loses nothing",
          "[collector][unit]") {
  Deployment here([](CollectorConfig& config) { config.max_queued_bytes = 1 << 20; });
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  // The commit thread stands still in a callback, and another node holds the budget meanwhile.
  std::promise<void> may_go;
  std::promise<void> stands;
  CommitLoop& loop = here.collector->commit_loop();
  const NodeKey loud{"test", "loud"};
  REQUIRE(loop.record(loud, Epoch(16, 'l'), {}, 100, [&](const Result<BatchOutcome>&) {
    stands.set_value();
    may_go.get_future().wait();
  }));
  stands.get_future().wait();
  REQUIRE(
      loop.record(loud, Epoch(16, 'l'), {}, (1 << 20) - 2000, [](const Result<BatchOutcome>&) {}));
  agent.send_start(1, 1, 9);
  CHECK_FALSE(agent.read());
  const grpc::Status status = agent.end();
  CHECK(status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
  CHECK(retry_ms(status) >= 1000);
  may_go.set_value();
  REQUIRE(loop.drain(30s));

  Agent again(here, "node-1", "node-1");
  CHECK(again.expect(v1::ToAgent::kWelcome).welcome().acknowledged() == 0);
  again.send_start(1, 1, 9);
  CHECK(again.expect(v1::ToAgent::kAcknowledgement).acknowledgement().sequence() == 1);
  CHECK(here.runs().runs_size() == 1);
}

TEST_CASE("a second agent of one identity is refused, told of, and the first goes on",
          "[collector][unit]") {
  Deployment here([](CollectorConfig& config) { config.heartbeat_interval = 10s; });
  Agent first(here, "node-1", "node-1", {.instance = "first"});
  first.expect(v1::ToAgent::kWelcome);
  {
    Agent second(here, "node-1", "node-1", {.epoch = 'f', .instance = "second"});
    const grpc::Status status = second.end();
    CHECK(status.error_code() == StatusCode::ALREADY_EXISTS);
    CHECK(retry_ms(status) == 10'000);
  }
  CHECK(here.findings().findings_size() == 0);  // it may only have been restarted
  first.send_start(1, 1, 9);
  first.expect(v1::ToAgent::kAcknowledgement);
  {
    Agent second(here, "node-1", "node-1", {.epoch = 'f', .instance = "second"});
    CHECK(second.end().error_code() == StatusCode::ALREADY_EXISTS);
  }
  CHECK(eventually([&] { return here.count_findings("identity-conflict") == 1; }));
  first.send_end(2, 1);
  CHECK(first.expect(v1::ToAgent::kAcknowledgement).acknowledgement().sequence() == 2);
  CHECK(here.runs().runs_size() == 1);
}

TEST_CASE("an agent that was restarted takes over when its old connection is gone",
          "[collector][unit]") {
  Deployment here;
  {
    Agent before(here, "node-1", "node-1", {.instance = "before"});
    before.expect(v1::ToAgent::kWelcome);
  }
  REQUIRE(eventually([&] { return !here.nodes().at(0).is_connected(); }));
  Agent after(here, "node-1", "node-1", {.instance = "after"});
  after.expect(v1::ToAgent::kWelcome);
  CHECK(here.nodes().at(0).state() == "connected");
  CHECK(here.nodes().at(0).address().find("127.0.0.1") != std::string::npos);
  CHECK(here.findings().findings_size() == 0);
}

TEST_CASE("a batch that got lost shows with the next heartbeat", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  agent.send_start(1, 1, 9);
  agent.expect(v1::ToAgent::kAcknowledgement);
  agent.send_heartbeat(1, 1, 1);
  agent.send_heartbeat(2, 2, 1);  // 2 was sent and never came
  CHECK_FALSE(agent.read());
  const grpc::Status status = agent.end();
  CHECK(status.error_code() == StatusCode::OUT_OF_RANGE);
  CHECK(status.error_message().find("those after 1 did not arrive") != std::string::npos);
}

TEST_CASE("an acknowledgement that got lost is sent again", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  agent.send_start(1, 1, 9);
  agent.expect(v1::ToAgent::kAcknowledgement);
  agent.send_heartbeat(1, 1, 0);  // it knows of nothing that is committed
  CHECK(agent.expect(v1::ToAgent::kAcknowledgement).acknowledgement().sequence() == 1);
}

TEST_CASE("a new outbox is asked for the full state, once a stream, and it repairs the runs",
          "[collector][unit]") {
  Deployment here;
  {
    Agent agent(here, "node-1", "node-1");
    agent.expect(v1::ToAgent::kWelcome);
    for (const int n : {1, 2})
      agent.send_start(static_cast<std::uint64_t>(n), n, 9);
    agent.expect(v1::ToAgent::kAcknowledgement);
    while (here.runs().runs_size() < 2)
      agent.expect(v1::ToAgent::kAcknowledgement);
  }
  Agent agent(here, "node-1", "node-1", {.epoch = 'f'});
  CHECK(agent.expect(v1::ToAgent::kWelcome).welcome().acknowledged() == 0);
  const auto request = agent.expect(v1::ToAgent::kStateRequest).state_request();
  CHECK(request.request() == 1);
  CHECK(request.reason().find("another outbox") != std::string::npos);
  CHECK(here.nodes().at(0).is_state_wanted());

  v1::FromAgent message;
  v1::EventBatch& batch = *message.mutable_batch();
  batch.add_events()->mutable_state_begun()->set_request(request.request());
  *batch.add_events() = agent.run_present(2, 9);
  *batch.add_events() = agent.run_present(3, 9);
  batch.add_events()->mutable_state_completed()->set_runs(2);
  for (int i = 0; i < batch.events_size(); ++i) {
    batch.mutable_events(i)->set_sequence(static_cast<std::uint64_t>(i + 1));
    batch.mutable_events(i)->set_time_ns(5'000'000'000);
  }
  agent.send(message);
  CHECK(agent.read()->acknowledgement().sequence() == 4);  // no second request before it
  const auto running = here.runs("", false);
  REQUIRE(running.runs_size() == 2);
  for (const auto& run : running.runs())
    CHECK(run.run_id() != run_id(1));
  CHECK_FALSE(here.nodes().at(0).is_state_wanted());
  CHECK(here.count_findings("evidence-gap") == 1);
}

TEST_CASE("two nodes of one name in two clusters do not mix", "[collector][unit]") {
  Deployment here;
  Agent one(here, "node-1", "node-1", {.instance = "one"});
  Agent other(here, "other-node-1", "node-1", {.cluster = "other", .instance = "other"});
  one.expect(v1::ToAgent::kWelcome);
  other.expect(v1::ToAgent::kWelcome);
  // The same epoch, sequences and run ids: only the certificate tells them apart.
  one.send_start(1, 1, 9);
  other.send_start(1, 1, 8);
  one.expect(v1::ToAgent::kAcknowledgement);
  other.expect(v1::ToAgent::kAcknowledgement);
  one.send_end(2, 1);
  one.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.runs("node-1").runs_size() == 2);
  CHECK(here.runs("node-1", false).runs_size() == 1);
  REQUIRE(here.runs("other/node-1").runs_size() == 1);
  CHECK(here.runs("other/node-1").runs(0).ended_ns() == 0);
  CHECK(here.runs("test/node-1").runs(0).ended_ns() != 0);
  const auto nodes = here.nodes();
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].cluster() == "other");
  CHECK(nodes[0].acknowledged() == 1);
  CHECK(nodes[1].cluster() == "test");
  CHECK(nodes[1].acknowledged() == 2);

  Agent liar(here, "other-node-1", "node-1");  // says that it is of cluster test
  CHECK(liar.end().error_code() == StatusCode::PERMISSION_DENIED);
}

TEST_CASE("nodes show the health that heartbeats bring", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  v1::FromAgent message;
  v1::Heartbeat& beat = *message.mutable_heartbeat();
  beat.set_number(1);
  beat.set_time_ns(to_unix_ns(here.clock.wall_now()) + 3'600'000'000'000);
  beat.set_probe_is_attached(true);
  beat.set_lost_starts(2);
  beat.set_late_starts(3);
  beat.set_outbox_bytes(4);
  beat.set_outbox_oldest_ns(5);
  beat.set_catalog_expires_ns(6);
  auto& degraded = *beat.add_degraded();
  degraded.set_mode("probe-blind");
  degraded.set_reason("why");
  agent.send(message);
  REQUIRE(eventually([&] { return here.nodes().at(0).heartbeat_ns() != 0; }));
  const v1::Node node = here.nodes().at(0);
  CHECK(node.state() == "connected");
  CHECK(node.probe_is_attached());
  CHECK_FALSE(node.probe_has_seen());
  CHECK(node.lost_starts() == 2);
  CHECK(node.late_starts() == 3);
  CHECK(node.outbox_bytes() == 4);
  CHECK(node.outbox_oldest_ns() == 5);
  CHECK(node.catalog_expires_ns() == 6);
  REQUIRE(node.degraded_size() == 1);
  CHECK(node.degraded(0).mode() == "probe-blind");
  CHECK(node.clock_offset_is_known());
  CHECK(node.clock_offset_ns() > 3'590'000'000'000);
  CHECK(node.clock_offset_ns() < 3'600'000'000'001);
}

TEST_CASE("a message beyond the limit ends its stream and nothing else", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  v1::FromAgent message;
  message.mutable_batch()->add_events()->mutable_run_started()->set_executable(
      std::string(5 << 20, 'x'));
  agent.send(message);
  CHECK_FALSE(agent.read());
  CHECK(agent.end().error_code() == StatusCode::RESOURCE_EXHAUSTED);
  Agent other(here, "node-2", "node-2");
  other.expect(v1::ToAgent::kWelcome);
}

}  // namespace
}  // namespace assay::collector
