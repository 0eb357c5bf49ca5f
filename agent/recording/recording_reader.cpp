// SPDX-License-Identifier: Apache-2.0
#include "agent/recording/recording_reader.h"

#include <algorithm>

namespace assay::agent {
namespace {

constexpr std::size_t kNumberBytes = 4;
constexpr std::size_t kPieceBytes = 64U << 10;  // a length that lies reserves no memory

std::uint32_t number_in(std::string_view bytes) {
  std::uint32_t number = 0;
  for (std::size_t i = kNumberBytes; i-- > 0;)
    number = number << 8U | static_cast<unsigned char>(bytes[i]);
  return number;
}

}  // namespace

Result<RecordingReader> RecordingReader::open(std::istream& in) {
  RecordingReader reader(in);
  std::string start;
  if (!reader.read_bytes(start, kRecordingMagic.size() + kNumberBytes) ||
      !start.starts_with(kRecordingMagic))
    return Error{ErrorCode::kCorrupt, "this is no recording of assay-agent"};
  const std::uint32_t version = number_in(start.substr(kRecordingMagic.size()));
  if (version != kRecordingVersion)
    return Error{ErrorCode::kUnsupported, "a recording of version " + std::to_string(version) +
                                              "; this program reads version " +
                                              std::to_string(kRecordingVersion)};
  ASSAY_ASSIGN(const auto frame, reader.read_frame());
  if (!frame) return Error{ErrorCode::kCorrupt, "the recording ends before its header"};
  ASSAY_ASSIGN(reader.header_, decode_header(*frame));
  reader.first_entry_ = reader.bytes_;
  return reader;
}

bool RecordingReader::read_bytes(std::string& bytes, std::size_t size) {
  bytes.clear();
  while (bytes.size() < size) {
    const std::size_t before = bytes.size();
    bytes.resize(std::min(size, before + kPieceBytes));
    in_->read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before));
    const auto count = static_cast<std::size_t>(in_->gcount());
    bytes_ += count;
    if (before + count < bytes.size()) {
      bytes.resize(before + count);
      return false;
    }
  }
  return true;
}

Result<std::optional<std::string>> RecordingReader::read_frame() {
  std::string bytes;
  if (!read_bytes(bytes, kNumberBytes)) {
    is_cut_ = !bytes.empty();
    return std::optional<std::string>();
  }
  const std::uint32_t size = number_in(bytes);
  if (size > kMaxFrameBytes || bytes_ + size > kMaxRecordingBytes)
    return Error{ErrorCode::kLimitExceeded, "the recording, or an entry in it, is too large"};
  if (!read_bytes(bytes, size)) {
    is_cut_ = true;
    return std::optional<std::string>();
  }
  return std::optional<std::string>(std::move(bytes));
}

Result<std::optional<RecordingEntry>> RecordingReader::next() {
  for (;;) {
    ASSAY_ASSIGN(const auto frame, read_frame());
    if (!frame) return std::optional<RecordingEntry>();
    ASSAY_ASSIGN(auto entry, decode_entry(*frame));
    if (entry) return entry;
  }
}

Result<void> RecordingReader::rewind() {
  in_->clear();
  in_->seekg(static_cast<std::streamoff>(first_entry_));
  if (!*in_) return Error{ErrorCode::kUnavailable, "the recording cannot be read a second time"};
  bytes_ = first_entry_;
  is_cut_ = false;
  return ok();
}

}  // namespace assay::agent
