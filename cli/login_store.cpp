// SPDX-License-Identifier: Apache-2.0
#include "cli/login_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cli/tls.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::string_view kPrefix = "assay_";
constexpr std::size_t kTokenBytes = 87;
constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

Result<std::string> parse_token(std::string_view text) {
  const auto begin = text.find_first_not_of(kSpace);
  if (begin != std::string_view::npos)
    text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  else
    text = {};
  const bool is_plain = std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_'; });
  if (text.size() == kTokenBytes && text.starts_with(kPrefix) && is_plain) return std::string(text);
  return Error{
      ErrorCode::kInvalidArgument,
      "this is no token: one is \"assay_\" and 81 more characters, in one line (assay token "
      "create makes one)"};
}

Result<std::string> read_token_file(const std::string& path) {
  ASSAY_ASSIGN(const std::string text, read_guarded_file(path, kMaxBytes, Guard::kSecret));
  auto token = parse_token(text.substr(0, text.find('\n')));
  if (!token) return std::move(token.error()).with_context(path);
  return token;
}

Result<LoginStore> LoginStore::open_default() {
  const char* config_home = std::getenv("XDG_CONFIG_HOME");
  if (config_home != nullptr && *config_home == '/')
    return LoginStore(config_home + std::string("/assay/logins"));
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/')
    return LoginStore(home + std::string("/.config/assay/logins"));
  return Error{ErrorCode::kNotFound,
               "no place for the login: neither XDG_CONFIG_HOME nor HOME is set (set token_file)"};
}

Result<std::optional<Login>> LoginStore::find(const std::string& collector) const {
  const std::string path = file_of(collector);
  auto text = read_guarded_file(path, kMaxBytes, Guard::kSecret);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::optional<Login>();
  if (!text) return std::move(text.error());
  const std::size_t line = text->find('\n');
  auto token = parse_token(text->substr(0, line));
  if (!token)
    return Error{ErrorCode::kCorrupt, path + " holds no token: remove it and log in again"};
  return std::optional<Login>(
      Login{std::move(*token), line == std::string::npos ? "" : text->substr(line + 1)});
}

Result<void> LoginStore::keep(const std::string& collector, const Login& login) const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return system_error("create " + folder_, error.value());
  if (::chmod(folder_.c_str(), 0700) != 0) return system_error("chmod " + folder_);
  return write_file_atomically(file_of(collector), login.token + "\n" + login.ca, 0600);
}

Result<bool> LoginStore::forget(const std::string& collector) const {
  const std::string path = file_of(collector);
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return system_error("remove " + path);
}

std::vector<std::string> LoginStore::collectors() const {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error))
    if (const std::string name = entry->path().filename(); parse_address(name))
      found.push_back(name);
  std::ranges::sort(found);
  return found;
}

}  // namespace assay::cli
