// SPDX-License-Identifier: Apache-2.0
// The agent's certificate files, before they are used.
#include "agent/uplink/tls_files.h"

#include <catch2/catch.hpp>

#include "tests/unit/agent/scratch.h"
#include "tests/unit/agent/test_authority.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using tests::TestAuthority;

TEST_CASE("certificates that do not fit together are refused with their file's name",
          "[agent][unit]") {
  const TestAuthority authority;
  const TestAuthority other;
  const auto [certificate, key] = authority.issue("node-1");
  const auto [foreign_certificate, foreign_key] = other.issue("node-1");
  struct Row {
    const char* name;
    std::string ca, certificate, key;
    ErrorCode code;
    const char* file;
  };
  const std::vector<Row> rows = {
      {"another key", authority.certificate(), certificate, foreign_key, ErrorCode::kUntrusted,
       "key.pem"},
      {"another authority", authority.certificate(), foreign_certificate, foreign_key,
       ErrorCode::kUntrusted, "cert.pem"},
      {"no certificate", authority.certificate(), "hello", key, ErrorCode::kInvalidArgument,
       "cert.pem"},
      {"no key", authority.certificate(), certificate, "", ErrorCode::kInvalidArgument, "key.pem"},
      {"no authority", "", certificate, key, ErrorCode::kInvalidArgument, "ca.pem"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const Scratch scratch;
    scratch.write("ca.pem", row.ca);
    scratch.write("cert.pem", row.certificate);
    scratch.write_secret("key.pem", row.key);
    const auto loaded =
        load_tls_files({scratch.path("ca.pem"), scratch.path("cert.pem"), scratch.path("key.pem")});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == row.code);
    CHECK_THAT(loaded.error().message, Catch::Contains(row.file));
  }
}

TEST_CASE("a key that others may read is refused with the command that mends it", "[agent][unit]") {
  const TestAuthority authority;
  const auto [certificate, key] = authority.issue("node-1");
  const Scratch scratch;
  scratch.write("ca.pem", authority.certificate());
  scratch.write("cert.pem", certificate);
  scratch.write("key.pem", key);
  const auto loaded =
      load_tls_files({scratch.path("ca.pem"), scratch.path("cert.pem"), scratch.path("key.pem")});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::kUntrusted);
  CHECK_THAT(loaded.error().message, Catch::Contains("chmod 600 " + scratch.path("key.pem")));
}

}  // namespace
}  // namespace assay::agent
