// SPDX-License-Identifier: Apache-2.0
// Commands to nodes through the whole collector, with real mTLS: who may, where they go, how they
// end.
#include "collector/query/node_commands.h"

#include <thread>

#include "assay/v1/verify.grpc.pb.h"
#include "tests/unit/collector/link_support.h"

namespace assay::collector {
namespace {

using namespace tests;
using grpc::StatusCode;

/// One call, on a thread of its own.
class Asked {
 public:
  Asked(const Deployment& here, const std::string& who, const std::string& node,
        const std::string& target = "", std::uint32_t timeout_ms = 60'000)
      : stub_(v1::NodeCommands::NewStub(here.connect(who))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::VerifyNodeRequest request;
    request.set_node(node);
    request.set_target(target);
    request.set_timeout_ms(timeout_ms);
    reader_ = stub_->Verify(&context_, request);
  }
  std::optional<v1::VerifyEvent> read() {
    v1::VerifyEvent event;
    if (!reader_->Read(&event)) return std::nullopt;
    return event;
  }
  v1::VerifyDone done() {
    for (;;) {
      const auto event = read();
      REQUIRE(event);
      if (event->has_done()) return event->done();
    }
  }
  grpc::Status finish() { return reader_->Finish(); }
  void cancel() { context_.TryCancel(); }

 private:
  std::unique_ptr<v1::NodeCommands::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::VerifyEvent>> reader_;
};

constexpr const char* kAdmin = "data/admin";

v1::FromAgent answer(std::uint64_t command) {
  v1::FromAgent message;
  message.mutable_verified()->set_command(command);
  return message;
}

v1::FromAgent layer_answer(std::uint64_t command, const std::string& outcome) {
  v1::FromAgent message = answer(command);
  message.mutable_verified()->mutable_event()->mutable_layer()->set_outcome(outcome);
  return message;
}

v1::FromAgent done_answer(std::uint64_t command) {
  v1::FromAgent message = answer(command);
  message.mutable_verified()->mutable_event()->mutable_done();
  return message;
}

TEST_CASE("a command reaches its node, and its answers who asked", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  Asked asked(here, kAdmin, "node-1", "web", 5000);
  const v1::VerifyCommand command = agent.expect(v1::ToAgent::kVerify).verify();
  CHECK(command.target() == "web");
  CHECK(command.timeout_ms() == 5000);
  CHECK(command.actor() == "user:admin");
  agent.send(layer_answer(command.command() + 1, "as-recorded"));  // nobody asked
  agent.send(layer_answer(command.command(), "changed"));
  agent.send(done_answer(command.command()));
  const auto event = asked.read();
  REQUIRE(event);
  CHECK(event->layer().outcome() == "changed");
  CHECK(asked.done().error().empty());
  CHECK(asked.finish().ok());
}

TEST_CASE("only who has the role may command", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  for (const auto& [who, why] : {std::pair{"ann", "role admin"}, {"node-2", "for people"}}) {
    Asked asked(here, who, "node-1");
    CHECK_FALSE(asked.read());
    const grpc::Status status = asked.finish();
    CHECK(status.error_code() == StatusCode::PERMISSION_DENIED);
    CHECK_THAT(status.error_message(), Catch::Contains(why));
  }
}

TEST_CASE("what cannot be sent is said at once", "[collector][unit]") {
  Deployment here;
  Agent::Hello older;
  older.can_verify = false;
  Agent agent(here, "node-2", "node-2", older);
  agent.expect(v1::ToAgent::kWelcome);
  struct Row {
    const char* node;
    const char* error;
    const char* says;
  };
  for (const Row& row : {Row{"node-3", "not-found", "ever connected"},
                         Row{"node-2", "unsupported", "cannot verify on demand"}}) {
    Asked asked(here, kAdmin, row.node);
    const v1::VerifyDone done = asked.done();
    CHECK(done.error() == row.error);
    CHECK_THAT(done.message(), Catch::Contains(row.says));
  }
}

TEST_CASE("a stream that ends in the middle ends its commands", "[collector][unit]") {
  Deployment here;
  auto agent = std::make_unique<Agent>(here, "node-1", "node-1");
  agent->expect(v1::ToAgent::kWelcome);
  Asked asked(here, kAdmin, "test/node-1");
  const auto command = agent->expect(v1::ToAgent::kVerify).verify().command();
  agent->send(layer_answer(command, "as-recorded"));
  REQUIRE(asked.read());
  agent.reset();
  const v1::VerifyDone done = asked.done();
  CHECK(done.error() == "unavailable");
  CHECK_THAT(done.message(), Catch::Contains("stream ended before it had answered"));
  Asked later(here, kAdmin, "node-1");
  CHECK_THAT(later.done().message(), Catch::Contains("is not connected"));
}

TEST_CASE("who goes away ends the work on the node", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  Asked asked(here, kAdmin, "node-1");
  const auto command = agent.expect(v1::ToAgent::kVerify).verify().command();
  asked.cancel();
  CHECK(agent.expect(v1::ToAgent::kCommandCancelled).command_cancelled().command() == command);
  CHECK(asked.finish().error_code() == StatusCode::CANCELLED);
}

TEST_CASE("an agent has so many commands and no more", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  std::vector<std::unique_ptr<Asked>> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(std::make_unique<Asked>(here, kAdmin, "node-1"));
    agent.expect(v1::ToAgent::kVerify);
  }
  Asked one_more(here, kAdmin, "node-1");
  CHECK(one_more.done().error() == "limit-exceeded");
  for (const auto& one : all)
    one->cancel();
  for (const auto& one : all)
    CHECK_FALSE(one->finish().ok());
}

TEST_CASE("an answer that is none is not told as clean", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  Asked asked(here, kAdmin, "node-1");
  agent.send(answer(agent.expect(v1::ToAgent::kVerify).verify().command()));
  CHECK(asked.done().error() == "corrupt");
}

TEST_CASE("a node is named with its cluster where there are several", "[collector][unit]") {
  std::vector<NodeView> nodes(3);
  nodes[0].key = {"prod", "a"};
  nodes[1].key = {"test", "a"};
  nodes[2].key = {"test", "b"};
  nodes[0].is_connected = nodes[2].is_connected = true;
  CHECK(*find_connected_node("prod/a", nodes) == NodeKey{"prod", "a"});
  CHECK(*find_connected_node("b", nodes) == NodeKey{"test", "b"});
  CHECK(find_connected_node("a", nodes).error().code == ErrorCode::kInvalidArgument);
  CHECK(find_connected_node("test/a", nodes).error().code == ErrorCode::kUnavailable);
  CHECK(find_connected_node("c", nodes).error().code == ErrorCode::kNotFound);
}

}  // namespace
}  // namespace assay::collector
