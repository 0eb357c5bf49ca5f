// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdio>

#include "common/base/file.h"
#include "common/config/table.h"

using namespace assay;
using namespace assay::config;
using namespace std::chrono_literals;

namespace {

struct Settings {
  struct Collector {
    std::string address = "localhost:8443";
    std::chrono::seconds timeout{5};
  };
  Collector collector;
  std::string ca_file;
  std::uint16_t port = 9100;
  bool is_quiet = false;
  std::uint64_t outbox_bytes = 64 << 20;
  std::vector<std::string> exempt = {"kube-system"};
  std::string exec_level = "foreign";
};

Table<Settings> make_table() {
  Table<Settings> table("ASSAY_T_");
  table
      .text("collector.address", [](Settings& s) -> std::string& { return s.collector.address; },
            {.text = "host:port of the collector"})
      .duration("collector.timeout",
                [](Settings& s) -> std::chrono::seconds& { return s.collector.timeout; },
                {.text = "how long to wait", .min = "1s", .max = "1h"})
      .path("tls.ca_file", &Settings::ca_file, {.text = "trusted CA"})
      .integer("metrics.port", &Settings::port, {.text = "port", .min = "1"})
      .boolean("quiet", &Settings::is_quiet, {.text = "say less"})
      .size("outbox.max_bytes", &Settings::outbox_bytes, {.text = "cap", .min = "1MiB"})
      .list("exempt", &Settings::exempt, {.text = "namespaces"})
      .text("exec.level", &Settings::exec_level,
            {.text = "level", .values = {"off", "foreign", "all"}})
      .rule([](const Settings& s) {
        std::vector<std::string> problems;
        if (s.port == 1 && s.is_quiet)
          problems.push_back("quiet and metrics.port 1 exclude each other");
        return problems;
      });
  return table;
}

/// A file that goes with the test.
class TempFile {
 public:
  explicit TempFile(std::string_view text) {
    char name[] = "/tmp/assay-config-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    ::close(fd);
    path = name;
    REQUIRE(write_file_atomically(path, text, 0600));
  }
  ~TempFile() { std::remove(path.c_str()); }
  std::string path;
};

std::string message_of(const Sources& sources) {
  auto loaded = make_table().load(sources);
  return loaded ? "" : loaded.error().message;
}

std::string message_for_yaml(std::string_view yaml) {
  const TempFile file(yaml);
  std::string message = message_of({.file = file.path});
  for (auto at = message.find(file.path); at != std::string::npos; at = message.find(file.path))
    message.replace(at, file.path.size(), "F");
  return message;
}

}  // namespace

TEST_CASE("without any source the struct's own values stand", "[config][unit]") {
  const auto loaded = make_table().load({}).value();
  CHECK(loaded.config.collector.address == "localhost:8443");
  CHECK(loaded.config.collector.timeout == 5s);
  CHECK(loaded.config.exempt == std::vector<std::string>{"kube-system"});
  for (const EffectiveValue& value : loaded.values)
    CHECK(value.origin == "default");
}

TEST_CASE("a flag wins over a variable, a variable over the file", "[config][unit]") {
  const TempFile file("collector:\n  address: file:1\n  timeout: 2m\nquiet: true\n");
  Sources sources{.file = file.path};
  CHECK(make_table().load(sources).value().config.collector.address == "file:1");
  sources.environment["ASSAY_T_COLLECTOR_ADDRESS"] = "variable:2";
  CHECK(make_table().load(sources).value().config.collector.address == "variable:2");
  sources.flags["collector.address"] = {"flag:3"};
  const auto loaded = make_table().load(sources).value();
  CHECK(loaded.config.collector.address == "flag:3");
  CHECK(loaded.values[0].origin == "flag --collector-address");
  CHECK(loaded.config.collector.timeout == 2min);
  CHECK(loaded.values[1].origin == file.path + ":3:12");
  CHECK(loaded.config.is_quiet);
}

TEST_CASE("every type is read from file, variable and flag", "[config][unit]") {
  const TempFile file(
      "tls.ca_file: /etc/ca.pem\nmetrics: {port: 9000}\noutbox.max_bytes: 2MiB\n"
      "exempt: [a, 'b,c']\nexec: {level: all}\n");
  const Settings from_file = make_table().load({.file = file.path}).value().config;
  CHECK(from_file.ca_file == "/etc/ca.pem");
  CHECK(from_file.port == 9000);
  CHECK(from_file.outbox_bytes == 2U << 20);
  CHECK(from_file.exempt == std::vector<std::string>{"a", "b,c"});
  CHECK(from_file.exec_level == "all");

  Sources others;
  others.environment = {{"ASSAY_T_EXEMPT", "a,b"}, {"ASSAY_T_QUIET", "true"}, {"HOME", "/root"}};
  others.flags = {{"metrics.port", {"1234"}}, {"quiet", {"false"}}, {"outbox.max_bytes", {}}};
  const Settings mixed = make_table().load(others).value().config;
  CHECK(mixed.exempt == std::vector<std::string>{"a", "b"});
  CHECK(mixed.port == 1234);
  CHECK_FALSE(mixed.is_quiet);
}

TEST_CASE("each wrong file says where and what would be right", "[config][unit]") {
  struct Row {
    const char* name;
    const char* yaml;
    const char* expected;
  };
  const Row rows[] = {
      {"unknown key", "colector:\n  adress: x\n",
       "F:2:3: unknown key colector.adress; did you mean collector.address?"},
      {"unknown key far from all", "zebra: 1\n", "F:1:1: unknown key zebra"},
      {"section as value", "collector: x\n",
       "F:1:1: collector: is a section with address, timeout"},
      {"value as section", "quiet: {a: 1}\n", "F:1:8: quiet: a value is wanted, not a section"},
      {"list for one value", "quiet: [true]\n", "F:1:8: quiet: one value is wanted, not a list"},
      {"nested item", "exempt: [[a]]\n", "F:1:10: exempt: an item must be plain text"},
      {"no value", "quiet:\n", "F:1:1: quiet: has no value; leave the line out for the default"},
      {"twice", "quiet: true\nquiet: false\n", "F:2:1: quiet: given twice, first at F:1:1"},
      {"twice in two spellings", "exec.level: all\nexec: {level: off}\n",
       "F:2:8: exec.level: given twice, first at F:1:1"},
      {"boolean", "quiet: yes\n", "F:1:8: quiet: \"yes\" is neither true nor false"},
      {"above the member's range", "metrics.port: 65536\n",
       "F:1:15: metrics.port: \"65536\" is out of range: 1 to 65535"},
      {"below the least", "collector.timeout: 0s\n",
       "F:1:20: collector.timeout: \"0s\" is out of range: 1s to 1h"},
      {"finer than the member", "collector.timeout: 1500ms\n",
       "F:1:20: collector.timeout: \"1500ms\" must be a multiple of 1s"},
      {"not one of", "exec.level: al\n",
       "F:1:13: exec.level: \"al\" is not one of off, foreign, all; did you mean all?"},
      {"not YAML", "quiet: [\n", "not YAML"},
      {"no map", "- a\n", "F:1:1: a configuration file is a map of keys"},
      {"two documents", "quiet: true\n---\nquiet: true\n", "this file has several"},
      {"control characters", "\"a\\x1b[31m\": 1\n", "unknown key a\\x1b[31m"},
      {"rule over several keys", "quiet: true\nmetrics.port: 1\n",
       "quiet and metrics.port 1 exclude each other"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK_THAT(message_for_yaml(row.yaml), Catch::Contains(row.expected));
  }
}

TEST_CASE("aliases cannot blow a file up", "[config][unit]") {
  std::string yaml = "a0: &a0 {x: 1, y: 1, z: 1}\n";
  for (int i = 1; i < 14; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " {x: " + below +
            ", y: " + below + ", z: " + below + "}\n";
  }
  CHECK_THAT(message_for_yaml(yaml), Catch::Contains("too many or too deeply nested entries"));
}

TEST_CASE("all errors of all sources come at once", "[config][unit]") {
  const TempFile file("quiet: maybe\nmetrics.port: x\n");
  Sources sources{.flags = {{"outbox.max_bytes", {"1"}}},
                  .environment = {{"ASSAY_T_EXEC_LEVEL", "none"}, {"ASSAY_T_QUIETT", "true"}},
                  .file = file.path};
  const std::string message = message_of(sources);
  CHECK_THAT(message, Catch::StartsWith("configuration has 5 errors:\n"));
  CHECK_THAT(message, Catch::Contains(":1:8: quiet") && Catch::Contains(":2:15: metrics.port") &&
                          Catch::Contains("variable ASSAY_T_EXEC_LEVEL: exec.level") &&
                          Catch::Contains("variable ASSAY_T_QUIETT: unknown; did you mean "
                                          "ASSAY_T_QUIET?") &&
                          Catch::Contains("flag --outbox-max-bytes: outbox.max_bytes"));
}

TEST_CASE("variables that Kubernetes sets for a Service are no errors", "[config][unit]") {
  Sources sources;
  for (const char* name : {"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT",
                           "PORT_8443_TCP", "PORT_8443_TCP_ADDR", "CONFIG"})
    sources.environment[std::string("ASSAY_T_") + name] = "tcp://10.0.0.1:8443";
  CHECK(message_of(sources).empty());
  sources.environment["ASSAY_T_BOGUS"] = "";
  CHECK_FALSE(message_of(sources).empty());
  sources.allows_unknown_variables = true;
  CHECK(message_of(sources).empty());
}

TEST_CASE("only a file in the default place may be absent", "[config][unit]") {
  CHECK(message_of({.file = "/nonexistent/assay.yaml", .is_file_optional = true}).empty());
  CHECK_THAT(message_of({.file = "/nonexistent/assay.yaml"}),
             Catch::Contains("/nonexistent/assay.yaml"));
}

TEST_CASE("a required key must be given and not empty", "[config][unit]") {
  Table<Settings> table("ASSAY_T_");
  table.path("tls.ca_file", &Settings::ca_file, {.text = "trusted CA", .is_required = true});
  CHECK_THAT(table.load({}).error().message, Catch::Contains("tls.ca_file is required") &&
                                                 Catch::Contains("ASSAY_T_TLS_CA_FILE") &&
                                                 Catch::Contains("--tls-ca-file"));
  CHECK_THAT(table.load({.flags = {{"tls.ca_file", {""}}}}).error().message,
             Catch::Contains("must not be empty"));
  CHECK(table.load({.flags = {{"tls.ca_file", {"/x"}}}}).value().config.ca_file == "/x");
}

TEST_CASE("the effective configuration names origins and can be read back", "[config][unit]") {
  const auto table = make_table();
  Sources sources{.flags = {{"exempt", {"a b", "c: d"}}, {"collector.timeout", {"90s"}}}};
  const auto first = table.load(sources).value();
  const std::string yaml = table.effective_yaml(first);
  CHECK_THAT(yaml, Catch::Contains("collector.timeout: 90s  # flag --collector-timeout\n") &&
                       Catch::Contains("metrics.port: 9100  # default\n") &&
                       Catch::Contains("exempt: [\"a b\", \"c: d\"]"));
  const TempFile file(yaml);
  const auto second = table.load({.file = file.path}).value();
  CHECK(second.config.exempt == first.config.exempt);
  CHECK(second.config.collector.timeout == 90s);
  CHECK(second.config.ca_file.empty());
}

TEST_CASE("the reference lists every key once", "[config][unit]") {
  const auto table = make_table();
  const std::string text = table.reference_markdown();
  CHECK(std::count(text.begin(), text.end(), '\n') == 2 + static_cast<int>(table.keys().size()));
  CHECK_THAT(text, Catch::Contains("| `collector.timeout` | duration | `5s` | 1s to 1h | "
                                   "`--collector-timeout` | `ASSAY_T_COLLECTOR_TIMEOUT` |"));
}

TEST_CASE("the reference of a file alone has no flags and variables", "[config][unit]") {
  Table<Settings> table("");
  table.boolean("quiet", &Settings::is_quiet, {.text = "say nothing"});
  CHECK(table.reference_markdown() ==
        "| key | type | default | allowed | what it sets |\n| --- | --- | --- | --- | --- |\n"
        "| `quiet` | boolean | `false` |  | say nothing |\n");
}

TEST_CASE("on a reload live keys are taken over and the others wait for a restart",
          "[config][unit]") {
  Table<Settings> table("ASSAY_T_");
  table.path("tls.ca_file", &Settings::ca_file, {.text = "trusted CA", .is_live = true})
      .boolean("quiet", &Settings::is_quiet, {.text = "say nothing"});
  const auto load = [&](const char* ca, const char* quiet) {
    return table.load({.flags = {{"tls.ca_file", {ca}}, {"quiet", {quiet}}}}).value();
  };
  const auto current = load("/a", "false");
  const auto merged = table.merge(current, load("/b", "true"));
  CHECK(merged.taken == std::vector<std::string>{"tls.ca_file"});
  CHECK(merged.restart == std::vector<std::string>{"quiet"});
  CHECK(merged.loaded.config.ca_file == "/b");
  CHECK_FALSE(merged.loaded.config.is_quiet);
  const auto same = table.merge(merged.loaded, load("/b", "false"));
  CHECK(same.taken.empty());
  CHECK(same.restart.empty());
  CHECK_THAT(table.reference_markdown(),
             Catch::Contains("| `tls.ca_file` | path |  |  | taken over | `--tls-ca-file` |") &&
                 Catch::Contains("| `quiet` | boolean | `false` |  | restart | `--quiet` |"));
}
