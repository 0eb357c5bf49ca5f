// SPDX-License-Identifier: Apache-2.0
#include "common/image/fetch_advice.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

constexpr std::size_t kShortDigest = 12;
constexpr std::string_view kSafe =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+=";
constexpr std::string_view kLowerName = "abcdefghijklmnopqrstuvwxyz0123456789._-/";

struct Transport {
  std::string_view prefix;
  std::string_view skopeo;  // what skopeo calls it
  std::string_view where;
};
constexpr std::array<Transport, 5> kTransports{
    {{"docker://", "docker://", "in a registry"},
     {"https://", "docker://", "in a registry"},
     {"http://", "docker://", "in a registry"},
     {"docker-daemon:", "docker-daemon:", "in a docker daemon"},
     {"containers-storage:", "containers-storage:", "in the store of podman, buildah or CRI-O"}}};

std::string quoted(const std::string& text) {
  std::string printable = escape_untrusted(text);
  if (printable.find_first_not_of(kSafe) == std::string::npos) return printable;
  std::string out = "'";
  for (const char c : printable)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// A reference's last part: "app", its tag and its digest's hex; "" for what it lacks.
struct Reference {
  std::string name;
  std::string tag;
  std::string digest;
};

Reference parse(std::string text) {
  if (text.starts_with('[')) text.erase(0, text.find(']') + 1);  // containers-storage:[driver@root]
  if (text.starts_with("sha256:")) return {"", "", text.substr(7)};
  Reference reference;
  if (const std::size_t at = text.rfind('@'); at != std::string::npos) {
    reference.digest =
        text.substr(text.find(':', at) == std::string::npos ? at + 1 : text.find(':', at) + 1);
    text.resize(at);
  }
  text.erase(0, text.rfind('/') + 1);
  const std::size_t colon = text.find(':');
  reference.name = text.substr(0, colon);
  if (colon != std::string::npos) reference.tag = text.substr(colon + 1);
  return reference;
}

/// skopeo's command, and the file that it makes.
std::string command_for(std::string_view transport, const std::string& name) {
  Reference reference = parse(name);
  std::string from = name;
  if (reference.tag.empty() && reference.digest.empty()) {
    reference.tag = "latest";
    if (transport == "docker-daemon:") from += ":latest";  // it takes no name without a tag
  }
  std::string file = reference.name.empty() ? "image" : reference.name;
  const std::string& version = reference.tag.empty() ? reference.digest : reference.tag;
  file += "-" + (reference.tag.empty() ? version.substr(0, kShortDigest) : version) + ".tar";
  const std::string target =
      "oci-archive:" + file + (reference.tag.empty() ? "" : ":" + reference.tag);
  return "skopeo copy " + quoted(std::string(transport) + from) + " " + quoted(target) +
         " (then use " + quoted(file) + ")";
}

}  // namespace

std::optional<Error> advice_on_transport(const std::string& source) {
  for (const Transport& transport : kTransports) {
    if (!source.starts_with(transport.prefix)) continue;
    const std::string name = source.substr(transport.prefix.size());
    return Error{
        ErrorCode::kInvalidArgument,
        "\"" + escape_untrusted(source) + "\" names an image " + std::string(transport.where) +
            "; Assay does not fetch images, skopeo does: " + command_for(transport.skopeo, name)};
  }
  return std::nullopt;
}

std::optional<Error> advice_on_name(const std::string& source) {
  constexpr std::array<std::string_view, 5> kEnds{".tar", ".gz", ".tgz", ".zst", "/"};
  if (source.empty() || source.starts_with('/') || source.starts_with('.') ||
      source.find_first_not_of(kSafe) != std::string::npos ||
      std::ranges::any_of(kEnds, [&](std::string_view end) { return source.ends_with(end); }))
    return std::nullopt;
  // Only a registry's host may have capitals and a port, and only before the first "/".
  const std::size_t slash = source.find('/');
  std::string repository = slash == std::string::npos ? source : source.substr(slash + 1);
  repository.resize(std::min(repository.find_first_of(":@"), repository.size()));
  if (repository.empty() || repository.find_first_not_of(kLowerName) != std::string::npos)
    return std::nullopt;
  return Error{ErrorCode::kInvalidArgument,
               "there is no file \"" + escape_untrusted(source) +
                   "\"; if it names an image in a registry: Assay does not fetch images, skopeo "
                   "does: " +
                   command_for("docker://", source)};
}

}  // namespace assay::image
