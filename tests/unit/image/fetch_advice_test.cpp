// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <string>

#include "common/image/image.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using Catch::Matchers::Contains;

namespace {

Error error_of(const std::string& source) {
  const auto image = read_image(source, {}, {});
  REQUIRE_FALSE(image);
  return image.error();
}

}  // namespace

TEST_CASE("an image that lies elsewhere is answered with skopeo's command", "[image][unit]") {
  struct Row {
    const char* source;
    const char* command;
  };
  const std::string digest = "sha256:" + std::string(64, 'a');
  const std::string with_digest = "example.org/app@" + digest;
  const std::string with_digest_wanted =
      "skopeo copy docker://" + with_digest + " oci-archive:app-aaaaaaaaaaaa.tar (";
  const std::string daemon_id = "docker-daemon:" + digest;
  const std::string daemon_id_wanted =
      "skopeo copy " + daemon_id + " oci-archive:image-aaaaaaaaaaaa.tar (";
  const Row rows[] = {
      {"docker://debian:12", "skopeo copy docker://debian:12 oci-archive:debian-12.tar:12 ("},
      {"docker://debian", "skopeo copy docker://debian oci-archive:debian-latest.tar:latest ("},
      {"docker://example.org:5000/team/app:1.2",
       "skopeo copy docker://example.org:5000/team/app:1.2 oci-archive:app-1.2.tar:1.2 ("},
      {"https://example.org/app:1",
       "skopeo copy docker://example.org/app:1 oci-archive:app-1.tar:1 ("},
      {"docker-daemon:app:1", "skopeo copy docker-daemon:app:1 oci-archive:app-1.tar:1 ("},
      {"docker-daemon:app",
       "skopeo copy docker-daemon:app:latest oci-archive:app-latest.tar:latest ("},
      {daemon_id.c_str(), daemon_id_wanted.c_str()},
      {"containers-storage:localhost/app:1",
       "skopeo copy containers-storage:localhost/app:1 oci-archive:app-1.tar:1 ("},
      {"containers-storage:[overlay@/var/lib/other+/run/other]localhost/app:1",
       "skopeo copy 'containers-storage:[overlay@/var/lib/other+/run/other]localhost/app:1' "
       "oci-archive:app-1.tar:1 ("},
      {"containers-storage:@abcdef0123456789",
       "skopeo copy containers-storage:@abcdef0123456789 oci-archive:image-abcdef012345.tar ("},
      {"debian:bookworm",
       "skopeo copy docker://debian:bookworm oci-archive:debian-bookworm.tar:bookworm ("},
      {"library/debian",
       "skopeo copy docker://library/debian oci-archive:debian-latest.tar:latest ("},
      {with_digest.c_str(), with_digest_wanted.c_str()},
      {"docker://it's", "skopeo copy 'docker://it'\\''s'"},
  };
  for (const Row& row : rows) {
    INFO(row.source);
    const Error error = error_of(row.source);
    CHECK(error.code == ErrorCode::kInvalidArgument);
    CHECK_THAT(error.message,
               Contains("Assay does not fetch images, skopeo does: ") && Contains(row.command));
  }
}

TEST_CASE("what reads like a path is just not there", "[image][unit]") {
  for (const char* source : {"./nothing", "/no/such/image.tar", "no-such.tar", "Images/Debian",
                             "a b", "base.tar.zst", "folder/"}) {
    INFO(source);
    CHECK(error_of(source).code == ErrorCode::kNotFound);
  }
}

TEST_CASE("a file whose name reads like an image's is read", "[image][unit]") {
  const tests::TempFolder folder("img");
  tests::write_bytes(folder / "debian:12", std::string(2000, 'x'));
  CHECK_THAT(error_of(folder / "debian:12").message, Contains("not an image archive"));
}

TEST_CASE("an escape sequence in a name reaches nobody's terminal", "[image][unit]") {
  CHECK(error_of("docker://a\x1b[2Jb").message.find('\x1b') == std::string::npos);
}
