// SPDX-License-Identifier: Apache-2.0
#include "common/image/manifest_choice.h"

#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

constexpr std::size_t kMostNamed = 20;

std::string describe(const std::vector<Descriptor>& manifests) {
  std::string text;
  std::size_t named = 0;
  for (const Descriptor& manifest : manifests) {
    if (++named > kMostNamed)
      return text + " and " + std::to_string(manifests.size() - kMostNamed) + " more";
    if (!text.empty()) text += ", ";
    const std::string platform = manifest.platform ? manifest.platform->text() : std::string();
    text += escape_untrusted(platform.empty() ? "no platform" : platform, 64);
    if (!manifest.ref_name.empty()) text += " (" + escape_untrusted(manifest.ref_name, 128) + ")";
  }
  return text;
}

// The images that fit; only those with exactly this platform where there are such.
std::vector<Descriptor> those_for(const Platform& platform, const std::vector<Descriptor>& images) {
  std::vector<Descriptor> fitting;
  std::vector<Descriptor> exact;
  for (const Descriptor& image : images) {
    if (image.platform && !is_platform_match(platform, *image.platform)) continue;
    fitting.push_back(image);
    if (image.platform && image.platform->text() == platform.text()) exact.push_back(image);
  }
  return exact.empty() ? fitting : exact;
}

Error unclear(const std::vector<Descriptor>& images) {
  std::set<std::string> platforms;
  for (const Descriptor& image : images)
    if (image.platform) platforms.insert(image.platform->text());
  const std::string advice = platforms.size() == images.size()
                                 ? "choose with --platform OS/ARCH/VARIANT"
                                 : "copy the one you mean into an archive of its own (skopeo copy)";
  return {ErrorCode::kInvalidArgument, "several images fit: " + describe(images) + "; " + advice};
}

}  // namespace

Platform machine_platform() {
  static const std::map<std::string, Platform> machines = {
      {"x86_64", {"linux", "amd64", ""}},    {"aarch64", {"linux", "arm64", ""}},
      {"armv7l", {"linux", "arm", "v7"}},    {"i686", {"linux", "386", ""}},
      {"ppc64le", {"linux", "ppc64le", ""}}, {"s390x", {"linux", "s390x", ""}},
      {"riscv64", {"linux", "riscv64", ""}}};
  struct utsname name = {};
  ::uname(&name);
  const auto found = machines.find(name.machine);
  return found != machines.end() ? found->second : Platform{"linux", name.machine, ""};
}

Result<Platform> parse_platform_text(const std::string& text) {
  const std::size_t first = text.find('/');
  const std::size_t second = std::min(text.find('/', first + 1), text.size());
  if (first == std::string::npos || first == 0 || first + 1 >= second)
    return Error{ErrorCode::kInvalidArgument, "platform \"" + escape_untrusted(text, 64) +
                                                  "\": write os/arch or os/arch/variant, "
                                                  "for example linux/amd64"};
  return Platform{text.substr(0, first), text.substr(first + 1, second - first - 1),
                  text.substr(std::min(second + 1, text.size()))};
}

bool is_platform_match(const Platform& wanted, const Platform& offered) {
  return wanted.os == offered.os && wanted.architecture == offered.architecture &&
         (wanted.variant.empty() || offered.variant.empty() || wanted.variant == offered.variant);
}

Result<Descriptor> choose_manifest(const std::vector<Descriptor>& manifests,
                                   const std::string& wanted) {
  std::vector<Descriptor> images;
  for (const Descriptor& manifest : manifests) {
    const bool is_same = std::ranges::any_of(
        images, [&](const Descriptor& other) { return other.digest == manifest.digest; });
    if (!manifest.is_no_image && !is_same) images.push_back(manifest);
  }
  if (images.empty()) return Error{ErrorCode::kNotFound, "the index holds no image"};
  Platform platform = machine_platform();
  if (!wanted.empty()) {
    ASSAY_ASSIGN(platform, parse_platform_text(wanted));
  } else if (images.size() == 1) {
    return images.front();
  }
  std::vector<Descriptor> matching = those_for(platform, images);
  if (matching.empty())
    return Error{ErrorCode::kNotFound, "no image for " + escape_untrusted(platform.text()) +
                                           "; there is: " + describe(images) +
                                           ". Choose with --platform OS/ARCH[/VARIANT]"};
  if (matching.size() > 1) return unclear(matching);
  return matching.front();
}

}  // namespace assay::image
