// SPDX-License-Identifier: Apache-2.0
// The unix socket: who may use it, what lies at its place, and orders through it.
#include "agent/local/local_server.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using namespace std::chrono_literals;
using tests::Scratch;

struct Answers final : VerifyOrders {
  Result<std::uint64_t> order(const VerifyOrder& wanted, VerifyListener listener) override {
    if (wanted.target == "full") return Error{ErrorCode::kLimitExceeded, "too many wait"};
    worker = std::jthread([this, wanted, listener = std::move(listener)] {
      catalog::VerifiedLayer layer;
      layer.name = wanted.target;
      layer.outcome = catalog::LayerOutcome::kAsRecorded;
      for (int i = 0; i < layers; ++i)
        if (!listener(layer)) return;
      listener(catalog::VerifyDone{});
    });
    return 1;
  }
  void cancel(std::uint64_t) override { ++cancelled; }
  VerifyCounts counts() const override { return {}; }
  int layers = 1;
  std::atomic<int> cancelled{0};
  std::jthread worker;
};

struct Fixture {
  Scratch scratch;
  std::string path = scratch.path("run/agent.sock");
  Answers answers;
  std::unique_ptr<LocalServer> server;

  Result<void> start() {
    auto started = LocalServer::start(path, {answers, [](const auto&) {}, [](const auto&) {}});
    if (!started) return std::move(started.error());
    server = std::move(*started);
    return ok();
  }
  ~Fixture() { server.reset(); }
};

TEST_CASE("an order through the socket is answered to its end", "[agent][unit]") {
  Fixture fixture;
  fixture.answers.layers = 500;  // more than wait at once
  REQUIRE(fixture.start());
  struct stat status = {};
  REQUIRE(::stat(fixture.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  int layers = 0;
  std::optional<catalog::VerifyDone> done;
  const auto asked = verify_locally(fixture.path, {"web", 20s}, [&](const auto& event) {
    if (const auto* layer = std::get_if<catalog::VerifiedLayer>(&event))
      layers += layer->name == "web" ? 1 : 0;
    if (const auto* last = std::get_if<catalog::VerifyDone>(&event)) done = *last;
  });
  CHECK(asked);
  CHECK(layers == 500);
  CHECK(done == catalog::VerifyDone{});
}

TEST_CASE("garbage, silence and long orders at the socket keep no order out", "[agent][unit]") {
  Fixture fixture;
  REQUIRE(fixture.start());
  std::vector<UniqueFd> others;
  const std::string garbage(100'000, '\xff');
  for (int i = 0; i < 100; ++i) {
    auto fd = connect_locally(fixture.path);
    if (!fd) continue;  // its queue is full for a moment
    if (i % 2 == 0) (void)::send(fd->get(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
    others.push_back(std::move(*fd));
  }
  const auto nothing = [](const auto&) {};
  const auto refused = verify_locally(fixture.path, {std::string(5000, 'x'), 20s}, nothing);
  REQUIRE_FALSE(refused);
  bool is_taken = false;
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!is_taken && std::chrono::steady_clock::now() < until)
    is_taken = verify_locally(fixture.path, {"web", 20s}, nothing).has_value();
  CHECK(is_taken);
}

TEST_CASE("an order that cannot be taken is answered with why", "[agent][unit]") {
  Fixture fixture;
  REQUIRE(fixture.start());
  std::optional<catalog::VerifyDone> done;
  REQUIRE(verify_locally(fixture.path, {"full", 20s}, [&](const auto& event) {
    if (const auto* last = std::get_if<catalog::VerifyDone>(&event)) done = *last;
  }));
  CHECK(done == catalog::VerifyDone{ErrorCode::kLimitExceeded, "too many wait"});
}

TEST_CASE("a socket that nobody serves is replaced, one that somebody serves is not",
          "[agent][unit]") {
  Fixture fixture;
  { REQUIRE(listen_locally(fixture.path)); }  // closed, the file stays
  CHECK(connect_locally(fixture.path).error().code == ErrorCode::kUnavailable);
  REQUIRE(fixture.start());
  const auto second = listen_locally(fixture.path);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kUnavailable);
  CHECK_THAT(second.error().message, Catch::Contains("another assay-agent listens at"));
  fixture.server.reset();
  CHECK_FALSE(std::filesystem::exists(fixture.path));
}

TEST_CASE("a place that is not safe is refused", "[agent][unit]") {
  Fixture fixture;
  SECTION("others may enter its folder") {
    std::filesystem::create_directory(fixture.scratch.path("run"));
    REQUIRE(::chmod(fixture.scratch.path("run").c_str(), 0755) == 0);
    CHECK(fixture.start().error().code == ErrorCode::kUntrusted);
  }
  SECTION("something else lies there") {
    fixture.scratch.write("run/agent.sock", "mine");
    REQUIRE(::chmod(fixture.scratch.path("run").c_str(), 0700) == 0);
    CHECK(fixture.start().error().code == ErrorCode::kAlreadyExists);
  }
  SECTION("its path is too long") {
    fixture.path = "/" + std::string(200, 'x');
    CHECK(fixture.start().error().code == ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace assay::agent
