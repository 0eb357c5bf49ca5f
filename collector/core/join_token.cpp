// SPDX-License-Identifier: Apache-2.0
#include "collector/core/join_token.h"

#include <sys/random.h>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

constexpr std::string_view kPrefix = "assay-join-v1.";
constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kSecretBytes = 32;

Result<std::string> random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size))
    return system_error("getrandom");
  return bytes;
}

Error unreadable() {
  return {ErrorCode::kPermissionDenied,
          "not a join token: it begins with assay-join-v1. (\"assay node token create\")"};
}

}  // namespace

Result<NewJoinToken> make_join_token(const TrustedAuthorities& authorities) {
  ASSAY_ASSIGN(const std::string id, random_bytes(kIdBytes));
  ASSAY_ASSIGN(const std::string secret, random_bytes(kSecretBytes));
  NewJoinToken token;
  token.id = to_hex(id);
  token.secret = sha256(secret);
  token.text = std::string(kPrefix) + token.id + "." + to_hex(secret);
  for (const std::string& certificate : authorities.certificates)
    token.text += "." + sha256(certificate).hex();
  return token;
}

Result<ShownJoinToken> read_join_token(std::string_view text) {
  if (text.size() > kMaxJoinTokenBytes || !text.starts_with(kPrefix)) return unreadable();
  text.remove_prefix(kPrefix.size());
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return unreadable();
  ShownJoinToken token;
  token.id = text.substr(0, dot);
  const auto secret = from_hex(text.substr(dot + 1, 2 * kSecretBytes));
  if (token.id.size() != 2 * kIdBytes || !from_hex(token.id) || !secret ||
      secret->size() != kSecretBytes)
    return unreadable();
  token.secret = sha256(*secret);
  return token;
}

}  // namespace assay::collector
