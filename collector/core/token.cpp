// SPDX-License-Identifier: Apache-2.0
#include "collector/core/token.h"

#include <strings.h>
#include <sys/random.h>

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

constexpr std::string_view kPrefix = "assay_";
constexpr std::string_view kBearer = "Bearer ";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kSecretDigits = 64;

std::string random_hex(std::size_t digits) {
  std::string bytes(digits / 2, '\0');
  ASSAY_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return to_hex(bytes);
}

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error malformed() {
  return {ErrorCode::kUntrusted,
          "the authorization header is not \"Bearer assay_…\" with a whole token"};
}

}  // namespace

NewToken make_token() {
  NewToken token;
  token.id = random_hex(kIdDigits);
  token.text = std::string(kPrefix) + token.id + "_" + random_hex(kSecretDigits);
  token.hash = sha256(token.text);
  return token;
}

bool looks_like_token(std::string_view text) {
  return text.starts_with(kPrefix);
}

Result<ShownToken> parse_authorization(std::string_view header) {
  if (header.size() != kBearer.size() + kTokenBytes ||
      ::strncasecmp(header.data(), kBearer.data(), kBearer.size()) != 0)
    return malformed();
  const std::string_view token = header.substr(kBearer.size());
  const std::string_view id = token.substr(kPrefix.size(), kIdDigits);
  if (!token.starts_with(kPrefix) || token[kPrefix.size() + kIdDigits] != '_' || !is_hex(id) ||
      !is_hex(token.substr(kPrefix.size() + kIdDigits + 1)))
    return malformed();
  return ShownToken{std::string(id), sha256(token)};
}

}  // namespace assay::collector
