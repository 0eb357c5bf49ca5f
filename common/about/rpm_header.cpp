// SPDX-License-Identifier: Apache-2.0
#include "common/about/rpm_header.h"

#include <cstdint>
#include <string>

#include "common/base/encoding.h"

namespace assay::about {
namespace {

constexpr std::size_t kCountsBytes = 8;
constexpr std::size_t kEntryBytes = 16;
constexpr std::uint32_t kMaxEntries = 0xffff;  // rpm's own limit
constexpr std::size_t kMaxTextBytes = 128;

// include/rpm/rpmtag.h
constexpr std::uint32_t kTagName = 1000;
constexpr std::uint32_t kTagVersion = 1001;
constexpr std::uint32_t kTagRelease = 1002;
constexpr std::uint32_t kTagEpoch = 1003;
constexpr std::uint32_t kTagArch = 1022;
constexpr std::uint32_t kTypeInt32 = 4;
constexpr std::uint32_t kTypeString = 6;

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, std::string("rpm header: ") + what};
}

/// `bytes` has at least four bytes from `at` on.
std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

class Header {
 public:
  static Result<Header> open(std::string_view blob) {
    if (blob.size() < kCountsBytes) return corrupt("truncated");
    const std::uint32_t entries = number_at(blob, 0);
    const std::uint32_t data_bytes = number_at(blob, 4);
    if (entries == 0 || entries > kMaxEntries) return corrupt("bad number of entries");
    const std::size_t index_bytes = std::size_t{entries} * kEntryBytes;
    const std::size_t rest = blob.size() - kCountsBytes;
    if (index_bytes > rest || data_bytes > rest - index_bytes) return corrupt("truncated");
    return Header(blob.substr(kCountsBytes, index_bytes),
                  blob.substr(kCountsBytes + index_bytes, data_bytes));
  }

  /// "" when there is none, or another type in its place.
  std::string text(std::uint32_t tag) const {
    const std::string_view data = data_of(tag, kTypeString);
    const std::size_t end = data.find('\0');
    if (end == std::string_view::npos) return {};  // it must end inside the data
    return to_plain_text(data.substr(0, end), kMaxTextBytes);
  }
  /// 0 when there is none: rpm takes an absent epoch for 0 as well.
  std::uint32_t number(std::uint32_t tag) const {
    const std::string_view data = data_of(tag, kTypeInt32);
    return data.size() < 4 ? 0 : number_at(data, 0);
  }

 private:
  Header(std::string_view index, std::string_view data) : index_(index), data_(data) {}

  std::string_view data_of(std::uint32_t tag, std::uint32_t type) const {
    for (std::size_t at = 0; at < index_.size(); at += kEntryBytes) {
      if (number_at(index_, at) != tag || number_at(index_, at + 4) != type) continue;
      const std::uint32_t offset = number_at(index_, at + 8);
      return offset < data_.size() ? data_.substr(offset) : std::string_view();
    }
    return {};
  }

  std::string_view index_;
  std::string_view data_;
};

}  // namespace

Result<catalog::Package> parse_rpm_header(std::string_view blob) {
  ASSAY_ASSIGN(const Header header, Header::open(blob));
  catalog::Package package{header.text(kTagName), header.text(kTagVersion), header.text(kTagArch)};
  if (package.name.empty()) return corrupt("it names no package");
  const std::string release = header.text(kTagRelease);
  if (!release.empty()) package.version += "-" + release;
  if (const std::uint32_t epoch = header.number(kTagEpoch); epoch != 0)
    package.version = std::to_string(epoch) + ":" + package.version;
  return package;
}

}  // namespace assay::about
