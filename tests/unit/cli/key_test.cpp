// SPDX-License-Identifier: Apache-2.0
// assay key, checked against what openssl(1) says of the same files.
#include <algorithm>
#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "tests/unit/cli/program.h"

using assay::cli::tests::Finished;
using assay::cli::tests::Home;
using Catch::Matchers::Contains;

namespace {

/// SHA-256 over the DER public key, as openssl derives it from the private one.
std::string openssl_key_id(const Home& home, const std::string& file) {
  const Finished der = home.run({"openssl", "pkey", "-in", file, "-pubout", "-outform", "DER"});
  REQUIRE(der.exit_code == 0);
  return assay::sha256(der.out).hex();
}

}  // namespace

TEST_CASE("a new key is one that openssl reads, private to its owner", "[cli][unit]") {
  const Home home;
  const std::string type = GENERATE("ecdsa-p256", "ed25519");
  const Finished made = home.assay({"key", "new", "--type", type, "--out", "release"});
  INFO(type << made.error);
  REQUIRE(made.exit_code == 0);
  CHECK(home.mode_of("release.key") == 0600);
  CHECK(home.read("release.key").rfind("-----BEGIN PRIVATE KEY-----", 0) == 0);
  CHECK(home.read("release.pub").rfind("-----BEGIN PUBLIC KEY-----", 0) == 0);
  const Finished text = home.run({"openssl", "pkey", "-in", "release.key", "-text", "-noout"});
  CHECK_THAT(text.out, Contains(type == "ed25519" ? "ED25519" : "prime256v1"));
  const Finished pub = home.run({"openssl", "pkey", "-in", "release.key", "-pubout"});
  CHECK(pub.out == home.read("release.pub"));
  CHECK_THAT(made.out, Contains(openssl_key_id(home, "release.key")));
}

TEST_CASE("key show prints the same id for the private and the public file", "[cli][unit]") {
  const Home home;
  REQUIRE(home.assay({"key", "new", "--out", "k"}).exit_code == 0);
  const std::string id = openssl_key_id(home, "k.key");
  CHECK_THAT(home.assay({"key", "show", "k.key"}).out, Contains(id));
  CHECK_THAT(home.assay({"key", "show", "k.pub"}).out, Contains(id));
}

TEST_CASE("a key is never overwritten, whichever of the two files is there", "[cli][unit]") {
  const Home home;
  const std::string name = GENERATE("k.key", "k.pub");
  home.write(name, "mine");
  const Finished refused = home.assay({"key", "new", "--out", "k"});
  CHECK(refused.exit_code == 2);
  CHECK_THAT(refused.error, Contains(name));
  CHECK(home.read(name) == "mine");
  CHECK(home.has("k.key") != home.has("k.pub"));
}

TEST_CASE("a folder that is not there, and a type that is none, leave no file", "[cli][unit]") {
  const Home home;
  CHECK(home.assay({"key", "new", "--out", "no/such/k"}).exit_code == 7);
  CHECK(home.assay({"key", "new", "--type", "rsa"}).exit_code == 2);
  CHECK(!home.has("assay.key"));
}

TEST_CASE("the wrong key file is told apart: public, encrypted, certificate", "[cli][unit]") {
  const Home home;
  REQUIRE(home.assay({"key", "new", "--out", "k"}).exit_code == 0);
  REQUIRE(home.run({"openssl", "pkcs8", "-topk8", "-in", "k.key", "-out", "locked.key", "-passout",
                    "pass:x"})
              .exit_code == 0);
  REQUIRE(home.run({"openssl", "req", "-x509", "-key", "k.key", "-out", "k.pem", "-subj", "/CN=k"})
              .exit_code == 0);
  REQUIRE(home.run({"mkdir", "root"}).exit_code == 0);
  const auto sign_with = [&](const std::string& file) {
    const Finished done =
        home.assay({"base", "approve", "debian:12", "--from", "root", "--key", file});
    CHECK(std::count(done.error.begin(), done.error.end(), '\n') == 1);
    return done;
  };
  const Finished with_public = sign_with("k.pub");
  CHECK(with_public.exit_code == 2);
  CHECK_THAT(with_public.error, Contains("public key"));
  const Finished with_locked = sign_with("locked.key");
  CHECK(with_locked.exit_code == 2);
  CHECK_THAT(with_locked.error, Contains("--passphrase-file"));
  CHECK_THAT(sign_with("k.pem").error, Contains("certificate"));
  CHECK(sign_with("no-such.key").exit_code == 7);
  REQUIRE(home.run({"chmod", "644", "k.key"}).exit_code == 0);
  const Finished with_open = sign_with("k.key");
  CHECK(with_open.exit_code == 4);
  CHECK_THAT(with_open.error, Contains("chmod 600 k.key"));
}
