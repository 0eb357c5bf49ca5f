// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "common/base/encoding.h"
#include "common/base/escape_once.h"
#include "common/base/sha256.h"

using namespace assay;

TEST_CASE("base64 follows the vectors of RFC 4648 in both directions", "[base][unit]") {
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : rows) {
    CAPTURE(bytes);
    CHECK(to_base64(bytes) == text);
    CHECK(from_base64(text).value() == bytes);
  }
}

TEST_CASE("base64 is read in its URL-safe form and without padding", "[base][unit]") {
  CHECK(from_base64("_-8").value() == "\xff\xef");
  CHECK(from_base64("/+8=").value() == "\xff\xef");
  CHECK_FALSE(from_base64("A"));
  CHECK_FALSE(from_base64("Zg="));
  CHECK_FALSE(from_base64("Z g="));
}

TEST_CASE("a digest is read with and without its prefix and nothing else", "[base][unit]") {
  const std::string hex = sha256("").hex();
  CHECK(hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(DiffId::parse("sha256:" + hex).value().hex() == hex);
  CHECK(DiffId::parse(hex).value().text() == "sha256:" + hex);
  CHECK_FALSE(DiffId::parse("sha512:" + hex));
  CHECK_FALSE(DiffId::parse(hex.substr(1)));
}

TEST_CASE("fields cannot run into one another", "[base][unit]") {
  std::string left, right;
  append_field(left, "ab");
  append_field(left, "c");
  append_field(right, "a");
  append_field(right, "bc");
  CHECK(left != right);
  CHECK(left == std::string("\2\0\0\0ab\1\0\0\0c", 11));
}

TEST_CASE("foreign text is printable after escaping", "[base][unit]") {
  CHECK(escape_untrusted("debian:12") == "debian:12");
  CHECK(escape_untrusted("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(escape_untrusted("\xff") == "\\xff");
  CHECK(escape_untrusted("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(escape_untrusted("\xe2\x80\xae"
                         "evil") == "\\xe2\\x80\\xaeevil");
  for (const char* hidden : {"\xc2\xad", "\xd8\x9c", "\xe1\xa0\x8e", "\xef\xbb\xbf", "\xe2\x81\xa0",
                             "\xe2\x80\x8f", "\xf3\xa0\x81\x81", "\xc2\x9b", "\x7f"})
    CHECK(escape_untrusted(hidden).starts_with("\\x"));
  for (const char* shown : {"\xd8\x9b", "\xe1\xa0\x8d", "\xf0\x9f\x98\x80", "\xef\xbb\xbc"})
    CHECK(escape_untrusted(shown) == shown);
  CHECK(escape_untrusted("a\\x1b") == "a\\x5cx1b");
  CHECK(escape_untrusted(std::string(600, 'x'), 10) == std::string(10, 'x') + "…");
}

TEST_CASE("text that was escaped before is not escaped twice", "[base][unit]") {
  for (const char* raw : {"a\x1b[31mb\n", "\xff\\", "\xe2\x80\xae", "plain"}) {
    const std::string once = escape_untrusted(raw);
    CHECK(escape_once(once) == once);
    CHECK(escape_once(raw) == once);
  }
  CHECK(escape_once("\\x1") == "\\x5cx1");
  CHECK(escape_once("\\xZZ\\x1B") == "\\x5cxZZ\\x5cx1B");
  CHECK(escape_once("\\x1b\x1b") == "\\x1b\\x1b");
  CHECK(escape_once("\\x1b\\x1b\\x1b", 6) == "\\x1b\\x1b…");
}

TEST_CASE("foreign text that is kept holds nothing but plain UTF-8", "[base][unit]") {
  CHECK(to_plain_text("Debian GNU/Linux 12 (bookworm)", 64) == "Debian GNU/Linux 12 (bookworm)");
  CHECK(to_plain_text("a\\b", 64) == "a\\b");
  CHECK(to_plain_text("a\x1b[31mb\n\xff", 64) == "a?[31mb??");
  CHECK(to_plain_text("\xe2\x80\xae"
                      "evil",
                      64) == "?evil");
  CHECK(to_plain_text("gr\xc3\xbc\xc3\x9f", 4) == "gr\xc3\xbc");
  CHECK(to_plain_text("\xc3", 64) == "?");
}
