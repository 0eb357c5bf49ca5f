// SPDX-License-Identifier: Apache-2.0
// Bad input to the program itself: each ends with its documented exit code and one line that says
// what to do.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/cli/program.h"

using assay::cli::tests::Finished;
using assay::cli::tests::Home;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

void check_one_line(const Finished& finished) {
  INFO(finished.error);
  CHECK(finished.out.empty());
  CHECK_THAT(finished.error, StartsWith("assay: "));
  CHECK(std::count(finished.error.begin(), finished.error.end(), '\n') == 1);
}

/// Settings that reach nobody: a certificate of its own on a port where nothing listens.
std::vector<std::string> with_settings(const Home& home, std::vector<std::string> words) {
  const Finished made = home.run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                  "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out",
                                  "tls.pem", "-days", "2", "-subj", "/CN=test"});
  REQUIRE(made.exit_code == 0);
  home.write(
      "config.yaml",
      "collector:\n  address: 127.0.0.1:1\ntls:\n  ca: tls.pem\n  cert: tls.pem\n  key: tls.key\n");
  words.insert(words.end(), {"--config", "config.yaml"});
  return words;
}

}  // namespace

TEST_CASE("an unknown option is a usage error that names it", "[cli][unit]") {
  const Home home;
  const Finished finished = home.assay({"ps", "--no-such-option"});
  CHECK(finished.exit_code == 2);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("--no-such-option") && Contains("assay ps --help"));
}

TEST_CASE("no command, and an unknown one, are usage errors", "[cli][unit]") {
  const Home home;
  CHECK(home.assay({}).exit_code == 2);
  CHECK(home.assay({"frobnicate"}).exit_code == 2);
  CHECK(home.assay({"base"}).exit_code == 2);
  CHECK(home.assay({"ps", "-o", "xml"}).exit_code == 2);
}

TEST_CASE("a mistyped command is named, with the one that was meant", "[cli][unit]") {
  const Home home;
  const Finished finished = home.assay({"base", "approv", "debian"});
  CHECK(finished.exit_code == 2);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("\"approv\"; did you mean approve?"));
}

TEST_CASE("help and version go to stdout and end well", "[cli][unit]") {
  const Home home;
  for (const auto& words : {std::vector<std::string>{"--help"},
                            {"base", "revoke", "--help"},
                            {"--version"},
                            {"version"},
                            {"version", "-o", "json"}}) {
    const Finished finished = home.assay(words);
    INFO(words.front());
    CHECK(finished.exit_code == 0);
    CHECK(finished.error.empty());
    CHECK(!finished.out.empty());
  }
}

TEST_CASE("without any setting a query says which one is missing", "[cli][unit]") {
  const Home home;
  const Finished finished = home.assay({"ps"});
  CHECK(finished.exit_code == 2);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("ASSAY_COLLECTOR_ADDRESS"));
}

TEST_CASE("an unknown key in the configuration is an error with its place", "[cli][unit]") {
  const Home home;
  home.write("config.yaml", "colector:\n  address: 127.0.0.1:1\n");
  const Finished finished = home.assay({"ps", "--config", "config.yaml"});
  CHECK(finished.exit_code == 2);
  CHECK_THAT(finished.error, Contains("config.yaml:2:3") && Contains("colector.address"));
}

TEST_CASE("a collector that is away ends with 5 and its address", "[cli][unit]") {
  const Home home;
  const Finished finished = home.assay(with_settings(home, {"ps"}));
  CHECK(finished.exit_code == 5);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("127.0.0.1:1") && Contains("Connection refused"));
}

TEST_CASE("an address without a port is a usage error", "[cli][unit]") {
  const Home home;
  auto words = with_settings(home, {"nodes"});
  words.insert(words.end(), {"--collector-address", "localhost"});
  const Finished finished = home.assay(words);
  CHECK(finished.exit_code == 2);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("HOST:PORT"));
}

TEST_CASE("a key of another certificate is a usage error, not a failed handshake", "[cli][unit]") {
  const Home home;
  auto words = with_settings(home, {"nodes"});
  REQUIRE(home.assay({"key", "new", "--out", "other"}).exit_code == 0);
  words.insert(words.end(), {"--tls-key", "other.key"});
  const Finished finished = home.assay(words);
  CHECK(finished.exit_code == 2);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("do not belong together"));
}

TEST_CASE("a word that is no verdict or kind is refused before anyone is asked", "[cli][unit]") {
  const Home home;
  CHECK(home.assay({"ps", "--verdict", "good"}).exit_code == 2);
  CHECK(home.assay({"findings", "--kind", "bad-base"}).exit_code == 2);
}

TEST_CASE("an image that does not exist ends with 7", "[cli][unit]") {
  const Home home;
  const Finished finished = home.assay({"fingerprint", "no-such.tar"});
  CHECK(finished.exit_code == 7);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("no-such.tar"));
}

TEST_CASE("an image elsewhere is refused with the command that fetches it", "[cli][unit]") {
  const Home home;
  for (const char* source : {"docker://debian:12", "debian:12", "docker-daemon:debian:12",
                             "containers-storage:debian:12"}) {
    INFO(source);
    const Finished finished = home.assay({"fingerprint", source});
    CHECK(finished.exit_code == 2);
    check_one_line(finished);
    CHECK_THAT(finished.error,
               Contains("skopeo copy ") && Contains(" oci-archive:debian-12.tar:12 "));
  }
}

TEST_CASE("a truncated archive ends with 6", "[cli][unit]") {
  const Home home;
  home.write("file", std::string(20000, 'x'));
  REQUIRE(home.run({"tar", "-cf", "layer.tar", "file"}).exit_code == 0);
  home.write("manifest.json", R"([{"Config":"config.json","RepoTags":[],"Layers":["layer.tar"]}])");
  home.write("config.json",
             R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
  REQUIRE(home.run({"tar", "-cf", "image.tar", "manifest.json", "config.json", "layer.tar"})
              .exit_code == 0);
  home.write("short.tar", home.read("image.tar").substr(0, 9000));
  const Finished finished = home.assay({"fingerprint", "short.tar"});
  CHECK(finished.exit_code == 6);
  check_one_line(finished);
  CHECK_THAT(finished.error, Contains("short.tar"));
}

TEST_CASE("a directory's fingerprint is printed as a table and as JSON", "[cli][unit]") {
  const Home home;
  REQUIRE(home.run({"mkdir", "-p", "root/etc"}).exit_code == 0);
  home.write("root/etc/motd", "hello\n");
  const Finished table = home.assay({"fingerprint", "root"});
  INFO(table.error);
  REQUIRE(table.exit_code == 0);
  CHECK(table.error.empty());  // no progress without a terminal
  CHECK_THAT(table.out, Contains("SHAPE") && Contains("CONTENT"));
  const Finished json = home.assay({"fingerprint", "dir:root", "-o", "json"});
  REQUIRE(json.exit_code == 0);
  CHECK_THAT(json.out, Contains("\"content\": \"sha256:") && Contains("\"content_bytes\": 6"));
}

TEST_CASE("output that cannot be written is an error", "[cli][unit]") {
  const Home home;
  const Finished finished =
      home.run({"sh", "-c", "exec \"$0\" version > /dev/full", ASSAY_PROGRAM});
  CHECK(finished.exit_code == 5);
  CHECK_THAT(finished.error, Contains("stdout"));
}
