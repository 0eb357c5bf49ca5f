// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/first_token.h"

#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"

namespace assay::collector {
namespace {

constexpr std::chrono::hours kLifetime{90 * 24};
constexpr std::size_t kMaxBytes = 4096;
constexpr const char* kName = "init";

Error corrupt(const std::string& path) {
  return {ErrorCode::kCorrupt,
          path +
              " is not what assay-collector init writes: remove it (its token is lost then; "
              "assay-collector issue --user NAME --role admin makes a certificate)"};
}

}  // namespace

Result<void> write_first_token(const std::string& token_file, const std::string& hash_file,
                               WallTime now) {
  const NewToken token = make_token();
  std::ostringstream line;
  line << "1 " << token.id << ' ' << to_hex(token.hash.raw()) << ' ' << to_unix_ns(now) << ' '
       << to_unix_ns(now + kLifetime) << '\n';
  ASSAY_TRY(write_file_atomically(token_file, token.text + "\n", 0600));
  return write_file_atomically(hash_file, line.str(), 0600);
}

Result<std::optional<TokenRow>> read_first_token(const std::string& hash_file,
                                                 std::chrono::nanoseconds max_lifetime) {
  if (::access(hash_file.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
    return std::optional<TokenRow>();
  ASSAY_ASSIGN(const std::string text, read_guarded_file(hash_file, kMaxBytes, Guard::kTrusted));
  std::istringstream in(text);
  int version = 0;
  std::string hash;
  TokenRow row;
  TokenView& token = row.view;
  in >> version >> token.id >> hash >> token.created_ns >> token.expires_ns;
  const auto bytes = from_hex(hash);
  if (!in || version != 1 || token.id.size() != 16 || !bytes) return corrupt(hash_file);
  auto digest = Sha256::from_raw(*bytes);
  if (!digest) return corrupt(hash_file);
  row.hash = *digest;
  if (token.expires_ns - token.created_ns > max_lifetime.count())
    token.expires_ns = token.created_ns + max_lifetime.count();
  token.name = kName;
  token.role = Role::kAdmin;
  token.created_by = "collector";
  return std::optional<TokenRow>(std::move(row));
}

Result<void> remove_first_token(const std::string& hash_file) {
  if (::unlink(hash_file.c_str()) == 0 || errno == ENOENT) return ok();
  return system_error("remove " + hash_file);
}

}  // namespace assay::collector
