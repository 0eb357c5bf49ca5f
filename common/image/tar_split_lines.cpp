// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_split_lines.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

using nlohmann::json;

constexpr std::uint64_t kFileType = 1;
constexpr std::uint64_t kSegmentType = 2;
constexpr std::size_t kCrcBytes = 8;

Error corrupt(std::uint64_t line, const std::string& what) {
  return {ErrorCode::kCorrupt, "tar-split: line " + std::to_string(line) + " " + what};
}

/// Takes one flat object of texts and numbers, and nothing else; never builds a tree.
class Fields final : public nlohmann::json_sax<json> {
 public:
  std::string name;
  std::string name_raw;
  std::string payload;
  std::uint64_t type = 0;
  std::uint64_t size = 0;
  std::uint64_t position = 0;

  bool null() override { return take(nullptr, 0); }
  bool boolean(bool) override { return take_other(); }
  bool number_integer(number_integer_t) override { return take_other(); }  // negative
  bool number_unsigned(number_unsigned_t value) override { return take(nullptr, value); }
  bool number_float(number_float_t, const string_t&) override { return take_other(); }
  bool string(string_t& value) override { return take(&value, 0); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return std::exchange(depth_, 1) == 0; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return false; }
  bool end_array() override { return false; }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  /// Fields of other names may hold what they like, if it is flat.
  bool take_other() const { return depth_ == 1 && !is_ours(); }
  bool is_ours() const {
    return key_ == "type" || key_ == "size" || key_ == "position" || key_ == "name" ||
           key_ == "name_raw" || key_ == "payload";
  }
  /// Text, or a number, or null for both.
  bool take(string_t* text, std::uint64_t number) {
    if (depth_ != 1) return false;
    std::uint64_t* const to = key_ == "type"       ? &type
                              : key_ == "size"     ? &size
                              : key_ == "position" ? &position
                                                   : nullptr;
    std::string* const into = key_ == "name"       ? &name
                              : key_ == "name_raw" ? &name_raw
                              : key_ == "payload"  ? &payload
                                                   : nullptr;
    if (to != nullptr && text == nullptr) *to = number;
    if (into != nullptr && text != nullptr) *into = std::move(*text);
    if (into != nullptr && text == nullptr && number == 0) into->clear();
    return (to == nullptr || text == nullptr) &&
           (into == nullptr || text != nullptr || number == 0);
  }

  std::string key_;
  int depth_ = 0;
};

Result<void> take_segment(const Fields& fields, std::uint64_t number, TarSplitLine& line) {
  auto bytes = from_base64(fields.payload);
  if (!bytes) return corrupt(number, "has a segment that is no base64");
  line.is_file = false;
  line.segment = std::move(*bytes);
  return ok();
}

Result<void> take_file(Fields& fields, const TarSplitLimits& limits, std::uint64_t number,
                       TarSplitLine& line) {
  line.is_file = true;
  line.segment.clear();
  line.size = fields.size;
  line.name = std::move(fields.name);
  if (line.name.empty() && !fields.name_raw.empty()) {
    auto raw = from_base64(fields.name_raw);
    if (!raw) return corrupt(number, "has a name that is no base64");
    line.name = std::move(*raw);
  }
  if (line.name.size() > limits.max_name_bytes)
    return Error{ErrorCode::kLimitExceeded, "tar-split: a name is longer than " +
                                                std::to_string(limits.max_name_bytes) + " bytes"};
  if (line.size == 0) return ok();
  if (line.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return corrupt(number, "has a size beyond 2^63");
  const auto crc = from_base64(fields.payload);
  if (!crc || crc->size() != kCrcBytes) return corrupt(number, "has no CRC-64 of its file");
  line.crc64 = 0;
  for (const char byte : *crc)
    line.crc64 = line.crc64 << 8 | static_cast<unsigned char>(byte);
  return ok();
}

}  // namespace

/// Into text_, without its end; false when there is none left.
Result<bool> TarSplitLines::read_line() {
  text_.clear();
  for (;;) {
    const char* const from = buffer_.data() + begin_;
    const std::size_t have = end_ - begin_;
    const void* const found = have == 0 ? nullptr : std::memchr(from, '\n', have);
    const std::size_t part =
        found == nullptr ? have : static_cast<std::size_t>(static_cast<const char*>(found) - from);
    if (text_.size() + part > limits_.max_line_bytes)
      return Error{
          ErrorCode::kLimitExceeded,
          "tar-split: a line is longer than " + std::to_string(limits_.max_line_bytes) + " bytes"};
    text_.append(from, part);
    begin_ += found == nullptr ? part : part + 1;
    if (found != nullptr) return true;
    ASSAY_ASSIGN(end_, source_.read(buffer_));
    begin_ = 0;
    if (end_ == 0) return !text_.empty();
  }
}

Result<bool> TarSplitLines::next(TarSplitLine& line) {
  ASSAY_ASSIGN(const bool has_line, read_line());
  if (!has_line) return false;
  if (lines_ == limits_.max_lines)
    return Error{ErrorCode::kLimitExceeded,
                 "tar-split: more than " + std::to_string(limits_.max_lines) + " lines"};
  const std::uint64_t number = lines_++;
  Fields fields;
  if (!json::sax_parse(text_, &fields)) return corrupt(number + 1, "is no entry");
  if (fields.position != number) return corrupt(number + 1, "has another position");
  if (fields.type == kSegmentType) {
    ASSAY_TRY(take_segment(fields, number + 1, line));
  } else if (fields.type == kFileType) {
    ASSAY_TRY(take_file(fields, limits_, number + 1, line));
  } else {
    return corrupt(number + 1, "has an unknown type");
  }
  return true;
}

}  // namespace assay::image
