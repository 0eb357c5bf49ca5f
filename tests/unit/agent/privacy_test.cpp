// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "agent/app/config.h"
#include "agent/privacy/label_rules.h"
#include "agent/privacy/redactor.h"

namespace assay::agent {
namespace {

using Arguments = std::vector<std::string>;

Arguments redacted(Arguments arguments, std::vector<std::string> patterns = {}) {
  const auto redactor = Redactor::create({AgentConfig().redact_words, std::move(patterns)});
  REQUIRE(redactor);
  (*redactor)->redact(arguments);
  return arguments;
}

TEST_CASE("secrets in arguments are left out", "[agent][unit]") {
  struct Row {
    Arguments given;
    Arguments left;
  };
  const Row rows[] = {
      {{"psql", "--password=hunter2"}, {"psql", "--password=***"}},
      {{"psql", "--password", "hunter2", "db"}, {"psql", "--password", "***", "db"}},
      {{"x", "--db-password", "hunter2"}, {"x", "--db-password", "***"}},
      {{"x", "-token", "abc"}, {"x", "-token", "***"}},
      {{"x", "--API_KEY=abc def"}, {"x", "--API_KEY=***"}},
      {{"x", "--apikey:abc"}, {"x", "--apikey:***"}},
      {{"env", "DB_PASSWORD=a=b=c", "run"}, {"env", "DB_PASSWORD=***", "run"}},
      {{"sh", "-c", "PGPASSWORD=abc psql -h db; echo done"},
       {"sh", "-c", "PGPASSWORD=***"}},  // the whole argument begins as a variable
      {{"sh", "-c", "exec psql --password abc -h db"},
       {"sh", "-c", "exec psql --password *** -h db"}},
      {{"sh", "-c", "export TOKEN='a b c'; run"}, {"sh", "-c", "export TOKEN=***; run"}},
      {{"curl", "-H", "Authorization: Bearer abc.def"}, {"curl", "-H", "Authorization:***"}},
      {{"sh", "-c", "curl -H 'Authorization: Bearer abc.def' http://x/"},
       {"sh", "-c", "curl -H 'Authorization: ***' http://x/"}},
      {{"sh", "-c", "PATH=/opt/bin:$PATH DB_PASSWORD=abc ./run"},
       {"sh", "-c", "PATH=/opt/bin:$PATH DB_PASSWORD=*** ./run"}},
      {{"sh", "-c", "export CONFIG_FILE=/x; TOKEN=abc run"},
       {"sh", "-c", "export CONFIG_FILE=/x; TOKEN=*** run"}},
      {{"sh", "-c", "run --password-file /x --password abc"},
       {"sh", "-c", "run --password-file /x --password ***"}},
      {{"curl", "-d", "{\"user\":\"me\",\"password\":\"abc d\"}"},
       {"curl", "-d", "{\"user\":\"me\",\"password\":***}"}},
      {{"git", "clone", "https://me:hunter2@git.example/x"},
       {"git", "clone", "https://me:***@git.example/x"}},
      {{"x", "--password"}, {"x", "--password"}},
      {{"x", "--password", "--token", "abc"}, {"x", "--password", "--token", "***"}},
  };
  for (const Row& row : rows)
    CHECK(redacted(row.given) == row.left);
}

TEST_CASE("what is no secret stays", "[agent][unit]") {
  for (const Arguments& kept : {Arguments{"ls", "-la", "/etc/passwd-"},
                                {"x", "--password-file", "/run/secret"},
                                {"x", "--token-file=/run/token"},
                                {"x", "--tokenizer"},
                                {"curl", "https://host:443/path"},
                                {"x", "a@b.example"},
                                {"", " ", "=", "--", ":"}})
    CHECK(redacted(kept).size() == kept.size());
  CHECK(redacted({"x", "--password-file", "/run/secret"}).back() == "/run/secret");
  CHECK(redacted({"x", "--token-file=/run/token"}).back() == "--token-file=/run/token");
  CHECK(redacted({"curl", "https://host:443/path"}).back() == "https://host:443/path");
}

TEST_CASE("patterns of one's own: a group or the whole match", "[agent][unit]") {
  CHECK(redacted({"mysql", "-phunter2"}, {"^-p(.+)"}).back() == "-p***");
  CHECK(redacted({"AKIA0123456789ABCDEF and AKIA0000000000000000"}, {"AKIA[0-9A-Z]{16}"}).back() ==
        "*** and ***");
  CHECK(redacted({"x one"}, {"(two)|one"}).back() == "x ***");
  CHECK(redacted({"aaa"}, {"x*"}).back() == "aaa");  // an empty match is nothing to leave out
  CHECK(redacted({std::string("\xff\x00key=\xfe", 7)}, {"key=(.)"}).back() ==
        std::string("\xff\x00key=***", 9));
}

TEST_CASE("hostile arguments cost time in proportion to their size", "[agent][unit]") {
  // A backtracking engine never ends on these.
  const std::string long_name = std::string(1U << 20, 'a') + "!";
  CHECK(redacted({long_name}, {"(a*)*b", "^(a+)+$"}).back() == long_name);
  CHECK(redacted({"--" + std::string(1U << 20, '-')}).size() == 1);
}

TEST_CASE("rules that are none are named", "[agent][unit]") {
  const auto bad = Redactor::create({{}, {"(["}});
  REQUIRE_FALSE(bad);
  CHECK_THAT(bad.error().message, Catch::Contains("privacy.redact_patterns: \"([\""));
  CHECK_FALSE(Redactor::create({{""}, {}}));
  CHECK_FALSE(Redactor::create({std::vector<std::string>(65, "word"), {}}));
  CHECK_FALSE(Redactor::create({{}, {"a{1000}{1000}"}}));
  const auto none = Redactor::create({});
  REQUIRE(none);
  Arguments kept{"--password=x"};
  (*none)->redact(kept);
  CHECK(kept.back() == "--password=x");
}

TEST_CASE("the first pattern that matches a label's key decides", "[agent][unit]") {
  const auto lets_out = [](std::vector<std::string> rules, std::string_view key) {
    return LabelRules::create(rules).value().lets_out(key);
  };
  CHECK(LabelRules().lets_out("anything"));
  CHECK(lets_out({"*"}, ""));
  CHECK_FALSE(lets_out({}, "team"));
  CHECK(lets_out({"team", "io.kubernetes.*"}, "io.kubernetes.pod.name"));
  CHECK_FALSE(lets_out({"team", "io.kubernetes.*"}, "teams"));
  CHECK_FALSE(lets_out({"!*secret*", "*"}, "my-secret-label"));
  CHECK(lets_out({"!*secret*", "*"}, "my-label"));
  CHECK(lets_out({"secret-id", "!*secret*", "*"}, "secret-id"));
  CHECK_FALSE(LabelRules::create({"!"}));
  CHECK_FALSE(LabelRules::create(std::vector<std::string>(257, "x")));
  std::map<std::string, std::string> labels{{"a", "1"}, {"b", "2"}};
  LabelRules::create({"b"}).value().apply(labels);
  CHECK(labels == std::map<std::string, std::string>{{"b", "2"}});
}

TEST_CASE("patterns with stars", "[agent][unit]") {
  CHECK(matches_pattern("a*b*c", "aXbYc"));
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("a**", "a"));
  CHECK_FALSE(matches_pattern("a*b", "aXc"));
  CHECK_FALSE(matches_pattern("", "a"));
  CHECK_FALSE(matches_pattern(std::string(200, '*') + "b", std::string(1U << 16, 'a')));
}

}  // namespace
}  // namespace assay::agent
