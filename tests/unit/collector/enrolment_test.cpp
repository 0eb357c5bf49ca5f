// SPDX-License-Identifier: Apache-2.0
// Nodes that join, renew, are revoked and replaced, through the whole collector with real TLS.
#include <cstdlib>

#include "agent/uplink/identity_folder.h"
#include "assay/v1/enrolment.grpc.pb.h"
#include "collector/core/enrolment_book.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "tests/unit/collector/link_support.h"

namespace assay::collector {
namespace {

using namespace tests;
using grpc::StatusCode;

constexpr const char* kAdmin = "data/admin";

/// A machine that wants to be a node.
class Machine {
 public:
  Machine(const Deployment& here, const std::string& name)
      : here_(here),
        name_(name),
        path_(here.dir.path() + "/machine-" + std::to_string(++count_)),
        folder_(open(path_)) {
    REQUIRE(folder_.keep_authorities(agent::certificates_from_pem(slurp(here.data() + "/ca.pem"))));
  }

  grpc::Status enrol(const std::string& token, const std::string& cluster = "test") {
    v1::EnrolRequest request;
    request.set_cluster(cluster);
    request.set_node(name_);
    request.set_request(*folder_.request());
    if (!token.empty()) request.set_join_token(token);
    return enrol(request);
  }

  grpc::Status enrol(const v1::EnrolRequest& request) {
    grpc::ClientContext context;
    v1::IssuedCertificate issued;
    const auto status = v1::Enrolment::NewStub(anonymous(here_))->Enrol(&context, request, &issued);
    if (status.ok()) keep(issued);
    return status;
  }

  grpc::Status renew(const std::string& certificate_request = "") {
    grpc::ClientContext context;
    v1::RenewRequest request;
    request.set_request(certificate_request.empty() ? *folder_.request() : certificate_request);
    v1::IssuedCertificate issued;
    const auto status =
        v1::Enrolment::NewStub(here_.connect(name_of_folder()))->Renew(&context, request, &issued);
    if (status.ok()) keep(issued);
    return status;
  }

  std::string request() const { return *folder_.request(); }
  /// For Deployment::connect.
  std::string name_of_folder() const { return path_.substr(here_.dir.path().size() + 1); }
  std::optional<agent::HeldCertificate> held() const { return folder_.held("test", name_); }

  static std::shared_ptr<grpc::Channel> anonymous(const Deployment& here) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = slurp(here.data() + "/ca.pem");
    return grpc::CreateChannel("127.0.0.1:" + std::to_string(here.collector->port()),
                               grpc::SslCredentials(tls));
  }

 private:
  static agent::IdentityFolder open(const std::string& path) {
    auto folder = agent::IdentityFolder::open(path);
    REQUIRE(folder);
    return *folder;
  }
  void keep(const v1::IssuedCertificate& issued) {
    REQUIRE(folder_.keep_certificate(issued.certificate()));
  }

  static inline int count_ = 0;
  const Deployment& here_;
  const std::string name_;
  const std::string path_;
  agent::IdentityFolder folder_;
};

struct Admin {
  std::unique_ptr<v1::NodeAccess::Stub> stub;

  explicit Admin(const Deployment& here, const std::string& who = kAdmin)
      : stub(v1::NodeAccess::NewStub(here.connect(who))) {}

  v1::CreatedJoinToken token(const std::string& pattern = "", std::uint32_t uses = 1,
                             bool may_replace = false, std::int64_t lifetime_s = 0) {
    grpc::ClientContext context;
    v1::CreateJoinTokenRequest request;
    request.set_pattern(pattern);
    request.set_uses(uses);
    request.set_may_replace(may_replace);
    request.set_lifetime_s(lifetime_s);
    v1::CreatedJoinToken created;
    const auto status = stub->CreateJoinToken(&context, request, &created);
    INFO(status.error_message());
    REQUIRE(status.ok());
    return created;
  }
  std::vector<v1::JoinToken> tokens() {
    grpc::ClientContext context;
    v1::ListJoinTokensResponse response;
    REQUIRE(stub->ListJoinTokens(&context, {}, &response).ok());
    return {response.tokens().begin(), response.tokens().end()};
  }
  grpc::Status revoke_token(const std::string& id) {
    grpc::ClientContext context;
    v1::RevokeJoinTokenRequest request;
    request.set_id(id);
    v1::JoinToken token;
    return stub->RevokeJoinToken(&context, request, &token);
  }
  grpc::Status revoke(const std::string& node, v1::NodeAccessChange* change = nullptr) {
    grpc::ClientContext context;
    v1::RevokeNodeRequest request;
    request.set_node(node);
    request.set_reason("stolen\x1b[31m disk");
    v1::NodeAccessChange unread;
    return stub->RevokeNode(&context, request, change != nullptr ? change : &unread);
  }
  grpc::Status restore(const std::string& node) {
    return named(&v1::NodeAccess::Stub::RestoreNode, node);
  }
  grpc::Status forget(const std::string& node) {
    return named(&v1::NodeAccess::Stub::ForgetNode, node);
  }

 private:
  grpc::Status named(grpc::Status (v1::NodeAccess::Stub::*method)(grpc::ClientContext*,
                                                                  const v1::NodeName&,
                                                                  v1::NodeAccessChange*),
                     const std::string& node) {
    grpc::ClientContext context;
    v1::NodeName request;
    request.set_node(node);
    v1::NodeAccessChange change;
    return ((*stub).*method)(&context, request, &change);
  }
};

std::vector<AuditEntry> audit_of(Deployment& here, const std::string& action) {
  REQUIRE(here.collector->commit_loop().drain(std::chrono::seconds(10)));
  here.collector.reset();
  auto store = SqliteStore::open({here.data() + "/collector.db"});
  REQUIRE(store);
  auto entries = (*store)->audit_log(1000);
  REQUIRE(entries);
  std::erase_if(*entries, [&](const AuditEntry& entry) { return entry.action != action; });
  return *entries;
}

void require_refused(const grpc::Status& status, const std::string& why) {
  INFO(status.error_message());
  CHECK(status.error_code() == StatusCode::PERMISSION_DENIED);
  CHECK(status.error_message().find(why) != std::string::npos);
}

v1::Node node_named(Deployment& here, const std::string& name) {
  for (const v1::Node& node : here.nodes())
    if (node.node() == name && node.cluster() == "test") return node;
  FAIL("no node " << name);
  return {};
}

TEST_CASE("a pattern of node names knows stars and nothing else", "[collector][unit]") {
  struct Row {
    const char* pattern;
    const char* name;
    bool matches;
  };
  const auto row =
      GENERATE(Row{"*", "", true}, Row{"*", "a.b-c", true}, Row{"web-*", "web-1", true},
               Row{"web-*", "db-1", false}, Row{"*-eu", "web-1-eu", true},
               Row{"a*b*c", "axxbxxc", true}, Row{"a*b*c", "axxbxx", false}, Row{"a**", "a", true},
               Row{"node-1", "node-10", false}, Row{"*ab", "aab", true}, Row{"", "a", false});
  CAPTURE(row.pattern, row.name);
  CHECK(matches_pattern(row.pattern, row.name) == row.matches);
}

TEST_CASE("a token lets one node in, once, and what it lets in speaks for that node",
          "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  const auto created = admin.token("new-*");
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(created.text()).ok());
  REQUIRE(machine.held());

  Agent agent(here, machine.name_of_folder(), "new-1");
  agent.expect(v1::ToAgent::kWelcome);
  CHECK(admin.tokens().front().used() == 1);
  CHECK(admin.tokens().front().state() == "used-up");
  CHECK(admin.tokens().front().last_node() == "test/new-1");
  // A lost answer is asked for again: the key is known by now, and no use is counted.
  REQUIRE(machine.enrol(created.text()).ok());
  REQUIRE(machine.enrol("").ok());
  CHECK(admin.tokens().front().used() == 1);
  require_refused(Machine(here, "new-2").enrol(created.text()), "is used-up");
}

TEST_CASE("a certificate names what the collector decided, for as long as it says",
          "[collector][unit]") {
  Deployment here;
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(Admin(here).token().text()).ok());
  const auto held = machine.held();  // checks the one URI, key and issuer
  REQUIRE(held);
  const auto left = held->expires - here.clock.wall_now();
  CHECK(left > std::chrono::hours(23));
  CHECK(left <= std::chrono::hours(24));
}

TEST_CASE("join tokens that are over make room for new ones, the oldest first",
          "[collector][unit]") {
  Deployment here;
  here.collector.reset();
  const auto run = [&](const std::string& sql) {
    auto database = sqlite::Database::open(here.data() + "/collector.db", {});
    REQUIRE(database);
    REQUIRE(database->execute(sql));
  };
  // As many as there may be; all are usable.
  run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
      std::to_string(kMaxJoinTokens) +
      ") INSERT INTO join_tokens(token_id, secret, cluster, pattern, uses, used, may_replace,"
      " created_ns, created_by, expires_ns, last_used_ns, last_node, revoked_ns)"
      " SELECT printf('%016x', i), zeroblob(32), 'test', '*', 1, 0, 0, i, 'ann',"
      " 9000000000000000000, 0, '', 0 FROM n");
  here.start();
  {
    grpc::ClientContext context;
    v1::CreatedJoinToken created;
    const auto status = v1::NodeAccess::NewStub(here.connect(kAdmin))
                            ->CreateJoinToken(&context, v1::CreateJoinTokenRequest(), &created);
    CHECK(!status.ok());
    CHECK(status.error_message().find("all of them are usable") != std::string::npos);
  }
  here.collector.reset();
  run("UPDATE join_tokens SET used=1 WHERE created_ns=7000");
  run("UPDATE join_tokens SET expires_ns=1 WHERE created_ns=70");
  run("UPDATE join_tokens SET revoked_ns=1 WHERE created_ns=700");
  here.start();
  const auto left = [&](int created_ns) {
    return here.count("SELECT count(*) FROM join_tokens WHERE created_ns=" +
                      std::to_string(created_ns));
  };
  Admin admin(here);
  for (const int next : {70, 700, 7000}) {
    CHECK(left(next) == 1);
    Machine machine(here, "new-" + std::to_string(next));
    const auto created = admin.token();
    CHECK(left(next) == 0);
    CHECK(here.count("SELECT count(*) FROM join_tokens") == kMaxJoinTokens);
    if (next == 7000) CHECK(machine.enrol(created.text()).ok());
  }
}

TEST_CASE("tokens that are not good for it let nobody in", "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  Machine machine(here, "new-1");
  const std::string good = admin.token().text();
  const auto dot = good.find('.', good.find('.') + 1);
  std::string other_secret = good;
  other_secret[dot + 1] = good[dot + 1] == '0' ? '1' : '0';

  require_refused(machine.enrol(other_secret), "not known here");
  require_refused(machine.enrol("assay-join-v1." + std::string(16, 'f') + good.substr(dot)),
                  "not known here");
  require_refused(machine.enrol(""), "needs a join token");
  require_refused(machine.enrol("hello"), "not a join token");
  require_refused(machine.enrol(admin.token("old-*").text()), "is for nodes test/old-*");
  require_refused(machine.enrol(admin.token("other/*").text()), "is for nodes other/*");
  const auto revoked = admin.token();
  REQUIRE(admin.revoke_token(revoked.token().id()).ok());
  require_refused(machine.enrol(revoked.text()), "is revoked");
  CHECK(admin.revoke_token("0000").error_code() == StatusCode::NOT_FOUND);

  const auto entries = audit_of(here, "node.enrol");
  CHECK(entries.size() == 7);
  for (const AuditEntry& entry : entries) {
    CHECK(entry.outcome == "refused");
    CHECK(entry.subject == "test/new-1");
    CHECK(entry.peer.starts_with("ipv4:127.0.0.1:"));
    CHECK(entry.detail.find(good.substr(dot + 1, 64)) == std::string::npos);
  }
}

TEST_CASE("a token's time is over when it is over", "[collector][unit]") {
  JoinToken token;
  token.expires_ns = 1000;
  CHECK(state_of(token, from_unix_ns(999)) == "usable");
  CHECK(state_of(token, from_unix_ns(1000)) == "expired");
}

TEST_CASE("requests that prove nothing are refused", "[collector][unit]") {
  Deployment here;
  const std::string token = Admin(here).token("", 10).text();
  Machine machine(here, "new-1");
  v1::EnrolRequest request;
  request.set_cluster("test");
  request.set_node("new-1");
  request.set_join_token(token);
  const auto code_of = [&](const std::string& csr) {
    request.set_request(csr);
    return machine.enrol(request).error_code();
  };
  std::string tampered = machine.request();
  tampered.back() = static_cast<char>(tampered.back() ^ 1);
  CHECK(code_of(tampered) == StatusCode::PERMISSION_DENIED);
  CHECK(code_of("") == StatusCode::INVALID_ARGUMENT);
  CHECK(code_of(std::string(3000, 'x')) == StatusCode::INVALID_ARGUMENT);
  CHECK(code_of(machine.request() + "x") == StatusCode::INVALID_ARGUMENT);
  request.set_join_token(std::string(20'000, 'x'));
  CHECK(code_of(machine.request()) == StatusCode::INVALID_ARGUMENT);
  request.set_join_token(token);
  request.set_node("../etc");
  CHECK(code_of(machine.request()) == StatusCode::INVALID_ARGUMENT);
  CHECK(Admin(here).tokens().front().used() == 0);
}

TEST_CASE("a forgotten key is worth nothing until a token brings it back", "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(admin.token("new-1").text()).ok());
  Agent present(here, machine.name_of_folder(), "new-1");
  present.expect(v1::ToAgent::kWelcome);
  REQUIRE(admin.forget("new-1").ok());
  while (present.read()) {
  }
  require_refused(present.end(), "was forgotten");
  Agent old(here, machine.name_of_folder(), "new-1");
  CHECK(!old.read());
  require_refused(old.end(), "was forgotten");
  require_refused(machine.renew(), "was forgotten");  // and this does not undo it
  require_refused(machine.enrol(""), "needs a join token");
  REQUIRE(machine.enrol(admin.token("new-1").text()).ok());
  Agent again(here, machine.name_of_folder(), "new-1");
  again.expect(v1::ToAgent::kWelcome);
}

TEST_CASE("who has a replaced key shuts the node's new one out no longer", "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  Machine thief(here, "new-1");
  REQUIRE(thief.enrol(admin.token("new-1").text()).ok());
  Agent stolen(here, thief.name_of_folder(), "new-1");
  stolen.expect(v1::ToAgent::kWelcome);
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(admin.token("new-1", 1, true).text()).ok());
  Agent present(here, machine.name_of_folder(), "new-1");
  present.expect(v1::ToAgent::kWelcome);
  while (stolen.read()) {
  }
  CHECK_FALSE(stolen.end().ok());
}

TEST_CASE("a node that never came can be revoked", "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  REQUIRE(admin.revoke("node-2").ok());  // its certificate was issued by hand
  Agent agent(here, "node-2", "node-2");
  CHECK(!agent.read());
  require_refused(agent.end(), "is revoked");
  CHECK(admin.revoke("no name").error_code() == StatusCode::NOT_FOUND);
}

TEST_CASE("a known node with another key needs an admin", "[collector][unit]") {
  Deployment here;
  Admin admin(here);
  const std::string token = admin.token("", 10).text();
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(token).ok());
  Machine again(here, "new-1");
  require_refused(again.enrol(token), "is known by another key");

  SECTION("who forgets the node") {
    REQUIRE(admin.forget("new-1").ok());
    REQUIRE(again.enrol(token).ok());
    require_refused(again.enrol("", "other"), "needs a join token");
  }
  SECTION("who makes a token that replaces") {
    REQUIRE(again.enrol(admin.token("new-1", 1, true).text()).ok());
  }
  // The machine from before has a certificate whose time is not over, and which is worth nothing.
  Agent old(here, machine.name_of_folder(), "new-1");
  CHECK(!old.read());
  require_refused(old.end(), "another key was enrolled since");
  require_refused(machine.renew(), "another key was enrolled since");
  require_refused(machine.enrol(""), "needs a join token");
  Agent present(here, again.name_of_folder(), "new-1");
  present.expect(v1::ToAgent::kWelcome);
}

TEST_CASE("a node that is known by its events only needs an admin, too", "[collector][unit]") {
  Deployment here;
  Agent(here, "node-1", "node-1").expect(v1::ToAgent::kWelcome);
  const std::string token = Admin(here).token("", 10).text();
  Machine machine(here, "node-1");
  require_refused(machine.enrol(token), "is known by another key");
  REQUIRE(Admin(here).forget("test/node-1").ok());
  REQUIRE(machine.enrol(token).ok());
}

TEST_CASE("a copy of a node's key is no key of another node", "[collector][unit]") {
  Deployment here;
  const std::string token = Admin(here).token("", 10).text();
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(token).ok());
  v1::EnrolRequest request;
  request.set_cluster("test");
  request.set_node("new-2");
  request.set_request(machine.request());
  request.set_join_token(token);
  require_refused(machine.enrol(request), "this key is that of node test/new-1");
}

TEST_CASE("a node renews its certificate with its certificate, for the same key",
          "[collector][unit]") {
  Deployment here;
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(Admin(here).token().text()).ok());
  REQUIRE(machine.renew().ok());
  Machine other(here, "new-1");
  require_refused(machine.renew(other.request()), "for the key that it was made for");
  grpc::ClientContext context;
  v1::IssuedCertificate issued;
  v1::RenewRequest request;
  request.set_request(machine.request());
  CHECK(v1::Enrolment::NewStub(Machine::anonymous(here))
            ->Renew(&context, request, &issued)
            .error_code() == StatusCode::UNAUTHENTICATED);
  grpc::ClientContext as_person;
  CHECK(v1::Enrolment::NewStub(here.connect("ann"))
            ->Renew(&as_person, request, &issued)
            .error_code() == StatusCode::PERMISSION_DENIED);
}

TEST_CASE("a revoked node is out at once, everywhere, also after a restart, until it is restored",
          "[collector][unit]") {
  Deployment here;
  const std::string token = Admin(here).token("", 10).text();
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(token).ok());
  {
    Agent agent(here, machine.name_of_folder(), "new-1");
    agent.expect(v1::ToAgent::kWelcome);
    v1::NodeAccessChange change;
    REQUIRE(Admin(here).revoke("new-1", &change).ok());
    CHECK(change.had_stream());
    while (agent.read()) {
    }
    require_refused(agent.end(), "was revoked");
  }
  const auto require_out = [&] {
    Agent agent(here, machine.name_of_folder(), "new-1");
    CHECK(!agent.read());
    require_refused(agent.end(), "is revoked since");
    require_refused(machine.renew(), "is revoked since");
    require_refused(machine.enrol(token), "is revoked since");
    require_refused(Machine(here, "new-1").enrol(token),
                    "is revoked:");  // a stranger learns no more
    const v1::Node shown = node_named(here, "new-1");
    CHECK(shown.revoked_ns() > 0);
    CHECK(shown.revoked_by() == "user:admin");
    CHECK(shown.revoked_reason().find("stolen") == 0);
    CHECK(shown.revoked_reason().find('\x1b') == std::string::npos);
  };
  require_out();
  here.start();
  require_out();
  REQUIRE(Admin(here).restore("test/new-1").ok());
  CHECK(Admin(here).restore("new-1").error_code() == StatusCode::NOT_FOUND);
  REQUIRE(machine.renew().ok());
  Agent agent(here, machine.name_of_folder(), "new-1");
  agent.expect(v1::ToAgent::kWelcome);
  CHECK(node_named(here, "new-1").revoked_ns() == 0);
  REQUIRE(audit_of(here, "node.revoke").size() == 1);
}

TEST_CASE("a node that is revoked before it ever connected is listed", "[collector][unit]") {
  Deployment here;
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(Admin(here).token().text()).ok());
  CHECK(here.nodes().empty());
  REQUIRE(Admin(here).revoke("new-1").ok());
  CHECK(node_named(here, "new-1").revoked_ns() > 0);
  CHECK(Admin(here).revoke("no body").error_code() == StatusCode::NOT_FOUND);
}

TEST_CASE("only admins let nodes in and out", "[collector][unit]") {
  Deployment here;
  Admin viewer(here, "ann");
  Agent(here, "node-1", "node-1").expect(v1::ToAgent::kWelcome);
  for (const auto& status :
       {viewer.revoke("node-1"), viewer.restore("node-1"), viewer.forget("node-1"),
        viewer.revoke_token("x"), Admin(here, "node-1").revoke("node-1")})
    CHECK(status.error_code() == StatusCode::PERMISSION_DENIED);
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
}

TEST_CASE("who tries too often is told when to come back, and nodes do not feel it",
          "[collector][unit]") {
  Deployment here([](CollectorConfig& config) { config.enrol_address_rate = 1; });
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(Admin(here).token().text()).ok());
  const auto stub = v1::Enrolment::NewStub(Machine::anonymous(here));
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::TrustBundle bundle;
    const auto status = stub->GetAuthorities(&context, {}, &bundle);
    if (status.ok()) continue;
    CHECK(status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    CHECK(!status.error_details().empty());  // RetryInfo
    ++refused;
  }
  CHECK(refused >= 10);
  CHECK(machine.renew().ok());
  auto entries = audit_of(here, "node.enrol");
  std::erase_if(entries, [](const AuditEntry& entry) { return entry.outcome == "done"; });
  REQUIRE(entries.size() == 1);  // not one for each
  CHECK(entries.front().detail.find("above the limit") != std::string::npos);
}

TEST_CASE("what is kept of enrolments survives a restart as it was", "[collector][unit]") {
  Deployment here;
  Machine machine(here, "new-1");
  REQUIRE(machine.enrol(Admin(here).token("new-*", 3, true, 3600).text()).ok());
  const auto before = Admin(here).tokens();
  here.start();
  const auto after = Admin(here).tokens();
  REQUIRE(after.size() == 1);
  CHECK(after.front().SerializeAsString() == before.front().SerializeAsString());
  REQUIRE(machine.enrol("").ok());
  // The secret itself is nowhere.
  const auto store = slurp(here.data() + "/collector.db");
  CHECK(store.find("assay-join") == std::string::npos);
}

}  // namespace
}  // namespace assay::collector
