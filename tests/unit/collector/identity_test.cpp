// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "collector/core/principal.h"
#include "collector/identity/authority_dir.h"
#include "collector/identity/certificates.h"
#include "collector/identity/first_token.h"
#include "collector/query/page_token.h"
#include "common/base/file.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using tests::TempDir;
const WallTime kNow = SystemClock().wall_now();

TEST_CASE("a certificate names one node or one user", "[collector][unit]") {
  CHECK(principal_from_uris({"assay:node:prod/worker-1"})->node == NodeKey{"prod", "worker-1"});
  CHECK(principal_from_uris({"assay:viewer:ann"})->role == Role::kViewer);
  CHECK(principal_from_uris({"assay:approver:ann"})->role == Role::kApprover);
  CHECK(principal_from_uris({"assay:admin:ann"})->role == Role::kAdmin);
  CHECK(principal_from_uris({"assay:admin:ann"})->text() == "user:ann");
  for (const std::vector<std::string>& uris : {std::vector<std::string>{},
                                               {"assay:viewer:a", "assay:viewer:b"},
                                               {"assay:viewer:"},
                                               {"assay:admin:"},
                                               {"assay:node:prod"},
                                               {"assay:node:prod/"},
                                               {"assay:node:a/b/c"},
                                               {"assay:viewer:a b"},
                                               {"assay:user:a"},
                                               {"spiffe://x/y"}})
    CHECK(principal_from_uris(uris).error().code == ErrorCode::kUntrusted);
}

TEST_CASE("a role holds what those before it hold, and a node none of it", "[collector][unit]") {
  const auto has = [](Role role, Role least) { return Principal{role, {}, "ann"}.has(least); };
  CHECK(has(Role::kAdmin, Role::kViewer));
  CHECK(has(Role::kApprover, Role::kApprover));
  CHECK_FALSE(has(Role::kViewer, Role::kApprover));
  CHECK_FALSE(has(Role::kApprover, Role::kAdmin));
  CHECK_FALSE(Principal{Role::kNode, {"c", "n"}, ""}.has(Role::kViewer));
  CHECK(*role_named("approver") == Role::kApprover);
  CHECK_THAT(role_named("node").error().message, Catch::Contains("viewer, approver and admin"));
}

TEST_CASE("the first token lives 90 days, or as long as a token may", "[collector][unit]") {
  using std::chrono::hours;
  const TempDir dir;
  const std::string file = dir.path() + "/hash";
  REQUIRE(write_first_token(dir.path() + "/token", file, kNow));
  for (const auto& [longest, lives] :
       {std::pair(hours(365 * 24), hours(90 * 24)), std::pair(hours(90 * 24), hours(90 * 24)),
        std::pair(hours(1), hours(1))}) {
    const auto read = read_first_token(file, longest);
    REQUIRE(read);
    CHECK((*read)->view.created_ns == to_unix_ns(kNow));
    CHECK((*read)->view.expires_ns == to_unix_ns(kNow + lives));
  }
}

TEST_CASE("init makes an authority once, with keys for nobody else", "[collector][unit]") {
  const TempDir dir;
  const std::string data = dir.path() + "/data";
  REQUIRE(init_authority({data, "prod", "collector.example"}, kNow));
  struct stat status {};
  REQUIRE(::stat((data + "/ca-key.pem").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(init_authority({data, "prod", ""}, kNow).error().code == ErrorCode::kAlreadyExists);
  CHECK(
      load_server_files({data + "/server.pem", data + "/server-key.pem", data + "/ca.pem"}, kNow));
  REQUIRE(issue_client({data, "worker-1", "", dir.path() + "/w1"}, kNow));
  CHECK(issue_client({data, "worker-1", "", dir.path() + "/w1"}, kNow).error().code ==
        ErrorCode::kAlreadyExists);
  CHECK_FALSE(issue_client({data, "bad name", "", dir.path() + "/w2"}, kNow));
  CHECK_FALSE(issue_client({data, "a", "b", dir.path() + "/w3"}, kNow));
  const auto early = issue_client({dir.path() + "/none", "a", "", dir.path() + "/w4"}, kNow);
  REQUIRE_FALSE(early);
  CHECK(early.error().code == ErrorCode::kNotFound);
  CHECK_THAT(early.error().message, Catch::Contains("run assay-collector init first"));
}

TEST_CASE("server files that do not fit together are named", "[collector][unit]") {
  const TempDir dir;
  const std::string data = dir.path() + "/data";
  REQUIRE(init_authority({data, "prod", ""}, kNow));
  const auto wrong_key =
      load_server_files({data + "/server.pem", data + "/ca-key.pem", data + "/ca.pem"}, kNow);
  REQUIRE_FALSE(wrong_key);
  CHECK(wrong_key.error().message.find("does not belong") != std::string::npos);
  const auto not_pem =
      load_server_files({data + "/cluster", data + "/server-key.pem", data + "/ca.pem"}, kNow);
  CHECK(not_pem.error().message.find("is not a PEM certificate") != std::string::npos);
  const auto expired =
      load_server_files({data + "/server.pem", data + "/server-key.pem", data + "/ca.pem"},
                        kNow + std::chrono::days(400));
  CHECK(expired.error().message.find("not valid now") != std::string::npos);
}

TEST_CASE("a page token belongs to the arguments it was made with", "[collector][unit]") {
  const std::string token = make_page_token({7, 9}, "a");
  const auto cursor = read_page_token(token, "a");
  REQUIRE(cursor);
  CHECK((*cursor)->time_ns == 7);
  CHECK((*cursor)->key == 9);
  CHECK_FALSE(read_page_token(token, "b"));
  CHECK_FALSE(read_page_token("nonsense", "a"));
  CHECK_FALSE(*read_page_token("", "a"));
  CHECK(*page_size_of(0) == 100);
  CHECK(*page_size_of(5000) == 1000);
  CHECK_FALSE(page_size_of(-1));
}

}  // namespace
}  // namespace assay::collector
