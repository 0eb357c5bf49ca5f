// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/json_rows.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <streambuf>

namespace assay::agent {
namespace {

using nlohmann::json;

constexpr int kRowDepth = 2;   // the list, then the object
constexpr int kListDepth = 3;  // a list in the object

/// A file in pieces; ends at `max_bytes` even if it grew meanwhile.
class FileBuffer final : public std::streambuf {
 public:
  FileBuffer(int fd, std::uint64_t max_bytes) : fd_(fd), left_(max_bytes) {}
  bool has_failed() const { return has_failed_; }

 protected:
  int_type underflow() override {
    const std::size_t wanted = std::min<std::uint64_t>(piece_.size(), left_);
    const ssize_t count = TEMP_FAILURE_RETRY(::read(fd_, piece_.data(), wanted));
    has_failed_ |= count < 0;
    if (count <= 0) return traits_type::eof();
    left_ -= static_cast<std::uint64_t>(count);
    setg(piece_.data(), piece_.data(), piece_.data() + count);
    return traits_type::to_int_type(piece_.front());
  }

 private:
  const int fd_;
  std::uint64_t left_;
  bool has_failed_ = false;
  std::array<char, 64U << 10> piece_{};
};

/// Follows the parser through the list; leaves it by returning false.
class RowReader final : public nlohmann::json_sax<json> {
 public:
  RowReader(const RowFields& fields, const RowLimits& limits,
            const std::function<bool(const JsonRow&)>& on_row)
      : fields_(fields), limits_(limits), on_row_(on_row) {
    clear_row();
  }

  bool is_stopped() const { return is_stopped_; }
  const std::optional<Error>& fault() const { return fault_; }

  bool null() override { return on_other(); }
  bool boolean(bool) override { return on_other(); }
  bool number_integer(number_integer_t) override { return on_other(); }
  bool number_unsigned(number_unsigned_t) override { return on_other(); }
  bool number_float(number_float_t, const string_t&) override { return on_other(); }
  bool binary(binary_t&) override { return on_other(); }

  bool string(string_t& value) override {
    if (depth_ < kRowDepth) return fail("it is no list of objects");
    if (value.size() > limits_.max_text_bytes) return true;
    if (depth_ == kRowDepth && text_) row_.texts[*text_] = std::move(value);
    if (depth_ == kListDepth && is_in_list_) {
      auto& list = row_.lists[*list_];
      if (list.size() < limits_.max_list_items) list.push_back(std::move(value));
    }
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ != kRowDepth) return true;
    text_ = index_of(fields_.texts, name);
    list_ = index_of(fields_.lists, name);
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 0) return fail("it is no list of objects");
    if (depth_ == 1 && ++rows_ > limits_.max_rows)
      return fail("more than " + std::to_string(limits_.max_rows) + " entries",
                  ErrorCode::kLimitExceeded);
    if (depth_ == 1) clear_row();
    return enter();
  }

  bool end_object() override {
    if (--depth_ != 1) return true;
    is_stopped_ = !on_row_(row_);
    return !is_stopped_;
  }

  bool start_array(std::size_t) override {
    if (depth_ == 1) return fail("it is no list of objects");
    is_in_list_ = depth_ == kRowDepth && list_.has_value();
    return enter();
  }

  bool end_array() override {
    --depth_;
    if (depth_ == kRowDepth) is_in_list_ = false;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    return fail("no JSON from byte " + std::to_string(position) + " on");
  }

 private:
  static std::optional<std::size_t> index_of(const std::vector<std::string_view>& names,
                                             std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names.begin());
  }

  bool on_other() { return depth_ >= kRowDepth || fail("it is no list of objects"); }

  bool enter() {
    if (++depth_ > limits_.max_depth) return fail("it is nested too deep");
    return true;
  }

  bool fail(std::string message, ErrorCode code = ErrorCode::kCorrupt) {
    if (!fault_) fault_ = Error{code, std::move(message)};
    return false;
  }

  void clear_row() {
    row_.texts.assign(fields_.texts.size(), {});
    row_.lists.assign(fields_.lists.size(), {});
    text_.reset();
    list_.reset();
  }

  const RowFields& fields_;
  const RowLimits& limits_;
  const std::function<bool(const JsonRow&)>& on_row_;
  JsonRow row_;
  std::optional<std::size_t> text_;  // where the value of the key at hand goes
  std::optional<std::size_t> list_;
  bool is_in_list_ = false;
  bool is_stopped_ = false;
  int depth_ = 0;
  std::size_t rows_ = 0;
  std::optional<Error> fault_;
};

}  // namespace

Result<void> read_json_rows(int fd, const RowFields& fields, const RowLimits& limits,
                            const std::function<bool(const JsonRow&)>& on_row) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("fstat");
  if (static_cast<std::uint64_t>(status.st_size) > limits.max_bytes)
    return Error{ErrorCode::kLimitExceeded,
                 "larger than " + std::to_string(limits.max_bytes) + " bytes"};
  FileBuffer buffer(fd, limits.max_bytes);
  std::istream stream(&buffer);
  RowReader reader(fields, limits, on_row);
  const bool is_read = json::sax_parse(stream, &reader);
  if (buffer.has_failed()) return Error{ErrorCode::kUnavailable, "it cannot be read"};
  if (is_read || reader.is_stopped()) return ok();
  return reader.fault().value_or(Error{ErrorCode::kCorrupt, "no list of objects"});
}

}  // namespace assay::agent
