// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/authority_rotation.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "collector/app/told_once.h"
#include "collector/identity/authority_dir.h"
#include "collector/identity/certificates.h"
#include "collector/identity/certifier.h"
#include "collector/identity/server_chain.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using namespace tests;

std::string read(const std::string& path) {
  auto text = read_file(path, 1 << 20);
  REQUIRE(text);
  return *text;
}

struct Folder {
  TempDir temp;
  std::string dir = temp.path() + "/data";
  WallTime now = SystemClock().wall_now();

  Folder() { REQUIRE(init_authority({dir, "test", "collector.example"}, now)); }
  Result<void> step(RotationStep step) { return rotate_authority(dir, step, now); }
  AuthorityState state() {
    auto state = read_authority_state(dir);
    REQUIRE(state);
    return *state;
  }
  /// The leaf is believed by who trusts `bundle`.
  bool is_believed(const std::string& leaf, const std::string& bundle) {
    const auto all = certificates_of(bundle);
    REQUIRE(all);
    for (const std::string& der : *all)
      if (is_issued_by(leaf, to_pem({der}))) return true;
    return false;
  }
};

TEST_CASE("at each step of a rotation everything in use is believed", "[collector][unit]") {
  Folder folder;
  const std::string first_ca = read(folder.dir + "/ca.pem");
  const std::string first_leaf = read(folder.dir + "/server.pem");
  CHECK(folder.state().phase == RotationPhase::kSingle);

  REQUIRE(folder.step(RotationStep::kPrepare));
  const std::string both = read(folder.dir + "/ca.pem");
  CHECK(folder.state().phase == RotationPhase::kPrepared);
  CHECK(folder.state().certificates.size() == 2);
  CHECK(folder.state().certificates[0].is_issuing);
  CHECK(read(folder.dir + "/server.pem") == first_leaf);
  CHECK(folder.is_believed(first_leaf, both));
  CHECK(read(folder.dir + "/admin/ca.pem") == both);

  REQUIRE(folder.step(RotationStep::kActivate));
  const std::string second_leaf = read(folder.dir + "/server.pem");
  CHECK(folder.state().phase == RotationPhase::kActivated);
  CHECK(folder.state().certificates[1].is_issuing);
  CHECK(read(folder.dir + "/ca.pem") == both);
  CHECK(folder.is_believed(second_leaf, both));
  CHECK(!folder.is_believed(second_leaf, first_ca));
  CHECK(!folder.is_believed(read(folder.dir + "/admin/cert.pem"), first_ca));

  REQUIRE(folder.step(RotationStep::kRetire));
  const std::string second_ca = read(folder.dir + "/ca.pem");
  CHECK(folder.state().phase == RotationPhase::kSingle);
  CHECK(folder.is_believed(second_leaf, second_ca));
  CHECK(!folder.is_believed(first_leaf, second_ca));
  for (const char* gone : {"/ca-next-key.pem", "/ca-old-key.pem"})
    CHECK(!std::filesystem::exists(folder.dir + gone));
  for (const char* key : {"/ca-key.pem", "/server-key.pem"})
    CHECK((std::filesystem::status(folder.dir + key).permissions() &
           std::filesystem::perms::others_read) == std::filesystem::perms::none);
  // And once more from there.
  REQUIRE(folder.step(RotationStep::kPrepare));
}

TEST_CASE("steps of a rotation come in their order", "[collector][unit]") {
  Folder folder;
  CHECK(folder.step(RotationStep::kActivate).error().message.find("next step is prepare") !=
        std::string::npos);
  CHECK(!folder.step(RotationStep::kRetire));
  REQUIRE(folder.step(RotationStep::kPrepare));
  CHECK(!folder.step(RotationStep::kPrepare));
  CHECK(folder.step(RotationStep::kRetire).error().message.find("next step is activate") !=
        std::string::npos);
  REQUIRE(folder.step(RotationStep::kActivate));
  CHECK(folder.step(RotationStep::kActivate).error().message.find("next step is retire") !=
        std::string::npos);
}

TEST_CASE("a rotation that was broken off after its key is begun again", "[collector][unit]") {
  Folder folder;
  REQUIRE(write_file_atomically(folder.dir + "/ca-next-key.pem", "torn", 0600));
  CHECK(folder.state().phase == RotationPhase::kSingle);
  REQUIRE(folder.step(RotationStep::kPrepare));
  REQUIRE(folder.step(RotationStep::kActivate));
}

TEST_CASE("an authority that a person added is no rotation and outlives one", "[collector][unit]") {
  Folder folder;
  const auto company = make_authority("Company CA", folder.now);
  REQUIRE(company);
  const std::string first = read(folder.dir + "/ca.pem");
  std::string both = first + company->certificate;
  both.pop_back();  // as an editor leaves it
  REQUIRE(write_file_atomically(folder.dir + "/ca.pem", both, 0644));
  CHECK(folder.state().phase == RotationPhase::kSingle);
  CHECK(folder.step(RotationStep::kRetire).error().message.find("next step is prepare") !=
        std::string::npos);
  CHECK(read(folder.dir + "/ca.pem") == both);

  REQUIRE(folder.step(RotationStep::kPrepare));
  CHECK(folder.state().certificates.size() == 3);
  REQUIRE(folder.step(RotationStep::kActivate));
  CHECK(folder.state().phase == RotationPhase::kActivated);
  REQUIRE(folder.step(RotationStep::kRetire));
  const std::string left = read(folder.dir + "/ca.pem");
  CHECK(folder.state().phase == RotationPhase::kSingle);
  CHECK(folder.state().certificates.size() == 2);
  CHECK(left.find(company->certificate) != std::string::npos);
  CHECK(left.find(first) == std::string::npos);
  CHECK(folder.is_believed(read(folder.dir + "/server.pem"), left));
}

TEST_CASE("prepare leaves a bundle alone that cannot hold one more", "[collector][unit]") {
  Folder folder;
  std::string bundle = read(folder.dir + "/ca.pem");
  SECTION("it is full") {
    for (int i = 0; i < 15; ++i)
      bundle += make_authority("Company CA", folder.now)->certificate;
  }
  SECTION("what comes last cannot be read") {
    bundle += "-----BEGIN CERTIFICATE-----\ntorn\n";
  }
  REQUIRE(write_file_atomically(folder.dir + "/ca.pem", bundle, 0644));
  const auto prepared = folder.step(RotationStep::kPrepare);
  REQUIRE(!prepared);
  CHECK(prepared.error().text().find("ca.pem") != std::string::npos);
  CHECK(read(folder.dir + "/ca.pem") == bundle);
  CHECK(!std::filesystem::exists(folder.dir + "/ca-next-key.pem"));
}

TEST_CASE("retire does first what an activate that was broken off left undone",
          "[collector][unit]") {
  Folder folder;
  const std::string first_leaf = read(folder.dir + "/server.pem");
  REQUIRE(folder.step(RotationStep::kPrepare));
  // Activate up to its rename.
  std::filesystem::copy_file(folder.dir + "/ca-key.pem", folder.dir + "/ca-old-key.pem");
  std::filesystem::rename(folder.dir + "/ca-next-key.pem", folder.dir + "/ca-key.pem");
  SECTION("the server's certificate is replaced") {
    REQUIRE(folder.step(RotationStep::kRetire));
    const std::string server = read(folder.dir + "/server.pem");
    CHECK(server != first_leaf);
    CHECK(folder.is_believed(server, read(folder.dir + "/ca.pem")));
  }
  SECTION("but not one that comes from elsewhere") {
    Folder elsewhere;
    const std::string foreign = read(elsewhere.dir + "/server.pem");
    REQUIRE(write_file_atomically(folder.dir + "/server.pem", foreign, 0644));
    REQUIRE(folder.step(RotationStep::kRetire));
    CHECK(read(folder.dir + "/server.pem") == foreign);
  }
  SECTION("and none is made where there is none") {
    std::filesystem::remove(folder.dir + "/server.pem");
    REQUIRE(folder.step(RotationStep::kRetire));
    CHECK(!std::filesystem::exists(folder.dir + "/server.pem"));
  }
}

TEST_CASE("the server's certificate keeps its names when it is renewed, and only when it is due",
          "[collector][unit]") {
  Folder folder;
  const std::string before = read(folder.dir + "/server.pem");
  CHECK(*renew_server(folder.dir, Renewal::kIfDue, folder.now) == false);
  CHECK(read(folder.dir + "/server.pem") == before);
  const WallTime later = folder.now + std::chrono::days(300);
  CHECK(*renew_server(folder.dir, Renewal::kIfDue, later) == true);
  const std::string after = read(folder.dir + "/server.pem");
  CHECK(after != before);
  CHECK(*is_due(after, later) == false);
  REQUIRE(load_server_files(
      {folder.dir + "/server.pem", folder.dir + "/server-key.pem", folder.dir + "/ca.pem"}, later));
}

TEST_CASE("a server is believed by those who trust its authority, at the time that it is good for",
          "[collector][unit]") {
  Folder folder;
  Folder elsewhere;
  const std::string server = read(folder.dir + "/server.pem");
  const std::string own = read(folder.dir + "/ca.pem");
  const std::string other = read(elsewhere.dir + "/ca.pem");  // of the same name
  CHECK(check_server_chain(server, own, folder.now));
  CHECK(check_server_chain(server, other + own, folder.now));
  CHECK(check_server_chain(server, other, folder.now).error().code == ErrorCode::kUntrusted);
  // What it shows itself is not trusted for that.
  CHECK(!check_server_chain(server + own, other, folder.now));
  CHECK(!check_server_chain(read(folder.dir + "/admin/cert.pem"), own, folder.now));
  CHECK(!check_server_chain(server, own, folder.now + std::chrono::days(4000)));
  CHECK(check_server_chain("nothing", own, folder.now).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("a problem that stays is told once, and again when it comes back", "[collector][unit]") {
  ToldOnce problem;
  CHECK(!problem.is_news(""));
  CHECK(problem.is_news("no key"));
  CHECK(!problem.is_news("no key"));
  CHECK(problem.is_news("no certificate"));
  CHECK(!problem.is_news(""));
  CHECK(problem.is_news("no certificate"));
}

TEST_CASE("a server's certificate from elsewhere is left alone", "[collector][unit]") {
  Folder folder;
  Folder elsewhere;
  const std::string foreign = read(elsewhere.dir + "/server.pem");
  REQUIRE(write_file_atomically(folder.dir + "/server.pem", foreign, 0644));
  const auto renewed = renew_server(folder.dir, Renewal::kNow, folder.now);
  REQUIRE(!renewed);
  CHECK(renewed.error().code == ErrorCode::kUntrusted);
  CHECK(read(folder.dir + "/server.pem") == foreign);
}

TEST_CASE("clients that are issued in the middle of a rotation believe both authorities",
          "[collector][unit]") {
  Folder folder;
  REQUIRE(folder.step(RotationStep::kPrepare));
  REQUIRE(issue_client({folder.dir, "node-1", "", folder.temp.path() + "/node-1"}, folder.now));
  CHECK(read(folder.temp.path() + "/node-1/ca.pem") == read(folder.dir + "/ca.pem"));
}

TEST_CASE("a certifier refuses a key that is none of its authorities'", "[collector][unit]") {
  Folder folder;
  Folder elsewhere;
  SystemClock clock;
  const std::string bundle = read(folder.dir + "/ca.pem");
  auto certifier = Certifier::create({bundle, read(folder.dir + "/ca-key.pem")}, clock);
  REQUIRE(certifier);
  const auto before = (*certifier)->trusted();
  CHECK(!(*certifier)->set({bundle, read(elsewhere.dir + "/ca-key.pem")}));
  CHECK(!(*certifier)->set({"nothing", ""}));
  CHECK((*certifier)->trusted().digest == before.digest);
  // Without a key it trusts, and issues nothing.
  REQUIRE((*certifier)->set({bundle, ""}));
  CHECK(!(*certifier)->trusted().issuer);
  const auto issued = (*certifier)->issue({"test", "node-1"}, {});
  REQUIRE(!issued);
  CHECK(issued.error().code == ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace assay::collector
