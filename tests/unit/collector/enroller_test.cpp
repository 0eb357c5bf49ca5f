// SPDX-License-Identifier: Apache-2.0
// The agent's own part of enrolment against the whole collector: with a token alone, with renewals,
// through a change of authorities.
#include "agent/uplink/enroller.h"

#include <sys/stat.h>

#include <atomic>

#include "agent/uplink/identity_folder.h"
#include "assay/v1/enrolment.grpc.pb.h"
#include "collector/identity/authority_rotation.h"
#include "tests/unit/collector/link_support.h"

namespace assay::collector {
namespace {

using namespace tests;

/// The system's clock, set to another time.
class SetClock final : public Clock {
 public:
  WallTime wall_now() const override { return system_.wall_now() + std::chrono::seconds(ahead_); }
  BootTime boot_now() const override { return system_.boot_now(); }
  void set_ahead(std::chrono::seconds by) { ahead_ = by.count(); }

 private:
  SystemClock system_;
  std::atomic<std::int64_t> ahead_{0};
};

std::string make_token(const Deployment& here, std::uint32_t uses = 1) {
  grpc::ClientContext context;
  v1::CreateJoinTokenRequest request;
  request.set_uses(uses);
  v1::CreatedJoinToken created;
  REQUIRE(v1::NodeAccess::NewStub(here.connect("data/admin"))
              ->CreateJoinToken(&context, request, &created)
              .ok());
  return created.text();
}

struct Enrolling {
  Enrolling(const Deployment& here, const std::string& token, const std::string& node = "new-1",
            const std::string& ca_file = "") {
    options.address = "127.0.0.1:" + std::to_string(here.collector->port());
    options.cluster = "test";
    options.node = node;
    options.folder = dir.path() + "/identity";
    options.token_file = dir.path() + "/token";
    options.ca_file = ca_file;
    options.backoff_least = std::chrono::milliseconds(20);
    options.backoff_most = std::chrono::milliseconds(100);
    REQUIRE(write_file_atomically(options.token_file, token + "\n", 0600));
  }

  void start() {
    agent::EnrolCallbacks callbacks;
    callbacks.on_certificate = [this] { ++certificates; };
    callbacks.on_problem = [this](const std::string& problem) {
      const MutexLock lock(mutex);
      problems.push_back(problem);
    };
    callbacks.on_warning = callbacks.on_problem;
    auto created = agent::Enroller::create(options, clock, std::move(callbacks));
    REQUIRE(created);
    enroller = std::move(*created);
    enroller->start();
  }

  std::string first_problem() {
    REQUIRE(eventually([this] {
      const MutexLock lock(mutex);
      return !problems.empty();
    }));
    const MutexLock lock(mutex);
    return problems.front();
  }

  TempDir dir;
  agent::EnrolOptions options;
  SetClock clock;
  std::atomic<int> certificates{0};
  Mutex mutex;
  std::vector<std::string> problems ASSAY_GUARDED_BY(mutex);
  std::unique_ptr<agent::Enroller> enroller;  // the last: its thread uses the others
};

/// The collector takes its files over; what it tells agents then.
v1::TrustBundle take_over(Deployment& here) {
  CollectorConfig config;
  config.data_dir = here.data();
  config.trust_file = here.dir.path() + "/trust.pem";
  REQUIRE(here.collector->reload(config));
  grpc::ClientContext context;
  v1::TrustBundle bundle;
  REQUIRE(v1::Enrolment::NewStub(here.connect("data/admin"))
              ->GetAuthorities(&context, {}, &bundle)
              .ok());
  return bundle;
}

v1::TrustBundle rotate(Deployment& here, RotationStep step) {
  REQUIRE(rotate_authority(here.data(), step, here.clock.wall_now()));
  return take_over(here);
}

Result<void> hear(Enrolling& joining, const v1::TrustBundle& bundle) {
  return joining.enroller->take_trust({bundle.authorities().begin(), bundle.authorities().end()},
                                      bundle.issuer());
}

TEST_CASE("a token is all that an agent needs to find the right collector and join it",
          "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
  REQUIRE(agent::load_tls_files(joining.enroller->files()));
  struct stat status {};
  REQUIRE(::stat(joining.enroller->files().key.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(joining.enroller->trust().digest.size() == 32);
  // It is there after a restart, and nothing is asked for again.
  joining.enroller.reset();
  const std::string before = slurp(joining.options.folder + "/cert.pem");
  joining.start();
  joining.enroller.reset();
  CHECK(slurp(joining.options.folder + "/cert.pem") == before);
}

TEST_CASE("an agent believes no collector that its token does not name", "[collector][unit]") {
  Deployment here;
  Deployment impostor;
  std::string token = make_token(impostor);
  SECTION("with another authority in the token") {
    Enrolling joining(here, token);
    joining.start();
    CHECK(joining.first_problem().find("none of the authorities that the join token names") !=
          std::string::npos);
  }
  SECTION("with no authority in the token") {
    token = token.substr(0, token.rfind('.'));
    Enrolling joining(here, token);
    joining.start();
    CHECK(joining.first_problem().find("nothing says which collector to believe") !=
          std::string::npos);
  }
  SECTION("with another authority in a file") {
    Enrolling joining(here, make_token(here), "new-1", impostor.data() + "/ca.pem");
    joining.start();
    CHECK(joining.first_problem().find("127.0.0.1") != std::string::npos);
    CHECK(joining.certificates == 0);
  }
}

TEST_CASE("a token that others may read is not used", "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  REQUIRE(::chmod(joining.options.token_file.c_str(), 0644) == 0);
  joining.start();
  CHECK(joining.first_problem().find("chmod 600 " + joining.options.token_file) !=
        std::string::npos);
}

TEST_CASE("an agent that was refused says why and joins when it may", "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here, 1) + "ff", "new-1", here.data() + "/ca.pem");
  const std::string spent = make_token(here);
  Enrolling first(here, spent, "other-1");
  first.start();
  REQUIRE(eventually([&] { return first.certificates == 1; }));
  REQUIRE(write_file_atomically(joining.options.token_file, spent, 0600));
  joining.start();
  CHECK(joining.first_problem().find("is used-up") != std::string::npos);
  CHECK(joining.first_problem().find(spent.substr(40, 40)) == std::string::npos);
  REQUIRE(write_file_atomically(joining.options.token_file, make_token(here), 0600));
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
}

TEST_CASE("a certificate is renewed after about two thirds of its life", "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
  const std::string first = slurp(joining.options.folder + "/cert.pem");
  joining.enroller.reset();

  joining.clock.set_ahead(std::chrono::hours(13));  // of 25 from begin to end: not yet
  joining.start();
  joining.enroller->set_address("");
  joining.enroller->set_address(joining.options.address);
  joining.enroller.reset();
  CHECK(slurp(joining.options.folder + "/cert.pem") == first);

  joining.clock.set_ahead(std::chrono::hours(18));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates >= 2; }));
  CHECK(slurp(joining.options.folder + "/cert.pem") != first);
}

TEST_CASE("an agent whose certificate ended while it was off comes back with its old key",
          "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
  joining.enroller.reset();
  REQUIRE(std::remove(joining.options.token_file.c_str()) == 0);
  joining.clock.set_ahead(std::chrono::hours(48));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates >= 2; }));
}

TEST_CASE("an agent whose clock is far ahead says so and asks for one certificate, not for many",
          "[collector][unit]") {
  const auto ahead = GENERATE(std::chrono::hours(20), std::chrono::hours(48));  // due, over
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.clock.set_ahead(ahead);
  joining.start();
  CHECK(joining.first_problem().find("this clock is ahead of the certificate") !=
        std::string::npos);
  for (int i = 0; i < 10; ++i) {
    joining.enroller->set_address("");
    joining.enroller->set_address(joining.options.address);
    make_token(here);  // a call takes as long as a renewal
  }
  CHECK(joining.certificates == 1);
  // With the clock set right it is as good as any.
  joining.clock.set_ahead(std::chrono::seconds(0));
  joining.enroller.reset();
  joining.start();
  joining.enroller.reset();
  CHECK(joining.certificates == 1);
}

TEST_CASE("an agent follows another authority by itself, and the first one may go",
          "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
  v1::TrustBundle bundle = rotate(here, RotationStep::kPrepare);
  REQUIRE(bundle.authorities_size() == 2);
  REQUIRE(hear(joining, bundle));
  const std::string old_issuer = joining.enroller->trust().issuer;
  CHECK(old_issuer == bundle.issuer());

  bundle = rotate(here, RotationStep::kActivate);
  CHECK(bundle.issuer() != old_issuer);
  joining.clock.set_ahead(std::chrono::minutes(10));  // past the time that spreads a fleet
  REQUIRE(hear(joining, bundle));
  joining.enroller->set_address("");  // looks at the clock again
  joining.enroller->set_address(joining.options.address);
  joining.clock.set_ahead(std::chrono::minutes(20));
  joining.enroller->set_address("");
  joining.enroller->set_address(joining.options.address);
  REQUIRE(eventually([&] { return joining.enroller->trust().issuer == bundle.issuer(); }));

  bundle = rotate(here, RotationStep::kRetire);
  REQUIRE(bundle.authorities_size() == 1);
  REQUIRE(hear(joining, bundle));
  REQUIRE(agent::load_tls_files(joining.enroller->files()));
}

TEST_CASE("an agent that slept from before activate until after retire comes back by its old key",
          "[collector][unit]") {
  Deployment here;
  Enrolling joining(here, make_token(here));
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 1; }));
  REQUIRE(hear(joining, rotate(here, RotationStep::kPrepare)));
  joining.enroller.reset();
  REQUIRE(std::remove(joining.options.token_file.c_str()) == 0);
  rotate(here, RotationStep::kActivate);
  const std::string issuer = rotate(here, RotationStep::kRetire).issuer();
  joining.clock.set_ahead(std::chrono::hours(18));  // due, not over
  joining.start();
  REQUIRE(eventually([&] { return joining.certificates == 2; }));
  CHECK(joining.enroller->trust().issuer == issuer);
}

TEST_CASE("a collector that issues does not show a certificate that its agents would not believe",
          "[collector][unit]") {
  Deployment here;
  Deployment elsewhere;
  CollectorConfig config;
  config.data_dir = here.data();
  config.listen = "127.0.0.1:0";
  config.trust_file = here.dir.path() + "/trust.pem";
  config.tls_cert = elsewhere.data() + "/server.pem";
  config.tls_key = elsewhere.data() + "/server-key.pem";
  const auto reloaded = here.collector->reload(config);
  REQUIRE(!reloaded);
  for (const char* named : {"tls.cert", "tls.ca", "enrol.ca_key", "locked out"})
    CHECK(reloaded.error().text().find(named) != std::string::npos);
  here.collector.reset();
  const auto started = Collector::start(config, here.clock, *here.log);
  REQUIRE(!started);
  CHECK(started.error().text() == reloaded.error().text());
  // Where certificates come from elsewhere it is not for the collector to say.
  REQUIRE(std::rename((here.data() + "/ca-key.pem").c_str(),
                      (here.dir.path() + "/ca-key.pem").c_str()) == 0);
  CHECK(Collector::start(config, here.clock, *here.log));
}

TEST_CASE("what is no authority is not trusted", "[collector][unit]") {
  Deployment here;
  TempDir dir;
  auto folder = agent::IdentityFolder::open(dir.path() + "/identity");
  REQUIRE(folder);
  const auto leaf = agent::certificates_from_pem(slurp(here.data() + "/server.pem"));
  CHECK(!folder->keep_authorities(leaf));
  CHECK(!folder->keep_authorities({}));
  CHECK(!folder->keep_authorities({"garbage"}));
  CHECK(folder->authorities().empty());
}

}  // namespace
}  // namespace assay::collector
