// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace assay::agent {
namespace {

std::size_t page_size() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t producer_bytes(std::uint32_t size) {
  return page_size() + 2ULL * size;  // the data follow themselves, so that no record is cut
}

constexpr std::uint32_t kLengthMask = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

}  // namespace

Result<RingReader> RingReader::open(int fd, std::uint32_t size) {
  void* consumer = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (consumer == MAP_FAILED) return system_error("map a ring buffer");
  void* producer = ::mmap(nullptr, producer_bytes(size), PROT_READ, MAP_SHARED, fd,
                          static_cast<off_t>(page_size()));
  if (producer == MAP_FAILED) {
    Error error = system_error("map a ring buffer's records");
    ::munmap(consumer, page_size());
    return error;
  }
  return RingReader(static_cast<unsigned long*>(consumer), static_cast<const char*>(producer),
                    size);
}

RingReader::RingReader(unsigned long* consumer, const char* producer, std::uint32_t size)
    : consumer_(consumer), producer_(producer), size_(size), position_(released()) {}

RingReader::RingReader(RingReader&& other) noexcept
    : consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)),
      size_(other.size_),
      position_(other.position_) {}

RingReader::~RingReader() {
  if (consumer_ == nullptr) return;
  ::munmap(consumer_, page_size());
  ::munmap(const_cast<char*>(producer_), producer_bytes(size_));
}

std::uint64_t RingReader::written() const {
  return __atomic_load_n(reinterpret_cast<const unsigned long*>(producer_), __ATOMIC_ACQUIRE);
}

void RingReader::read(const Sink& sink, std::uint64_t end) {
  const char* data = producer_ + page_size();
  while (position_ < end) {
    const char* header = data + (position_ & (size_ - 1));
    const std::uint32_t length =
        __atomic_load_n(reinterpret_cast<const std::uint32_t*>(header), __ATOMIC_ACQUIRE);
    if ((length & BPF_RINGBUF_BUSY_BIT) != 0) return;  // a program is still writing it
    const std::uint32_t bytes = length & kLengthMask;
    if (bytes > size_) return;  // never written so by the kernel
    if ((length & BPF_RINGBUF_DISCARD_BIT) == 0) sink({header + BPF_RINGBUF_HDR_SZ, bytes});
    position_ += (bytes + BPF_RINGBUF_HDR_SZ + 7ULL) & ~7ULL;
  }
}

void RingReader::release(std::uint64_t position) {
  const MutexLock lock(release_mutex_);
  if (position > released()) __atomic_store_n(consumer_, position, __ATOMIC_RELEASE);
}

std::uint64_t RingReader::released() const {
  return __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
}

}  // namespace assay::agent
