// SPDX-License-Identifier: Apache-2.0
#include "common/image/node_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>

#include "common/base/unique_fd.h"
#include "common/image/safe_open.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::TempFolder;
using assay::tests::write_bytes;

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Walked {
  NodeRecord record;
  std::uint64_t files_read = 0;
};

/// As if the walk were so long after now: files are not young then.
Walked walk(const std::string& path, const NodeRecord* before = nullptr,
            std::chrono::seconds later = 1h, Dialect dialect = Dialect::kOverlay) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  NodeRecorder recorder(SystemClock().wall_now() + later, before);
  WalkOptions options;
  options.dialect = dialect;
  options.recorder = &recorder;
  const auto found = fingerprint_directory(root.get(), options, {});
  if (!found) FAIL(found.error().text());
  auto record = recorder.take();
  REQUIRE(record);
  return {std::move(*record), recorder.files_read()};
}

void make_tree(const std::string& tree) {
  fs::create_directories(tree + "/usr/bin");
  fs::create_directories(tree + "/etc/ssl");
  write_bytes(tree + "/usr/bin/tool", std::string(10'000, 'x'));
  write_bytes(tree + "/usr/bin/other", "other");
  write_bytes(tree + "/etc/passwd", "root:x:0:0\n");
  fs::create_symlink("tool", tree + "/usr/bin/link");
  fs::create_hard_link(tree + "/etc/passwd", tree + "/etc/passwd-");
  ::mkfifo((tree + "/etc/pipe").c_str(), 0600);
}

struct stat status_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

void set_times(const std::string& path, const struct stat& to) {
  const timespec times[] = {to.st_atim, to.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

/// ctime moves with the kernel's tick: a change within the same one would not show.
void wait_for_tick(const std::string& folder) {
  const std::string probe = folder + "/tick";
  write_bytes(probe, "");
  const auto first = status_of(probe).st_ctim;
  for (;;) {
    REQUIRE(::chmod(probe.c_str(), 0600) == 0);
    const auto now = status_of(probe).st_ctim;
    if (now.tv_sec != first.tv_sec || now.tv_nsec != first.tv_nsec) return;
  }
}

struct Tampering {
  const char* how;
  std::function<void(const std::string& tree)> act;
  std::vector<std::string> named;
  bool needs_root = false;
};

const std::vector<Tampering>& tamperings() {
  static const std::vector<Tampering> all = {
      {"a file is changed",
       [](const std::string& tree) { write_bytes(tree + "/usr/bin/other", "OTHER"); },
       {"/usr/bin/other (content, time)"}},
      {"a file is added",
       [](const std::string& tree) { write_bytes(tree + "/usr/bin/new", "new"); },
       {"/usr/bin/new (added)"}},
      {"a file is removed",
       [](const std::string& tree) { fs::remove(tree + "/usr/bin/other"); },
       {"/usr/bin/other (removed)"}},
      {"a file is truncated",
       [](const std::string& tree) {
         REQUIRE(::truncate((tree + "/usr/bin/tool").c_str(), 5) == 0);
       },
       {"/usr/bin/tool (content, size, time)"}},
      {"a file's mode is changed",
       [](const std::string& tree) { ::chmod((tree + "/usr/bin/tool").c_str(), 0777); },
       {"/usr/bin/tool (mode)"}},
      {"a file gets the setuid bit",
       [](const std::string& tree) { ::chmod((tree + "/usr/bin/tool").c_str(), 04755); },
       {"/usr/bin/tool (mode)"}},
      {"a directory's mode is changed",
       [](const std::string& tree) { ::chmod((tree + "/etc/ssl").c_str(), 0777); },
       {"/etc/ssl (mode)"}},
      {"the root directory's mode is changed",
       [](const std::string& tree) { ::chmod(tree.c_str(), 0777); },
       {"/ (mode)"}},
      {"a file is replaced, with its old time restored",
       [](const std::string& tree) {
         const auto before = status_of(tree + "/usr/bin/other");
         write_bytes(tree + "/usr/bin/.tmp", "OTHER");
         ::chmod((tree + "/usr/bin/.tmp").c_str(), before.st_mode & 07777);
         fs::rename(tree + "/usr/bin/.tmp", tree + "/usr/bin/other");
         set_times(tree + "/usr/bin/other", before);
       },
       {"/usr/bin/other (content, replaced)"}},
      {"a file is written in place, with its old time restored",
       [](const std::string& tree) {
         const auto before = status_of(tree + "/usr/bin/other");
         write_bytes(tree + "/usr/bin/other", "OTHER");
         set_times(tree + "/usr/bin/other", before);
       },
       {"/usr/bin/other (content)"}},
      {"a link leads elsewhere",
       [](const std::string& tree) {
         fs::remove(tree + "/usr/bin/link");
         fs::create_symlink("evil", tree + "/usr/bin/link");
       },
       {"/usr/bin/link (link target"}},
      {"a file becomes a directory",
       [](const std::string& tree) {
         fs::remove(tree + "/usr/bin/other");
         fs::create_directory(tree + "/usr/bin/other");
       },
       {"/usr/bin/other (type, mode"}},
      {"a file of two names is changed",
       [](const std::string& tree) { ::chmod((tree + "/etc/passwd").c_str(), 0666); },
       {"/etc/passwd (mode)", "/etc/passwd- (mode)"}},
      {"a file gets an attribute",
       [](const std::string& tree) {
         REQUIRE(::setxattr((tree + "/usr/bin/tool").c_str(), "user.x", "1", 1, 0) == 0);
       },
       {"/usr/bin/tool (attributes)"}},
      {"a file's owner is changed",
       [](const std::string& tree) {
         REQUIRE(::lchown((tree + "/usr/bin/tool").c_str(), 7, 0) == 0);
       },
       {"/usr/bin/tool (owner)"},
       true},
      {"a file gets a capability",
       [](const std::string& tree) {
         // struct vfs_cap_data, revision 2: CAP_NET_RAW, effective
         const std::string capability(
             "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"
             "\x00\x00\x00\x00\x00\x00\x00\x00",
             20);
         REQUIRE(::setxattr((tree + "/usr/bin/tool").c_str(), "security.capability",
                            capability.data(), capability.size(), 0) == 0);
       },
       {"/usr/bin/tool (attributes)"},
       true},
      {"a directory becomes opaque",
       [](const std::string& tree) {
         REQUIRE(::setxattr((tree + "/etc").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
       },
       {"/etc (attributes)"},
       true},
      {"a whiteout is added",
       [](const std::string& tree) {
         REQUIRE(::mknod((tree + "/usr/bin/gone").c_str(), S_IFCHR, 0) == 0);
       },
       {"/usr/bin/gone (added)"},
       true},
      {"many files are added",
       [](const std::string& tree) {
         for (int i = 0; i < 100; ++i)
           write_bytes(tree + "/etc/ssl/" + std::to_string(i), "");
       },
       {"/etc/ssl/0 (added)"}},
  };
  return all;
}

}  // namespace

TEST_CASE("each way of tampering shows with its path", "[image][unit]") {
  for (const Tampering& way : tamperings()) {
    if (way.needs_root && (::geteuid() != 0 || !can_see_trusted_xattrs())) continue;
    INFO(way.how);
    const TempFolder folder("record");
    const std::string tree = folder / "tree";
    make_tree(tree);
    const Walked before = walk(tree);
    wait_for_tick(folder / "");
    way.act(tree);
    const Walked after = walk(tree, &before.record);
    const RecordDifference found = compare(before.record, after.record);
    REQUIRE(found.named.size() >= way.named.size());
    for (std::size_t i = 0; i < way.named.size(); ++i)
      CHECK(found.named[i].starts_with(way.named[i]));
    CHECK(found.named.size() == std::min<std::size_t>(found.changed, kMaxNamedChanges));
    CHECK(found.changed ==
          (way.how == std::string("many files are added") ? 100 : way.named.size()));
    CHECK_FALSE(found.is_other_view);
  }
}

TEST_CASE("nothing is changed, and nothing is read again", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  CHECK(before.files_read == 4);
  const Walked after = walk(folder / "tree", &before.record);
  CHECK(after.files_read == 0);
  CHECK(after.record == before.record);
  CHECK(compare(before.record, after.record).changed == 0);
}

TEST_CASE("only the file that was changed is read again", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  write_bytes(folder / "tree/usr/bin/other", "OTHER, and longer");
  CHECK(walk(folder / "tree", &before.record).files_read == 1);
}

TEST_CASE("another change time and equal bytes is touched", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  wait_for_tick(folder / "");
  const std::string file = folder / "tree/usr/bin/tool";
  ::chmod(file.c_str(), status_of(file).st_mode & 07777);
  write_bytes(folder / "tree/etc/passing", "");
  fs::remove(folder / "tree/etc/passing");
  const Walked after = walk(folder / "tree", &before.record);
  const RecordDifference found = compare(before.record, after.record);
  CHECK(found.changed == 0);
  CHECK(found.touched == 2);  // the file, and the folder in which one came and went
}

TEST_CASE("a label that the host's policy writes is touched", "[image][unit]") {
  if (::geteuid() != 0 || !can_see_trusted_xattrs()) return;
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  wait_for_tick(folder / "");
  for (const char* label : {"security.apparmor", "security.SMACK64"}) {
    INFO(label);
    REQUIRE(::setxattr((folder / "tree/usr/bin/tool").c_str(), label, "x", 1, 0) == 0);
  }
  const RecordDifference found =
      compare(before.record, walk(folder / "tree", &before.record).record);
  CHECK(found.changed == 0);
  CHECK(found.touched == 1);
}

TEST_CASE("another number of links alone is touched", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  fs::create_hard_link(folder / "tree/usr/bin/other", folder / "outside");
  Walked after = walk(folder / "tree", &before.record);
  CHECK(compare(before.record, after.record).changed == 0);
  CHECK(compare(before.record, after.record).touched == 1);
  ::chmod((folder / "tree/usr/bin/other").c_str(), 0777);
  after = walk(folder / "tree", &before.record);
  CHECK(compare(before.record, after.record).named ==
        std::vector<std::string>{"/usr/bin/other (mode, links)"});
}

TEST_CASE("a file that changed just before it was read is read again", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree", nullptr, 0s);
  CHECK(before.record.find("usr/bin/tool")->is_young);
  const Walked after = walk(folder / "tree", &before.record);
  CHECK(after.files_read == 4);
  CHECK_FALSE(after.record.find("usr/bin/tool")->is_young);
  CHECK(compare(before.record, after.record).changed == 0);
  CHECK(walk(folder / "tree", &after.record).files_read == 0);
}

TEST_CASE("what a mapping changes without a new time shows with the next walk", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  Walked before = walk(folder / "tree", nullptr, 0s);
  // As after a write to a page that was dirty already: other bytes, and no time says so.
  auto& entry = *const_cast<RecordEntry*>(before.record.find("usr/bin/other"));
  entry.digest->bytes[0] ^= 1;
  const Walked after = walk(folder / "tree", &before.record);
  const RecordDifference found = compare(before.record, after.record);
  CHECK(found.named == std::vector<std::string>{"/usr/bin/other (content)"});
}

TEST_CASE("paths are escaped", "[image][unit]") {
  const TempFolder folder("record");
  fs::create_directory(folder / "tree");
  const Walked before = walk(folder / "tree");
  write_bytes(folder / "tree/a\n\x1b[31m", "");
  const Walked after = walk(folder / "tree");
  CHECK(compare(before.record, after.record).named ==
        std::vector<std::string>{"/a\\x0a\\x1b[31m (added)"});
}

TEST_CASE("attributes that only one walk could see are not compared", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  Walked before = walk(folder / "tree");
  Walked after = walk(folder / "tree");
  const_cast<RecordEntry*>(before.record.find("etc"))->trusted[0] = 1;
  before.record.sees_trusted = true;
  after.record.sees_trusted = false;
  CHECK(compare(before.record, after.record).changed == 0);
  after.record.sees_trusted = true;
  CHECK(compare(before.record, after.record).named ==
        std::vector<std::string>{"/etc (attributes)"});
}

TEST_CASE("owners that all differ are another view, not another owner", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const Walked before = walk(folder / "tree");
  Walked after = before;
  for (RecordEntry& entry : after.record.entries)
    entry.uid += 100'000;
  CHECK(compare(before.record, after.record).is_other_view);
  after.record.entries.back().uid -= 100'000;
  CHECK_FALSE(compare(before.record, after.record).is_other_view);
}

TEST_CASE("a record survives its encoding", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  NodeRecord record = walk(folder / "tree", nullptr, 0s, Dialect::kAufs).record;
  record.place = "…/id/diff in 2 in 3";
  record.entries[3].mtime = {-1, 999'999'999};
  record.entries[4].ctime = {INT64_MAX, 0};
  record.entries[5].mtime = {INT64_MIN, 5};
  record.entries[6].xattrs[3] = 9;
  record.entries[6].trusted[4] = 8;
  record.entries[6].device = (8ULL << 32) | 1;
  const auto bytes = record.encode();
  REQUIRE(bytes);
  const auto read = NodeRecord::decode(*bytes);
  REQUIRE(read);
  CHECK(*read == record);
  for (std::size_t size = 0; size < bytes->size(); ++size)
    CHECK_FALSE(NodeRecord::decode(std::string_view(*bytes).substr(0, size)));
  CHECK_FALSE(NodeRecord::decode(*bytes + "x"));
}

TEST_CASE("a record keeps its limits", "[image][unit]") {
  const TempFolder folder("record");
  make_tree(folder / "tree");
  const NodeRecord record = walk(folder / "tree").record;
  RecordLimits limits;
  limits.max_entries = 5;
  const auto encoded = record.encode(limits);
  REQUIRE_FALSE(encoded);
  CHECK(encoded.error().code == ErrorCode::kLimitExceeded);
  const auto decoded = NodeRecord::decode(*record.encode(), limits);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::kLimitExceeded);
  NodeRecorder recorder(WallTime{}, nullptr, limits);
  for (int i = 0; i < 10; ++i)
    CHECK(recorder.add(RecordEntry{}));
  recorder.finish({});
  CHECK_FALSE(recorder.take());
}

TEST_CASE("a walk for the record alone ends where the record's limits do", "[image][unit]") {
  const TempFolder folder("record");
  fs::create_directory(folder / "tree");
  for (int i = 0; i < 100; ++i)
    write_bytes(folder / ("tree/" + std::to_string(i)), "content");
  RecordLimits limits;
  limits.max_entries = 10;
  limits.ends_walk = GENERATE(false, true);
  NodeRecorder recorder(WallTime{}, nullptr, limits);
  const UniqueFd root(::open((folder / "tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  WalkOptions options;
  options.recorder = &recorder;
  const auto found = fingerprint_directory(root.get(), options, {});
  CHECK(recorder.is_over());
  CHECK(found.has_value() != limits.ends_walk);
  if (limits.ends_walk) {
    CHECK(found.error().code == ErrorCode::kLimitExceeded);
    CHECK(recorder.files_read() == 10);
  }
}
