// SPDX-License-Identifier: Apache-2.0
// Layers that no runtime's unpacker wrote: what overlayfs and fuse-overlayfs leave in their upper
// directories (builders take those as layers), layers under an id-mapped mount, and layouts that
// nothing here can make.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "tests/runtime/one_layer/id_mapped_mount.h"
#include "tests/runtime/one_layer/ways.h"
#include "tests/support/tar_builder.h"

namespace assay::tests {
namespace {

using image::Dialect;
using image::LayerFingerprint;
using image::WalkOptions;

void unpack(const std::string& tar, const std::string& folder) {
  std::filesystem::create_directories(folder);
  must_run({"tar", "-C", folder, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", tar});
}

// Both layers, unpacked literally: the upper one's marks are files.
std::vector<std::string> unpack_literally(const Subject& subject, const TempFolder& folder) {
  unpack(subject.base_tar(), folder / "base");
  unpack(subject.app_tar(), folder / "app");
  return {folder / "base", folder / "app"};
}

// Layers of which the second is the upper directory of a union that `mount` mounts on the first.
Way upper_of(std::string name, Dialect dialect,
             std::function<void(const std::string& options, const std::string& merged)> mount) {
  Way made;
  made.name = std::move(name);
  made.read = [dialect, mount](const Subject& subject) {
    const TempFolder folder("upper");
    unpack(subject.base_tar(), folder / "lower");
    for (const char* part : {"upper", "work", "merged"})
      std::filesystem::create_directory(folder / part);
    mount("lowerdir=" + (folder / "lower") + ",upperdir=" + (folder / "upper") +
              ",workdir=" + (folder / "work"),
          folder / "merged");
    apply_application(folder / "merged");
    must_run({"umount", folder / "merged"});
    return std::vector<LayerFingerprint>{must_walk(folder / "lower", in(dialect)),
                                         must_walk(folder / "upper", in(dialect))};
  };
  return made;
}

Way overlay_upper() {
  return upper_of("overlayfs's upper", Dialect::kOverlay,
                  [](const std::string& options, const std::string& merged) {
                    must_run({"mount", "-t", "overlay", "overlay", "-o", options, merged});
                  });
}

// Its deletions are others: it marks every new folder as opaque, and each such mark as deleted.
Way fuse_overlay_upper() {
  Way made = upper_of("fuse-overlayfs's upper", Dialect::kFuseOverlay,
                      [](const std::string& options, const std::string& merged) {
                        must_run({"fuse-overlayfs", "-o", options, merged});
                      });
  made.missing = needs_programs({"fuse-overlayfs"});
  made.hides_deletions = true;
  made.read = [read = made.read](const Subject& subject) {
    std::vector<LayerFingerprint> prints = read(subject);
    for (LayerFingerprint& print : prints)
      print.deletions.reset();
    return prints;
  };
  return made;
}

Way id_mapped() {
  Way made;
  made.name = "an id-mapped mount";
  made.read = [](const Subject& subject) {
    const TempFolder folder("idmap");
    unpack_literally(subject, folder);
    const IdMappedMount mount(folder.path(), 300'000, 4'000'000);
    WalkOptions options = in(Dialect::kAufs);
    options.uid_map = options.gid_map = {{300'000, 0, 4'000'000}};
    return std::vector<LayerFingerprint>{must_walk(mount.path() + "/base", options),
                                         must_walk(mount.path() + "/app", options)};
  };
  return made;
}

Way aufs_branches() {
  Way made;
  made.name = "aufs branches";
  made.is_made_by_hand = true;
  made.read = [](const Subject& subject) {
    const TempFolder folder("aufs");
    std::vector<LayerFingerprint> prints;
    for (const std::string& branch : unpack_literally(subject, folder)) {
      for (const char* name : {"/.wh..wh.plnk", "/.wh..wh.orph"})
        std::filesystem::create_directory(branch + name);
      write_bytes(branch + "/.wh..wh.aufs", "");
      write_bytes(branch + "/.wh..wh.plnk/12.34", "a pseudo-link");
      prints.push_back(must_walk(branch, in(Dialect::kAufs)));
    }
    return prints;
  };
  return made;
}

void set_override(const std::string& path, const std::string& attribute, const struct stat& as) {
  char value[64];
  std::snprintf(value, sizeof(value), "%u:%u:%o", as.st_uid, as.st_gid, as.st_mode & 07777U);
  if (::lsetxattr(path.c_str(), attribute.c_str(), value, std::char_traits<char>::length(value),
                  0) != 0)
    throw std::runtime_error("cannot set " + attribute);
}

// Moves owner and mode of every file into the attribute, as force_mask does.
void hide_owners(const std::string& layer, const std::string& attribute) {
  struct stat status = {};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(layer)) {
    if (::lstat(entry.path().c_str(), &status) != 0) throw std::runtime_error("lstat failed");
    if (!S_ISREG(status.st_mode)) continue;
    std::string capability(64, '\0');
    const ssize_t size = ::lgetxattr(entry.path().c_str(), "security.capability", capability.data(),
                                     capability.size());
    set_override(entry.path(), attribute, status);
    if (::lchown(entry.path().c_str(), 0, 0) != 0) throw std::runtime_error("chown failed");
    std::filesystem::permissions(entry.path(), std::filesystem::perms(0755));
    if (size > 0)  // chown took it away
      ::lsetxattr(entry.path().c_str(), "security.capability", capability.data(),
                  static_cast<std::size_t>(size), 0);
  }
  if (::lstat(layer.c_str(), &status) != 0) throw std::runtime_error("lstat failed");
  set_override(layer, attribute, status);
}

Way with_override(const std::string& attribute) {
  Way made;
  made.name = "owners in " + attribute;
  made.is_made_by_hand = true;
  made.read = [attribute](const Subject& subject) {
    const TempFolder folder("override");
    std::vector<LayerFingerprint> prints;
    for (const std::string& layer : unpack_literally(subject, folder)) {
      hide_owners(layer, attribute);
      prints.push_back(must_walk(layer, in(Dialect::kFuseOverlay)));
    }
    return prints;
  };
  return made;
}

}  // namespace

std::vector<Way> other_directory_ways() {
  return {overlay_upper(),
          fuse_overlay_upper(),
          id_mapped(),
          aufs_branches(),
          with_override("security.fuseoverlayfs.override_stat"),
          with_override("user.fuseoverlayfs.override_stat")};
}

}  // namespace assay::tests
