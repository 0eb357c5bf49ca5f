// SPDX-License-Identifier: Apache-2.0
// assay check against an exported catalog: what is signed there decides, and flattened bases count.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/base_stack.h"
#include "common/catalog/log_export.h"
#include "common/files/file_set_maker.h"
#include "common/image/image.h"
#include "tests/unit/cli/program.h"

using namespace assay;
using assay::cli::tests::Finished;
using assay::cli::tests::Home;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

constexpr int kFiles = 40;

/// A tree of files whose contents say `what`; of the first `changed` ones, that they are others.
void make_tree(const Home& home, const std::string& name, const std::string& what,
               int changed = 0) {
  std::filesystem::create_directories(home.path() + "/" + name + "/usr/bin");
  for (int i = 0; i < kFiles; ++i)
    home.write(name + "/usr/bin/" + what + std::to_string(i),
               (i < changed ? "other " : "") + what + std::to_string(i));
}

/// The base that a tree is, and its file set.
catalog::BaseStack stack_of(const Home& home, const std::string& name, catalog::FileSet& files) {
  catalog::BaseStack stack;
  files::FileSetMaker maker;
  image::ImageOptions options;
  options.wants_other_forms = true;
  options.on_merged = [&](const image::Entry& entry) { maker.add(entry); };
  const auto image = image::read_image("dir:" + home.path() + "/" + name, options, {});
  REQUIRE(image);
  stack = cli::base_stack_of(*image).value();
  files = std::move(maker).finish().value();
  stack.file_set = {files.digest(), files.size()};
  return stack;
}

/// A catalog that is signed statement by statement and written as an export.
class Signer {
 public:
  explicit Signer(const Home& home)
      : home_(home), key_(catalog::SigningKey::generate(catalog::KeyType::kEd25519).value()) {
    home.write("trust.pem", key_.public_key().pem());
  }

  void approve(const std::string& base, const std::string& tree) {
    catalog::Statement statement = next(base, catalog::Action::kApprove);
    catalog::FileSet files;
    statement.stacks = {stack_of(home_, tree, files)};
    export_.file_sets.emplace(files.digest(), files);
    sign(statement);
  }
  void revoke(const std::string& base) { sign(next(base, catalog::Action::kRevoke)); }
  void deprecate(const std::string& base) {
    catalog::Statement statement = next(base, catalog::Action::kDeprecate);
    statement.deprecated_until = SystemClock().wall_now() + std::chrono::hours(24);
    sign(statement);
  }
  catalog::LogExport& exported() { return export_; }
  /// The same log with a head of long ago.
  void expire() {
    export_.log.head =
        catalog::sign_new_head(head_, SystemClock().wall_now() - 2 * catalog::kHeadLifetime, {key_})
            .value()
            .head;
    write();
  }
  void write() const { home_.write("catalog.json", catalog::encode_export(export_)); }

 private:
  catalog::Statement next(const std::string& base, catalog::Action action) {
    catalog::Statement statement =
        catalog::next_statement(export_.log, head_, SystemClock().wall_now());
    statement.base = catalog::BaseId::parse(base).value();
    statement.action = action;
    return statement;
  }
  void sign(const catalog::Statement& statement) {
    const auto change = catalog::sign_change(statement, {key_}).value();
    export_.log.statements.push_back(change.statement);
    export_.log.head = change.head;
    const catalog::TrustRoot trust{1, {key_.public_key()}};
    head_ = catalog::verify_log(export_.log, trust).value().head;
  }

  const Home& home_;
  catalog::SigningKey key_;
  catalog::LogExport export_;
  catalog::Head head_;
};

Finished check(const Home& home, std::vector<std::string> words) {
  words.insert(words.begin(), "check");
  words.insert(words.end(),
               {"--catalog", "catalog.json", "--trust-file", "trust.pem", "-o", "json"});
  return home.assay(words);
}

/// The JSON of a check that ended with `code`.
json checked(const Home& home, int code, const std::vector<std::string>& words) {
  const Finished finished = check(home, words);
  INFO(finished.out << finished.error);
  REQUIRE(finished.exit_code == code);
  return json::parse(finished.out);
}

}  // namespace

TEST_CASE("check accepts an approved base and nothing that only holds its files", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  make_tree(home, "flat", "a", 2);
  make_tree(home, "flat", "own");
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.write();
  const json same = checked(home, 0, {"dir:base"});
  CHECK(same["is_accepted"] == true);
  CHECK(same["verdict"] == "approved");
  CHECK(same["base"] == "debian:12");
  CHECK(same["evidence"] == "content");
  CHECK(same["containment"].is_null());
  CHECK(same["findings"].empty());
  CHECK(same["catalog_sequence"] == 1);
  const json flat = checked(home, 1, {"dir:flat"});
  CHECK(flat["is_accepted"] == false);
  CHECK(flat["verdict"] == "unknown");
  CHECK(flat["base"] == "debian:12");
  CHECK(flat["evidence"] == "contained");
  REQUIRE(flat["containment"]["bases"].size() == 1);
  const json& found = flat["containment"]["bases"][0];
  CHECK(found["is_contained"] == true);
  CHECK(found["share_percent"] == "95.0");
  CHECK(found["changed"] == 2);
  CHECK(found["missing"] == 0);
  REQUIRE(flat["findings"].size() == 1);
  CHECK(flat["findings"][0]["kind"] == "unknown-base");
}

TEST_CASE("check refuses the files of a revoked base as revoked", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  make_tree(home, "flat", "a", 1);
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.revoke("debian:12");
  signer.write();
  const json flat = checked(home, 1, {"dir:flat"});
  CHECK(flat["verdict"] == "revoked");
  CHECK(flat["findings"][0]["kind"] == "revoked-base");
  CHECK(flat["findings"][0]["subject"] == "debian:12");
}

TEST_CASE("check accepts a deprecated base unless it is told not to", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.deprecate("debian:12");
  signer.write();
  CHECK(checked(home, 0, {"dir:base"})["verdict"] == "deprecated");
  CHECK(checked(home, 1, {"dir:base", "--refuse-deprecated"})["is_accepted"] == false);
}

TEST_CASE("check believes no catalog that is not signed by a trusted key", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.write();
  Signer stranger(home);  // its key is in the trust file now
  const Finished foreign = check(home, {"dir:base"});
  CHECK(foreign.exit_code == 2);
  CHECK(json::parse(foreign.out)["result"] == "not-judged");
  CHECK_THAT(foreign.error, Contains("catalog.json is refused"));
  home.write("catalog.json", "{}");
  CHECK(check(home, {"dir:base"}).exit_code == 2);
  home.write("catalog.json", R"({"format":"assay-catalog-export","version":2})");
  CHECK(check(home, {"dir:base"}).exit_code == 2);
}

TEST_CASE("check takes no export that is older than one it has seen", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  Signer signer(home);
  signer.approve("debian:12", "base");
  const std::string older = catalog::encode_export(signer.exported());
  signer.revoke("debian:12");
  signer.write();
  CHECK(checked(home, 1, {"dir:base"})["verdict"] == "revoked");
  home.write("catalog.json", older);
  CHECK_THAT(check(home, {"dir:base"}).error, Contains("lower sequence"));
  CHECK(check(home, {"dir:base"}).exit_code == 2);
}

TEST_CASE("check judges by an expired catalog only when it is told to", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.expire();
  CHECK_THAT(checked(home, 2, {"dir:base"})["reason"].get<std::string>(), Contains("head expired"));
  CHECK(checked(home, 0, {"dir:base", "--allow-stale"})["is_accepted"] == true);
}

TEST_CASE("check judges by the policy of a file", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  Signer signer(home);
  signer.approve("debian:12", "base");
  signer.write();
  home.write("policy.yaml", "required_rung: exact\n");  // a directory has no tar stream
  CHECK(checked(home, 2, {"dir:base", "--policy", "policy.yaml"})["result"] == "not-judged");
  home.write("policy.yaml", "required_rung: content\n");
  CHECK(checked(home, 0, {"dir:base", "--policy", "policy.yaml"})["result"] == "accepted");
}

TEST_CASE("a file set that no statement names is left out", "[cli][unit]") {
  const Home home;
  make_tree(home, "base", "a");
  make_tree(home, "flat", "b");
  Signer signer(home);
  signer.approve("debian:12", "base");
  catalog::FileSet files;
  stack_of(home, "flat", files);
  signer.exported().file_sets.clear();
  signer.exported().file_sets.emplace(files.digest(), files);
  signer.write();
  make_tree(home, "flat", "own");
  const json flat = checked(home, 1, {"dir:flat"});
  CHECK(flat["base"] == "");
  CHECK(flat["containment"]["bases"].empty());
}
