// SPDX-License-Identifier: Apache-2.0
// The node's own record of one layer directory: all that lstat shows of every path, and each file's
// digest. It never leaves the node; docs/formats/outbox.md says where it is kept.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/image/directory.h"
#include "common/image/entry.h"

namespace assay::image {

struct RecordLimits {
  std::uint64_t max_entries = 200'000;
  std::uint64_t max_bytes = 32U << 20;  ///< encoded, and of all names in memory
  /// A walk that goes beyond them ends with kLimitExceeded: it was for the record alone.
  bool ends_walk = false;
  bool reads_all = false;  ///< files that look as they did are read again as well
};

/// Seconds and nanoseconds, as statx(2) has them: 64 bits of nanoseconds end in the year 2262.
struct FileTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  auto operator<=>(const FileTime&) const = default;
};

/// The first 16 bytes of SHA-256 over names and values; all zero: there are none.
using XattrMark = std::array<std::uint8_t, 16>;

struct RecordEntry {
  std::string path;        ///< as in Entry; "" is the layer's root directory
  std::uint32_t mode = 0;  ///< with the type
  std::uint32_t uid = 0;   ///< as on disk
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  FileTime mtime;
  FileTime ctime;
  std::uint64_t inode = 0;
  std::uint32_t links = 0;
  std::uint64_t device = 0;  ///< major << 32 | minor; of devices
  std::string link_target;
  XattrMark xattrs{};   ///< of all but trusted.* and security labels
  XattrMark trusted{};  ///< of trusted.*
  std::optional<FileDigest> digest;
  /// Changed so short a time before it was read that it may change again without a new ctime: it is
  /// read again by the next walk.
  bool is_young = false;
  bool operator==(const RecordEntry&) const = default;
};

struct NodeRecord {
  Dialect dialect = Dialect::kPlain;  ///< decides which directories are marks and not entered
  bool sees_trusted = false;          ///< the walker could see trusted.* attributes
  std::string place;                  ///< where the directory lies; the caller's word
  std::vector<RecordEntry> entries;   ///< sorted by path
  bool operator==(const NodeRecord&) const = default;

  const RecordEntry* find(std::string_view path) const;
  /// Compact bytes. Errors: kLimitExceeded.
  Result<std::string> encode(const RecordLimits& limits = {}) const;
  /// Errors: kCorrupt, kLimitExceeded, kUnsupported (of another version).
  static Result<NodeRecord> decode(std::string_view bytes, const RecordLimits& limits = {});
};

/// What a later record shows that an earlier one of the same directory does not.
struct RecordDifference {
  std::vector<std::string> named;  ///< "/PATH (WHAT, …)", escaped; at most kMaxNamedChanges
  std::uint64_t changed = 0;       ///< paths, named or not
  /// Paths with another ctime or number of links and nothing else; of directories also time and
  /// size, which follow from what comes and goes in them.
  std::uint64_t touched = 0;
  /// Every owner is another one and no ctime is: both were not seen through the same id map.
  bool is_other_view = false;
};
inline constexpr std::size_t kMaxNamedChanges = 64;

/// Pure. What only one side could see (trusted.*) is not compared.
RecordDifference compare(const NodeRecord& before, const NodeRecord& after);

/// Collects a record while fingerprint_directory() walks (WalkOptions::recorder, Scope::kContent).
/// Not thread-safe.
class NodeRecorder {
 public:
  /// `now`: when the walk begins. `before`: an earlier record of the same directory; files that it
  /// shows unchanged are not read again. May be null; outlives the recorder.
  NodeRecorder(WallTime now, const NodeRecord* before, const RecordLimits& limits = {});

  // Called by the walk.
  void begin(Dialect dialect);
  /// `xattrs`: all that there are.
  static RecordEntry entry(const std::string& path, const struct statx& status,
                           const std::vector<Xattr>& xattrs);
  /// The digest that `before` has of a file that did not change since.
  std::optional<FileDigest> known(const RecordEntry& file) const;
  /// Errors: kLimitExceeded (with RecordLimits::ends_walk; else what is too much is left out).
  Result<void> add(RecordEntry entry);
  /// Its digest comes later, as element `slot` of finish()'s `digests`.
  Result<void> add(RecordEntry entry, std::size_t slot);
  void finish(std::span<const FileDigest> digests);

  /// After the walk. Errors: kLimitExceeded.
  Result<NodeRecord> take();
  /// Files that were read by this walk.
  std::uint64_t files_read() const { return files_read_; }
  /// Whether it went beyond its limits.
  bool is_over() const;

 private:
  const WallTime now_;
  const NodeRecord* const before_;
  const RecordLimits limits_;
  NodeRecord record_;
  std::vector<std::size_t> slots_;  // one per entry, kNoSlot for none
  std::uint64_t bytes_ = 0;
  std::uint64_t files_read_ = 0;
};

}  // namespace assay::image
