// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/record_keeping.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <string_view>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::string_view kSeparator = "; ";
constexpr std::string_view kMoreBegin = "and ";
constexpr std::string_view kMoreEnd = " more";
constexpr std::string_view kDeleted = " (deleted)";
constexpr std::size_t kMaxPlaceBytes = 300;
// Of changes; the rest is for what is true of the whole layer.
constexpr std::size_t kMaxChangesBytes = kMaxTamperedBytes - kRemoved.size() - kGrown.size() -
                                         kOtherContent.size() - 3 * kSeparator.size();

std::string path_of(int fd) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t got = ::readlink(link.c_str(), path.data(), path.size());
  return got <= 0 ? "" : std::string(path.data(), static_cast<std::size_t>(got));
}

std::string inode_of(int fd, const char* name) {
  struct stat status {};
  if (::fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return "?";
  return std::to_string(status.st_ino);
}

/// "…; and 12 more" → 12, and cuts it off.
std::uint64_t take_more(std::string& text) {
  const std::size_t at = text.rfind(kMoreBegin);
  const bool has_more = text.ends_with(kMoreEnd) && at != std::string::npos &&
                        (at == 0 || std::string_view(text).substr(0, at).ends_with(kSeparator));
  if (!has_more) return 0;
  std::uint64_t more = 0;
  const char* const begin = text.data() + at + kMoreBegin.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), more);
  if (error != std::errc() || std::string_view(end) != kMoreEnd) return 0;
  text.resize(at == 0 ? 0 : at - kSeparator.size());
  return more;
}

bool names(const std::string& text, std::string_view change) {
  for (std::size_t at = text.find(change); at != std::string::npos;
       at = text.find(change, at + 1)) {
    const std::size_t end = at + change.size();
    const bool begins = at == 0 || std::string_view(text).substr(0, at).ends_with(kSeparator);
    const bool ends =
        end == text.size() || std::string_view(text).substr(end).starts_with(kSeparator);
    if (begins && ends) return true;
  }
  return false;
}

/// The directory itself was taken away or exchanged.
void compare_places(const std::string& before, const std::string& after,
                    image::RecordDifference& difference) {
  if (before.empty() || after.empty() || before == after) return;
  ++difference.changed;
  difference.named.insert(difference.named.begin(),
                          "the layer's directory (moved or replaced, it is " +
                              escape_untrusted(after, kMaxPlaceBytes) + " now)");
}

}  // namespace

std::string place_of(int fd) {
  std::string path = path_of(fd);
  if (!path.starts_with('/')) return "";
  if (path.ends_with(kDeleted)) return path;
  const std::size_t name = path.rfind('/');
  const std::size_t parent = name == 0 ? name : path.rfind('/', name - 1);
  return "…" + path.substr(parent == std::string::npos ? 0 : parent) + " in " + inode_of(fd, "..") +
         " in " + inode_of(fd, "../..");
}

bool PastRecord::is_too_large() const {
  return kept && kept->record == kTooLargeMark;
}

Result<PastRecord> find_past(LayerRecords& records, const catalog::LayerInstance& instance) {
  PastRecord past;
  ASSAY_ASSIGN(past.kept, records.find_record(instance));
  if (!past.kept || past.kept->record.empty() || past.is_too_large()) return past;
  // One of another version is taken anew.
  if (auto decoded = image::NodeRecord::decode(past.kept->record))
    past.decoded = std::move(*decoded);
  return past;
}

std::string add_changes(const std::string& known, const image::RecordDifference& difference) {
  std::string text = known;
  std::uint64_t more = take_more(text) + (difference.changed - difference.named.size());
  for (const std::string& change : difference.named) {
    if (names(text, change)) continue;
    if (text.size() + kSeparator.size() + change.size() > kMaxChangesBytes) {
      ++more;
      continue;
    }
    if (!text.empty()) text += kSeparator;
    text += change;
  }
  if (more == 0) return text;
  if (!text.empty()) text += kSeparator;
  return text + std::string(kMoreBegin) + std::to_string(more) + std::string(kMoreEnd);
}

std::string add_of_whole(const std::string& known, std::string_view text) {
  if (names(known, text)) return known;
  std::string all(text);
  if (!known.empty()) all.append(kSeparator).append(known);
  return all;
}

Result<RecordOutcome> keep_record(LayerRecords& records, const catalog::LayerInstance& instance,
                                  const PastRecord& past, const image::NodeRecord& after) {
  RecordOutcome outcome;
  outcome.tampered = past.tampered();
  if (past.decoded) {
    const image::NodeRecord& before = *past.decoded;
    image::RecordDifference difference = image::compare(before, after);
    if (difference.is_other_view)
      return Error{ErrorCode::kUnsupported, "the layer was seen through another id map"};
    compare_places(before.place, after.place, difference);
    outcome.changed = difference.changed;
    outcome.touched = difference.touched;
    if (difference.changed != 0) outcome.tampered = add_changes(outcome.tampered, difference);
    outcome.named = std::move(difference.named);
    if (before == after) {
      (void)records.renew_record(instance);  // else it goes sooner from a full table, no more
      return outcome;
    }
  }
  ASSAY_ASSIGN(std::string bytes, after.encode());
  ASSAY_TRY(records.keep_record(instance, {std::move(bytes), outcome.tampered}));
  return outcome;
}

}  // namespace assay::agent
