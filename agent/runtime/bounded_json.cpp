// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/bounded_json.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace assay::agent {
namespace {

constexpr std::size_t kMaxBytes = 1U << 20;
constexpr int kMaxDepth = 64;

UniqueFd open_beneath(int folder, const std::string& path, std::uint64_t flags) {
  struct open_how how {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(
      static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how))));
}

}  // namespace

UniqueFd open_folder(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

UniqueFd open_folder_beneath(int folder, const std::string& path) {
  return open_beneath(folder, path, O_RDONLY | O_DIRECTORY);
}

std::optional<std::string> read_beneath(int folder, const std::string& path) {
  const UniqueFd fd = open_beneath(folder, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if (status.st_size > static_cast<off_t>(kMaxBytes)) return std::nullopt;
  std::string bytes(kMaxBytes + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count =
        TEMP_FAILURE_RETRY(::read(fd.get(), bytes.data() + size, bytes.size() - size));
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > kMaxBytes) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::optional<nlohmann::json> parse_bounded_json(std::string_view text) {
  bool is_too_deep = false;
  const auto keep = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    is_too_deep |= depth > kMaxDepth;
    return !is_too_deep;
  };
  auto parsed = nlohmann::json::parse(text.begin(), text.end(), keep, false);
  if (is_too_deep || parsed.is_discarded() || !parsed.is_structured()) return std::nullopt;
  return parsed;
}

const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text_at(const nlohmann::json& object, const char* key, std::size_t max_bytes) {
  const nlohmann::json& value = member(object, key);
  const auto* text = value.get_ptr<const nlohmann::json::string_t*>();
  return text == nullptr ? std::string() : text->substr(0, max_bytes);
}

}  // namespace assay::agent
