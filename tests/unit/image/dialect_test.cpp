// SPDX-License-Identifier: Apache-2.0
// What stores write into directories beside an image's own files, in each dialect.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/file_capability.h"
#include "common/image/layer_marks.h"
#include "common/image/override_stat.h"
#include "common/image/safe_open.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::TempFolder;
using assay::tests::write_bytes;

namespace {

LayerFingerprint must(const std::string& path, const WalkOptions& options) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  auto result = fingerprint_directory(root.get(), options, {});
  if (!result) FAIL(result.error().text());
  return *result;
}

LayerFingerprint must(const std::string& path, Dialect dialect, Scope scope = Scope::kContent) {
  WalkOptions options;
  options.dialect = dialect;
  options.scope = scope;
  return must(path, options);
}

bool set_xattr(const std::string& path, const char* name, const std::string& value) {
  return ::lsetxattr(path.c_str(), name, value.data(), value.size(), 0) == 0;
}

// The record of one file alone, as a digest: what a row says that a file is.
LayerFingerprint file_is(const Entry& entry) {
  FingerprintBuilder builder;
  REQUIRE(builder.add(entry));
  return *std::move(builder).finish(Scope::kContent);
}

Entry as_on_disk(const std::string& path, const std::string& name) {
  struct stat status = {};
  REQUIRE(::lstat((path + "/" + name).c_str(), &status) == 0);
  Entry entry;
  entry.path = name;
  entry.mode = status.st_mode & 07777;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.size = static_cast<std::uint64_t>(status.st_size);
  entry.mtime_s = status.st_mtime;
  entry.file_digest = FileDigest{};
  return entry;
}

std::string capability(char revision, const std::string& root_id = "") {
  return std::string("\x01\x00\x00", 3) + revision + std::string(16, '\x20') + root_id;
}

}  // namespace

TEST_CASE("every dialect has one name", "[image][unit]") {
  for (const Dialect dialect : {Dialect::kPlain, Dialect::kOverlay, Dialect::kOverlayUser,
                                Dialect::kAufs, Dialect::kFuseOverlay})
    CHECK(parse_dialect(to_string(dialect)).value() == dialect);
  const auto unknown = parse_dialect("btrfs");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().text().find("fuse-overlayfs") != std::string::npos);
}

TEST_CASE("override attributes give owner, mode, type and device", "[image][unit]") {
  struct Row {
    const char* text;
    std::uint64_t uid, gid;
    std::uint32_t mode;
    std::optional<EntryType> type;
    std::uint32_t device_major, device_minor;
  };
  const Row rows[] = {
      {"0:0:755", 0, 0, 0755, std::nullopt, 0, 0},
      {"1000:1001:0644", 1000, 1001, 0644, std::nullopt, 0, 0},
      {"0:0:104755", 0, 0, 04755, std::nullopt, 0, 0},  // fuse-overlayfs: st_mode as it is
      {"4294967294:1:7777:file", 4294967294, 1, 07777, EntryType::kFile, 0, 0},
      {"0:5:0620:char-5-1", 0, 5, 0620, EntryType::kCharDevice, 5, 1},
      {"0:6:0660:block-8-0", 0, 6, 0660, EntryType::kBlockDevice, 8, 0},
      {"0:6:0660:block-8-0-later", 0, 6, 0660, EntryType::kBlockDevice, 8, 0},
      {"0:0:0600:pipe", 0, 0, 0600, EntryType::kFifo, 0, 0},
      {"0:0:0600:socket", 0, 0, 0600, EntryType::kSocket, 0, 0},
      {"0:0:0700:dir", 0, 0, 0700, EntryType::kDirectory, 0, 0},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto stat = parse_override_stat(row.text);
    REQUIRE(stat);
    CHECK(stat->uid == row.uid);
    CHECK(stat->gid == row.gid);
    CHECK(stat->mode == row.mode);
    CHECK(stat->type == row.type);
    CHECK(stat->device_major == row.device_major);
    CHECK(stat->device_minor == row.device_minor);
  }
}

TEST_CASE("what is no override attribute is an error", "[image][unit]") {
  for (const char* text :
       {"", "0", "0:0", "0:0:", "0:0:8", "a:0:755", "-1:0:755", " 0:0:755", "0:0:755:", "0:0:755:x",
        "0:0:755:symlink", "0:0:755:char", "0:0:755:char-5", "0:0:755:char-5-x", "0:0:755:pipe-1",
        "0:0:1000000", "0:0:99999999999999999999"}) {
    INFO(text);
    CHECK(parse_override_stat(text).error().code == ErrorCode::kCorrupt);
  }
  CHECK_FALSE(parse_override_stat("0:0:755:" + std::string(1000, 'x')));
}

TEST_CASE("a file capability without a root id of its own has revision 2", "[image][unit]") {
  const std::string zeros(4, '\0');
  CHECK_FALSE(capability_root_id(capability(2)));
  CHECK_FALSE(capability_root_id(""));
  CHECK_FALSE(capability_root_id(std::string(24, 'x')));
  CHECK(capability_root_id(capability(3, zeros)) == 0U);
  CHECK(capability_root_id(capability(3, "\x01\x02\x03\x04")) == 0x04030201U);
  CHECK(with_capability_root_id(capability(3, "\x01\x02\x03\x04"), 0) == capability(2));
  CHECK(with_capability_root_id(capability(3, zeros), 0x04030201) ==
        capability(3, "\x01\x02\x03\x04"));
  Entry entry;
  entry.path = "ping";
  entry.file_digest = FileDigest{};
  entry.xattrs = {{"security.capability", capability(2)}};
  const auto revision_2 = file_is(entry);
  entry.xattrs = {{"security.capability", capability(3, zeros)}};
  CHECK(file_is(entry).content == revision_2.content);
  entry.xattrs = {{"security.capability", capability(3, std::string("\x01\0\0\0", 4))}};
  CHECK(file_is(entry).content != revision_2.content);
}

TEST_CASE("a capability's root id is mapped back with the owners", "[image][unit]") {
  const TempFolder folder("dialect");
  write_bytes(folder / "ping", "");
  const std::string shifted("\x40\x0d\x03\x00", 4);  // 200,000
  if (::geteuid() != 0 ||
      !set_xattr(folder / "ping", "security.capability", capability(3, shifted))) {
    WARN("needs root");
    return;
  }
  REQUIRE(::chown((folder / "ping").c_str(), 200'000, 200'000) == 0);
  WalkOptions options;
  options.dialect = Dialect::kPlain;
  options.uid_map = {{200'000, 0, 65'536}};
  options.gid_map = options.uid_map;
  const LayerFingerprint mapped = must(folder.path(), options);
  REQUIRE(set_xattr(folder / "ping", "security.capability", capability(2)));
  REQUIRE(::chown((folder / "ping").c_str(), 0, 0) == 0);
  CHECK(mapped.content == must(folder.path(), Dialect::kPlain).content);
}

TEST_CASE("fuse-overlayfs marks deletions by names, devices and three attributes",
          "[image][unit]") {
  const TempFolder folder("dialect");
  for (const char* name : {"named", "user", "own", ".wh.folder", ".wh..wh.plnk"})
    std::filesystem::create_directories(folder / name);
  write_bytes(folder / "named/.wh..wh..opq", "");
  write_bytes(folder / "named/.wh.gone", "");
  write_bytes(folder / "user/kept", "x");
  if (!set_xattr(folder / "user", "user.overlay.opaque", "y") ||
      !set_xattr(folder / "own", "user.fuseoverlayfs.opaque", "y")) {
    WARN("no user attributes on this file system");
    return;
  }
  REQUIRE(set_xattr(folder / "user/kept", "user.fuseoverlayfs.origin", "x"));
  FingerprintBuilder builder;
  REQUIRE(builder.add_whiteout("named/gone"));
  REQUIRE(builder.add_whiteout("folder"));
  for (const char* name : {"named", "user", "own"})
    REQUIRE(builder.add_opaque(name));
  REQUIRE(builder.add(as_on_disk(folder.path(), "user/kept")));
  const auto wanted = std::move(builder).finish(Scope::kShape);
  const LayerFingerprint layer = must(folder.path(), Dialect::kFuseOverlay);
  CHECK(layer.shape == wanted->shape);
  CHECK(layer.deletions.has_value() == can_see_trusted_xattrs());
  if (layer.deletions) CHECK(layer.deletions == wanted->deletions);
  CHECK(must(folder.path(), Dialect::kPlain).entries == 8);
}

TEST_CASE("the override attribute on a layer's root decides for the whole layer", "[image][unit]") {
  const TempFolder folder("dialect");
  write_bytes(folder / "tool", "x");
  const char* const name = "user.containers.override_stat";
  if (!set_xattr(folder / "tool", name, "7:8:4755:file")) {
    WARN("no user attributes on this file system");
    return;
  }
  const LayerFingerprint ignored = must(folder.path(), Dialect::kFuseOverlay);
  CHECK(ignored.shape == must(folder.path(), Dialect::kPlain).shape);
  REQUIRE(set_xattr(folder.path(), name, "0:0:0555:dir"));
  Entry wanted = as_on_disk(folder.path(), "tool");
  wanted.uid = 7;
  wanted.gid = 8;
  wanted.mode = 04755;
  const LayerFingerprint overridden = must(folder.path(), Dialect::kFuseOverlay);
  CHECK(overridden.shape == file_is(wanted).shape);
  CHECK(must(folder.path(), Dialect::kFuseOverlay, Scope::kShape).shape == overridden.shape);
  CHECK(must(folder.path(), Dialect::kOverlayUser).shape != overridden.shape);
  REQUIRE(set_xattr(folder / "tool", name, "none"));
  const UniqueFd root(::open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  WalkOptions options;
  options.dialect = Dialect::kFuseOverlay;
  CHECK(fingerprint_directory(root.get(), options, {}).error().code == ErrorCode::kCorrupt);
}

TEST_CASE("an overridden file may be a device, and its escaped attributes get their names back",
          "[image][unit]") {
  const TempFolder folder("dialect");
  write_bytes(folder / "tool", "");
  if (!set_xattr(folder.path(), "user.containers.override_stat", "0:0:0555")) {
    WARN("no user attributes on this file system");
    return;
  }
  REQUIRE(set_xattr(folder / "tool", "user.containers.override_stat", "0:5:0620:char-5-1"));
  REQUIRE(set_xattr(folder / "tool", "user.containers.override_security.note", "n"));
  REQUIRE(set_xattr(folder / "tool", "user.containers.other", "o"));
  Entry wanted;
  wanted.path = "tool";
  wanted.type = EntryType::kCharDevice;
  wanted.mode = 0620;
  wanted.gid = 5;
  wanted.device_major = 5;
  wanted.device_minor = 1;
  wanted.xattrs = {{"security.note", "n"}, {"user.containers.other", "o"}};
  CHECK(must(folder.path(), Dialect::kFuseOverlay).content == file_is(wanted).content);
}

TEST_CASE("an escaped attribute wins over a plain one of its name", "[image][unit]") {
  const std::vector<Xattr> on_disk = {{"security.capability", "plain"},
                                      {"user.containers.override_security.capability", "escaped"},
                                      {"user.containers.override_stat", "0:0:0755"},
                                      {"user.containers.override_user.x", "content"},
                                      {"user.fuseoverlayfs.origin", "own"}};
  auto found = xattrs_of_image(Dialect::kFuseOverlay, OverrideName::kContainers, on_disk);
  std::sort(found.begin(), found.end());
  CHECK(found == std::vector<Xattr>{{"security.capability", "escaped"},
                                    {"user.containers.override_user.x", "content"}});
  CHECK(xattrs_of_image(Dialect::kOverlay, OverrideName::kNone, on_disk) == on_disk);
}
