// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{500};   // after a write that the disk refused
constexpr std::chrono::milliseconds kForgetEvery{200};  // acknowledgements are applied together
constexpr std::size_t kMaxGroup = 4096;                 // events in one transaction

std::uint64_t size_of(const NewEvent& event) {
  return event.payload.size() + event.stack_description.size() + sizeof(NewEvent);
}

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::open(const std::string& path, OutboxOptions options) {
  ASSAY_ASSIGN(OutboxStore store, OutboxStore::open(path, options.limits));
  ASSAY_ASSIGN(sqlite::Database reader, sqlite::Database::open(path, {.read_only = true}));
  return std::unique_ptr<Outbox>(new Outbox(std::move(store), std::move(reader), options));
}

Outbox::Outbox(OutboxStore store, sqlite::Database reader, OutboxOptions options)
    : options_(options),
      store_(std::move(store)),
      reader_(std::move(reader)),
      epoch_(store_.epoch()),
      handed_out_(store_.last_sequence()),  // by an earlier process
      acknowledged_(store_.acknowledged()),
      forgotten_(store_.acknowledged()),
      dropped_before_tail_(store_.last_sequence()) {
  status_.events = store_.events();
  status_.bytes = store_.bytes();
  status_.last_sequence = store_.last_sequence();
  status_.oldest = store_.oldest();
}

Outbox::~Outbox() {
  stop();
}

void Outbox::start(Callbacks callbacks) {
  ASSAY_ASSERT(callbacks.make_gap && callbacks.on_committed);
  callbacks_ = std::move(callbacks);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-outbox");
}

void Outbox::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Outbox::append(NewEvent event) {
  const std::uint64_t size = size_of(event);
  {
    const MutexLock lock(mutex_);
    if (queued_bytes_ + size > options_.max_queued_bytes) {
      refused_.add(event.time);
      ++status_.dropped;
      return;
    }
    queued_bytes_ += size;
    ++appended_;
    queue_.push_back(std::move(event));
  }
  wake_.notify_one();
}

bool Outbox::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t until = appended_;
  return flushed_.wait_for(lock, timeout, [&] { return committed_ >= until; });
}

void Outbox::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kForgetEvery, [&] { return !queue_.empty(); });
    }
    if (commit_queued()) continue;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kRetryAfter, [] { return false; });
  }
  for (bool has_more = true; has_more;) {
    if (!commit_queued()) break;  // a disk that refuses at the end: the queue is lost with us
    const MutexLock lock(mutex_);
    has_more = !queue_.empty();
  }
}

bool Outbox::renew_epoch() {
  {
    const MutexLock lock(mutex_);
    if (!is_epoch_void_) return true;
  }
  const auto renewed = store_.renew_epoch();
  const MutexLock lock(mutex_);
  if (!renewed) {
    status_.error = renewed.error().text();
    return false;
  }
  is_epoch_void_ = false;
  epoch_ = store_.epoch();
  acknowledged_ = forgotten_ = 0;
  return true;
}

bool Outbox::commit_queued() {
  if (!renew_epoch()) return false;
  std::vector<NewEvent> batch;
  std::uint64_t acknowledged = 0;
  DroppedEvents refused;
  {
    const MutexLock lock(mutex_);
    const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMaxGroup));
    batch.assign(std::make_move_iterator(queue_.begin()),
                 std::make_move_iterator(queue_.begin() + count));
    queue_.erase(queue_.begin(), queue_.begin() + count);
    if (acknowledged_ > forgotten_) acknowledged = acknowledged_;
    std::swap(refused, refused_);
  }
  if (batch.empty() && acknowledged == 0 && refused.events == 0) return true;
  const std::size_t appended = batch.size();
  if (refused.events > 0) {
    refused.reason = "the outbox could not be written";
    batch.push_back(callbacks_.make_gap(refused));
  }
  auto inserted = store_.write(batch, acknowledged, [this](const DroppedEvents& dropped) {
    {
      const MutexLock lock(mutex_);
      status_.dropped += dropped.events;
    }
    return callbacks_.make_gap(dropped);
  });
  if (!inserted) {
    batch.resize(appended);
    const MutexLock lock(mutex_);
    status_.error = inserted.error().text();
    if (refused.events > 0) {
      refused.events += refused_.events;
      refused.until = std::max(refused.until, refused_.until);
      refused_ = refused;
    }
    queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()),
                  std::make_move_iterator(batch.end()));
    return false;
  }
  {
    const MutexLock lock(mutex_);
    for (std::size_t i = 0; i < appended; ++i)
      queued_bytes_ -= size_of(batch[i]);
    committed_ += appended;
    forgotten_ = std::max(forgotten_, acknowledged);
  }
  publish(std::move(*inserted));
  return true;
}

void Outbox::publish(std::vector<OutgoingEvent> inserted) {
  const bool has_news = !inserted.empty();
  {
    const MutexLock lock(mutex_);
    for (OutgoingEvent& event : inserted) {
      tail_bytes_ += event.payload.size();
      tail_.push_back(std::move(event));
    }
    while (!tail_.empty() &&
           (tail_bytes_ > options_.max_tail_bytes || tail_.front().sequence <= acknowledged_)) {
      dropped_before_tail_ = tail_.front().sequence;
      tail_bytes_ -= tail_.front().payload.size();
      tail_.pop_front();
    }
    status_.error.clear();
    status_.events = store_.events();
    status_.bytes = store_.bytes();
    status_.last_sequence = store_.last_sequence();
    status_.oldest = store_.oldest();
  }
  flushed_.notify_all();
  if (has_news) callbacks_.on_committed();
}

Result<std::vector<OutgoingEvent>> Outbox::read_after(std::uint64_t sequence,
                                                      std::uint64_t max_bytes) {
  {
    const MutexLock lock(mutex_);
    if (sequence >= status_.last_sequence) return std::vector<OutgoingEvent>{};
    if (sequence >= dropped_before_tail_) {
      std::vector<OutgoingEvent> events;
      std::uint64_t bytes = 0;
      const auto first = std::upper_bound(
          tail_.begin(), tail_.end(), sequence,
          [](std::uint64_t wanted, const OutgoingEvent& event) { return wanted < event.sequence; });
      for (auto event = first; event != tail_.end(); ++event) {
        bytes += event->payload.size();
        if (!events.empty() && bytes > max_bytes) break;
        events.push_back(*event);
      }
      if (!events.empty()) handed_out_ = std::max(handed_out_, events.back().sequence);
      return events;
    }
  }
  auto events = read_from_disk(sequence, max_bytes);
  if (!events || events->empty()) return events;
  const MutexLock lock(mutex_);
  handed_out_ = std::max(handed_out_, events->back().sequence);
  return events;
}

Result<std::vector<OutgoingEvent>> Outbox::read_from_disk(std::uint64_t sequence,
                                                          std::uint64_t max_bytes) {
  const MutexLock lock(reader_mutex_);
  ASSAY_ASSIGN(
      sqlite::Statement * query,
      reader_.prepare(
          "SELECT sequence, stack, payload FROM events WHERE sequence > ? ORDER BY sequence"));
  query->bind(sequence);
  std::vector<OutgoingEvent> events;
  for (std::uint64_t bytes = 0;;) {
    ASSAY_ASSIGN(const bool has_row, query->step());
    if (!has_row) break;
    OutgoingEvent event;
    event.sequence = static_cast<std::uint64_t>(query->integer(0));
    if (!query->is_null(1)) {
      ASSAY_ASSIGN(event.stack, StackDigest::from_raw(query->text(1)));
    }
    event.payload = query->text(2);
    bytes += event.payload.size();
    if (!events.empty() && bytes > max_bytes) break;
    events.push_back(std::move(event));
  }
  query->reset();
  return events;
}

std::optional<std::string> Outbox::describe(const StackDigest& digest) {
  const MutexLock lock(reader_mutex_);
  auto query = reader_.prepare("SELECT description FROM stacks WHERE digest = ?");
  if (!query) return std::nullopt;
  auto found = (*query)->bind(sqlite::Statement::Blob{digest.raw()}).step();
  std::optional<std::string> description;
  if (found && *found) description = (*query)->text(0);
  (*query)->reset();
  return description;
}

Epoch Outbox::epoch() const {
  const MutexLock lock(mutex_);
  return epoch_;
}

std::uint64_t Outbox::acknowledged() const {
  const MutexLock lock(mutex_);
  return acknowledged_;
}

bool Outbox::resume(std::uint64_t acknowledged) {
  {
    const MutexLock lock(mutex_);
    is_epoch_void_ = is_epoch_void_ || acknowledged > handed_out_;
    if (is_epoch_void_) return false;  // the writer thread sees it within kForgetEvery
  }
  acknowledge(acknowledged);
  return true;
}

void Outbox::acknowledge(std::uint64_t sequence) {
  const MutexLock lock(mutex_);
  acknowledged_ = std::max(acknowledged_, std::min(sequence, status_.last_sequence));
}

OutboxStatus Outbox::status() const {
  const MutexLock lock(mutex_);
  OutboxStatus status = status_;
  status.queued = queue_.size();
  return status;
}

}  // namespace assay::agent
