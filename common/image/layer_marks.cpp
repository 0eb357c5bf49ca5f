// SPDX-License-Identifier: Apache-2.0
#include "common/image/layer_marks.h"

#include <algorithm>

#include "common/image/directory_read.h"

namespace assay::image {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kPrivatePrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr std::string_view kFuseOverlayPrefix = "user.fuseoverlayfs.";
constexpr std::string_view kEscapePrefix = "user.containers.override_";
constexpr std::string_view kSecurityPrefix = "security.";
// In fuse-overlayfs's order: the first that is there decides (main.c is_directory_opaque).
constexpr std::string_view kFuseOpaque[] = {"trusted.overlay.opaque", "user.overlay.opaque",
                                            "user.fuseoverlayfs.opaque"};

bool has_name(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Result<DirectoryMarks> read_fuse_overlay_marks(int fd, const std::vector<std::string>& names) {
  DirectoryMarks marks;
  for (const std::string_view name : kFuseOpaque) {
    if (!has_name(names, name)) continue;
    ASSAY_ASSIGN(const std::string value, get_xattr(fd, "", std::string(name)));
    marks.is_opaque = value.starts_with('y');
    break;
  }
  return marks;
}

Result<DirectoryMarks> read_overlay_marks(std::string_view prefix, int fd,
                                          const std::vector<std::string>& names) {
  DirectoryMarks marks;
  const std::string opaque = std::string(prefix) + "opaque";
  marks.has_redirect = has_name(names, std::string(prefix) + "redirect");
  if (!has_name(names, opaque)) return marks;
  ASSAY_ASSIGN(const char letter, get_xattr_letter(fd, opaque));
  marks.is_opaque = letter == 'y';
  marks.has_xwhites = letter == 'x';
  return marks;
}

}  // namespace

NameMark mark_of_name(Dialect dialect, std::string_view name) {
  const bool has_name_marks = dialect == Dialect::kAufs || dialect == Dialect::kFuseOverlay;
  if (!has_name_marks || !name.starts_with(kWhiteoutPrefix)) return NameMark::kNone;
  if (name == kOpaqueName) return NameMark::kOpaque;
  if (name.starts_with(kPrivatePrefix) || name == kWhiteoutPrefix) return NameMark::kPrivate;
  return NameMark::kWhiteout;
}

std::string_view name_below_whiteout(std::string_view name) {
  return name.substr(kWhiteoutPrefix.size());
}

Result<DirectoryMarks> read_directory_marks(Dialect dialect, int fd) {
  const std::string_view prefix = overlay_prefix(dialect);
  if (prefix.empty() && dialect != Dialect::kFuseOverlay) return DirectoryMarks{};
  ASSAY_ASSIGN(const std::vector<std::string> names, list_xattrs(fd, ""));
  if (dialect == Dialect::kFuseOverlay) return read_fuse_overlay_marks(fd, names);
  return read_overlay_marks(prefix, fd, names);
}

std::string_view overlay_prefix(Dialect dialect) {
  if (dialect == Dialect::kOverlay) return "trusted.overlay.";
  return dialect == Dialect::kOverlayUser ? "user.overlay." : "";
}

bool has_device_whiteouts(Dialect dialect) {
  return dialect != Dialect::kPlain && dialect != Dialect::kAufs;
}

bool needs_trusted_xattrs(Dialect dialect) {
  return dialect == Dialect::kOverlay || dialect == Dialect::kFuseOverlay;
}

Result<OverrideName> find_override(Dialect dialect, int fd) {
  if (dialect != Dialect::kFuseOverlay) return OverrideName::kNone;
  ASSAY_ASSIGN(const std::vector<std::string> names, list_xattrs(fd, ""));
  for (const OverrideName name :
       {OverrideName::kPrivileged, OverrideName::kContainers, OverrideName::kUser})
    if (has_name(names, to_string(name))) return name;
  return OverrideName::kNone;
}

std::vector<Xattr> xattrs_of_image(Dialect dialect, OverrideName override,
                                   std::vector<Xattr> xattrs) {
  if (dialect != Dialect::kFuseOverlay) return xattrs;
  std::erase_if(xattrs, [&](const Xattr& xattr) {
    return xattr.name.starts_with(kFuseOverlayPrefix) || xattr.name == to_string(override);
  });
  if (override != OverrideName::kContainers) return xattrs;
  std::vector<Xattr> named;
  for (const Xattr& xattr : xattrs)
    if (xattr.name.starts_with(kEscapePrefix) &&
        std::string_view(xattr.name).substr(kEscapePrefix.size()).starts_with(kSecurityPrefix))
      named.push_back({xattr.name.substr(kEscapePrefix.size()), xattr.value});
  const auto is_escaped = [&](const std::string& name) {
    return std::ranges::find(named, name, &Xattr::name) != named.end();
  };
  for (Xattr& xattr : xattrs) {
    const bool was_taken = xattr.name.starts_with(kEscapePrefix) &&
                           is_escaped(xattr.name.substr(kEscapePrefix.size()));
    if (!was_taken && !is_escaped(xattr.name)) named.push_back(std::move(xattr));
  }
  return named;
}

}  // namespace assay::image
