// SPDX-License-Identifier: Apache-2.0
// gzip and zstd through libarchive, with the filter chosen here: its own detection would also
// unpack what was packed twice, which no runtime does.
#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "common/image/byte_source.h"

namespace assay::image {
namespace {

constexpr std::size_t kChunkBytes = 1U << 17;

// The bytes that were looked at, then the rest.
class PrefixedSource final : public ByteSource {
 public:
  PrefixedSource(std::string prefix, ByteSource& below)
      : prefix_(std::move(prefix)), below_(below) {}
  Result<std::size_t> read(std::span<char> out) override {
    if (taken_ == prefix_.size()) return below_.read(out);
    const std::size_t part = std::min(out.size(), prefix_.size() - taken_);
    std::memcpy(out.data(), prefix_.data() + taken_, part);
    taken_ += part;
    return part;
  }
  Result<void> skip(std::uint64_t bytes) override {
    const std::uint64_t part = std::min<std::uint64_t>(bytes, prefix_.size() - taken_);
    taken_ += static_cast<std::size_t>(part);
    return bytes == part ? ok() : below_.skip(bytes - part);
  }

 private:
  std::string prefix_;
  std::size_t taken_ = 0;
  ByteSource& below_;
};

class FilterSource final : public ByteSource {
 public:
  FilterSource(std::unique_ptr<ByteSource> below, int filter)
      : below_(std::move(below)), filter_(filter), chunk_(kChunkBytes) {}
  FilterSource(const FilterSource&) = delete;
  FilterSource& operator=(const FilterSource&) = delete;
  ~FilterSource() override {
    if (archive_ != nullptr) archive_read_free(archive_);
  }

  Result<std::size_t> read(std::span<char> out) override {
    if (is_ended_) return std::size_t{0};
    if (archive_ == nullptr) ASSAY_TRY(open());
    if (is_ended_) return std::size_t{0};
    const la_ssize_t got = archive_read_data(archive_, out.data(), out.size());
    if (got < 0) return failure();
    is_ended_ = got == 0;
    return static_cast<std::size_t>(got);
  }

 private:
  Result<void> open() {
    archive_ = archive_read_new();
    ASSAY_ASSERT(archive_ != nullptr);
    archive_read_support_format_raw(archive_);
    archive_read_support_format_empty(archive_);
    if (archive_read_append_filter(archive_, filter_) < ARCHIVE_WARN) return failure();
    if (archive_read_open(archive_, this, nullptr, &FilterSource::on_read, nullptr) != ARCHIVE_OK)
      return failure();
    struct archive_entry* entry = nullptr;
    const int outcome = archive_read_next_header(archive_, &entry);
    if (outcome == ARCHIVE_EOF) {
      is_ended_ = true;
    } else if (outcome != ARCHIVE_OK) {
      return failure();
    }
    return ok();
  }

  static la_ssize_t on_read(struct archive* archive, void* self, const void** bytes) {
    auto& source = *static_cast<FilterSource*>(self);
    auto got = source.below_->read(source.chunk_);
    if (!got) {
      source.below_error_ = std::move(got.error());
      archive_set_error(archive, EIO, "the stream below failed");
      return ARCHIVE_FATAL;
    }
    *bytes = source.chunk_.data();
    return static_cast<la_ssize_t>(*got);
  }

  Error failure() {
    if (below_error_.code != ErrorCode::kInternal) return below_error_;
    const char* text = archive_error_string(archive_);
    return {ErrorCode::kCorrupt,
            "cannot decompress: " + std::string(text == nullptr ? "bad stream" : text)};
  }

  std::unique_ptr<ByteSource> below_;
  int filter_;
  std::vector<char> chunk_;
  struct archive* archive_ = nullptr;
  bool is_ended_ = false;
  Error below_error_;  // kInternal while there is none
};

}  // namespace

Result<std::unique_ptr<ByteSource>> decompress(ByteSource& below) {
  using namespace std::string_view_literals;
  std::array<char, 6> head = {};
  ASSAY_ASSIGN(const std::size_t got, read_fully(below, head));
  const std::string_view magic(head.data(), got);
  auto whole = std::make_unique<PrefixedSource>(std::string(magic), below);
  const bool is_skippable_zstd =  // a zstd stream may begin with a skippable frame
      magic.size() >= 4 && (magic[0] & '\xf0') == '\x50' && magic.substr(1, 3) == "\x2a\x4d\x18"sv;
  int filter = ARCHIVE_FILTER_NONE;
  if (magic.starts_with("\x1f\x8b"sv)) filter = ARCHIVE_FILTER_GZIP;
  if (magic.starts_with("\x28\xb5\x2f\xfd"sv) || is_skippable_zstd) filter = ARCHIVE_FILTER_ZSTD;
  if (magic.starts_with("BZh"sv) || magic.starts_with("\xfd"
                                                      "7zXZ"sv))
    return Error{
        ErrorCode::kUnsupported,
        "compressed with bzip2 or xz; Assay reads gzip and zstd (unpack a whole archive, or "
        "repack an image's layers with skopeo copy --dest-compress-format gzip)"};
  if (filter == ARCHIVE_FILTER_NONE) return std::unique_ptr<ByteSource>(std::move(whole));
  return std::unique_ptr<ByteSource>(std::make_unique<FilterSource>(std::move(whole), filter));
}

}  // namespace assay::image
