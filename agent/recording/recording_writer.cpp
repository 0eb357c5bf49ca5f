// SPDX-License-Identifier: Apache-2.0
#include "agent/recording/recording_writer.h"

#include <fcntl.h>
#include <pthread.h>

#include <utility>

namespace assay::agent {
namespace {

constexpr std::size_t kMaxQueued = 65'536;
constexpr std::chrono::milliseconds kIdleWait{500};

std::string little_endian(std::uint32_t number) {
  std::string bytes;
  for (unsigned int shift = 0; shift < 32; shift += 8)
    bytes += static_cast<char>(number >> shift & 0xFFU);
  return bytes;
}

}  // namespace

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path,
                                                                 const RecordingHeader& header,
                                                                 std::uint64_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd && errno == EEXIST)
    return Error{ErrorCode::kAlreadyExists, path + " is there already: name a new file"};
  if (!fd) return system_error("create " + path);
  std::unique_ptr<RecordingWriter> writer(
      new RecordingWriter(path, std::move(fd), std::min(max_bytes, kMaxRecordingBytes)));
  ASSAY_TRY(writer->put(std::string(kRecordingMagic) + little_endian(kRecordingVersion)));
  ASSAY_TRY(writer->append(encode(header)));
  writer->thread_ =
      std::jthread([raw = writer.get()](const std::stop_token& stop) { raw->run(stop); });
  ::pthread_setname_np(writer->thread_.native_handle(), "assay-recorder");
  return writer;
}

RecordingWriter::RecordingWriter(std::string path, UniqueFd fd, std::uint64_t max_bytes)
    : path_(std::move(path)), fd_(std::move(fd)), max_bytes_(max_bytes), frames_(kMaxQueued) {}

RecordingWriter::~RecordingWriter() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void RecordingWriter::write(BootTime time, decltype(RecordingEntry::body) body) {
  if (is_full_ || !frames_.try_push(encode(RecordingEntry{time, std::move(body)})))
    dropped_.fetch_add(1);
}

void RecordingWriter::run(const std::stop_token& stop) {
  // After a stop the queue is still written to its end: pop() hands out what is there.
  for (;;) {
    const auto frame = frames_.pop(stop, kIdleWait);
    if (!frame) {
      if (stop.stop_requested() && frames_.size() == 0) return;
      continue;
    }
    if (is_full_ || bytes_ + frame->size() > max_bytes_) {
      is_full_ = true;
      dropped_.fetch_add(1);
      continue;
    }
    auto appended = append(*frame);
    if (appended) continue;
    is_full_ = true;
    const MutexLock lock(mutex_);
    error_ = std::move(appended.error());
  }
}

Result<void> RecordingWriter::append(std::string_view frame) {
  std::string bytes = little_endian(static_cast<std::uint32_t>(frame.size()));
  bytes += frame;
  return put(bytes);
}

Result<void> RecordingWriter::put(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = TEMP_FAILURE_RETRY(::write(fd_.get(), bytes.data(), bytes.size()));
    if (count < 0) return system_error("write " + path_);
    bytes_.fetch_add(static_cast<std::uint64_t>(count));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return ok();
}

Result<void> RecordingWriter::close(BootTime time, const std::string& reason) {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  {
    const MutexLock lock(mutex_);
    if (error_) return *error_;
  }
  ASSAY_TRY(append(encode(RecordingEntry{time, RecordingEnd{reason, dropped_}})));
  if (::fsync(fd_.get()) != 0) return system_error("fsync " + path_);
  return ok();
}

}  // namespace assay::agent
