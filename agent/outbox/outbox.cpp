// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{500};   // after a write that the disk refused
constexpr std::chrono::milliseconds kForgetEvery{200};  // acknowledgements are applied together
constexpr std::chrono::seconds kWaitForRoom{5};         // while the disk works, but is behind
constexpr std::chrono::seconds kKeepEvery{10};          // how old the time of the last commit gets
constexpr std::size_t kMaxGroup = 4096;                 // events in one transaction
constexpr const char* kRefused = "the outbox could not be written";

std::uint64_t size_of(const NewEvent& event) {
  return event.payload.size() + event.stack_description.size() + sizeof(NewEvent);
}

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::open(const std::string& path, OutboxOptions options) {
  std::optional<SetAside> damaged;
  ASSAY_ASSIGN(OutboxStore store, open_or_set_aside(path, damaged, [&] {
                 return OutboxStore::open(path, options.limits, options.boot_id, options.opened);
               }));
  ASSAY_ASSIGN(sqlite::Database reader, sqlite::Database::open(path, {.read_only = true}));
  std::optional<KeptUntil> kept_until;
  if (!store.is_new()) {
    ASSAY_ASSIGN(kept_until, store.kept_until());
  }
  std::unique_ptr<Outbox> outbox(
      new Outbox(std::move(store), std::move(reader), std::move(options)));
  outbox->set_aside_ = std::move(damaged);
  outbox->kept_until_ = kept_until;
  return outbox;
}

Outbox::Outbox(OutboxStore store, sqlite::Database reader, OutboxOptions options)
    : options_(std::move(options)),
      is_new_(store.is_new()),
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
  {
    const MutexLock lock(mutex_);
    is_working_ = true;
  }
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
    std::unique_lock lock(mutex_);
    wait_for_room(size, lock);
    if (queued_bytes_ + size > options_.max_queued_bytes && !make_room(size, event.priority))
      return refuse(event);
    queued_bytes_ += size;
    ++appended_;
    queue_.push_back(std::move(event));
  }
  wake_.notify_one();
}

void Outbox::wait_for_room(std::uint64_t size, std::unique_lock<Mutex>& lock) {
  flushed_.wait_for(lock, kWaitForRoom, [&] {
    return !is_working_ || queued_bytes_ + size <= options_.max_queued_bytes;
  });
}

bool Outbox::make_room(std::uint64_t size, EventPriority priority) {
  // More than is needed now, or each event to come would look through the whole queue.
  const std::uint64_t target = options_.max_queued_bytes / 10 * 9;
  for (const EventPriority lower : {EventPriority::kRoutine, EventPriority::kRun}) {
    if (lower >= priority) break;
    std::erase_if(queue_, [&](const NewEvent& event) {
      if (event.priority != lower || queued_bytes_ <= target) return false;
      queued_bytes_ -= size_of(event);
      ++committed_;  // nobody waits for it any more
      refuse(event);
      return true;
    });
  }
  return queued_bytes_ + size <= options_.max_queued_bytes;
}

void Outbox::refuse(const NewEvent& event) {
  if (event.gap)
    refused_.add(*event.gap);
  else
    refused_.add(event.time);
  has_untold_loss_ = true;
  ++refused_events_;
  ++status_.dropped;
}

bool Outbox::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t until = appended_;
  return flushed_.wait_for(lock, timeout, [&] { return committed_ >= until; });
}

std::uint64_t Outbox::appended() const {
  const MutexLock lock(mutex_);
  return appended_;
}

std::uint64_t Outbox::committed() const {
  const MutexLock lock(mutex_);
  return has_untold_loss_ ? 0 : committed_;
}

void Outbox::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    wait_for_work(stop);
    if (commit_queued()) continue;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kRetryAfter, [] { return false; });
  }
  last_write_ = {};  // so that the time of the end is written, even when no event is
  for (bool has_more = true; has_more;) {
    if (!commit_queued()) break;  // a disk that refuses at the end: the next start tells the gap
    const MutexLock lock(mutex_);
    has_more = !queue_.empty();
  }
  const MutexLock lock(mutex_);
  is_working_ = false;
}

void Outbox::wait_for_work(const std::stop_token& stop) {
  const auto age = std::chrono::steady_clock::now() - last_write_;
  std::unique_lock lock(mutex_);
  const auto has_work = [this] {
    return !queue_.empty() || acknowledged_ > forgotten_ || is_complete_ || new_max_bytes_ ||
           is_epoch_void_;
  };
  // An idle node sleeps until the time of the last commit is to be written again.
  const auto left = is_failing_ ? kRetryAfter : kKeepEvery - age;
  if (wake_.wait_for(lock, stop, std::max<std::chrono::nanoseconds>(left, kForgetEvery), has_work))
    wake_.wait_for(lock, stop, kForgetEvery, [this] { return !queue_.empty(); });
}

Outbox::Batch Outbox::take_batch() {
  Batch batch;
  Moment& settled = batch.how.settled;
  settled = callbacks_.settled_until();  // before the queue is looked at
  const MutexLock lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMaxGroup));
  batch.events.assign(std::make_move_iterator(queue_.begin()),
                      std::make_move_iterator(queue_.begin() + count));
  batch.appended = batch.events.size();
  queue_.erase(queue_.begin(), queue_.begin() + count);
  if (acknowledged_ > forgotten_) batch.how.acknowledged = acknowledged_;
  if (new_max_bytes_) store_.set_max_bytes(*std::exchange(new_max_bytes_, std::nullopt));
  std::swap(batch.refused, refused_);
  if (queue_.empty()) batch.how.is_complete = std::exchange(is_complete_, false);
  if (!queue_.empty() && queue_.front().time < settled.wall) {
    // What waits behind this batch is not kept yet.
    settled.boot -= settled.wall - queue_.front().time;
    settled.wall = queue_.front().time;
  }
  return batch;
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
  Batch batch = take_batch();
  const bool has_nothing = batch.events.empty() && batch.how.acknowledged == 0 &&
                           batch.refused.is_empty() && !batch.how.is_complete;
  const auto now = std::chrono::steady_clock::now();
  if (has_nothing && !is_failing_ && now - last_write_ < kKeepEvery) return true;
  last_write_ = now;
  if (!batch.refused.is_empty()) {
    batch.refused.reason = kRefused;
    batch.events.push_back(callbacks_.make_gap(batch.refused));
    batch.events.back().gap = batch.refused;
  }
  const auto has_news = store_.may_drop(batch.events) ? write_alone(batch) : write(batch);
  if (!has_news) {
    give_back(std::move(batch), has_news.error());
    return false;
  }
  // Without any lock: who is told reads at once.
  if (std::exchange(is_failing_, false)) callbacks_.on_trouble("");
  if (!batch.refused.is_empty()) callbacks_.on_lost();
  if (*has_news) callbacks_.on_committed();
  return true;
}

Result<bool> Outbox::write(const Batch& batch) {
  ASSAY_ASSIGN(std::vector<OutgoingEvent> inserted,
               store_.write(batch.events, batch.how, callbacks_.make_gap));
  const bool has_news = !inserted.empty();
  publish(batch, std::move(inserted));
  return has_news;
}

Result<bool> Outbox::write_alone(Batch& batch) {
  const MutexLock reading(reader_mutex_);
  {
    const MutexLock lock(mutex_);
    batch.how.handed_out = handed_out_;
    tail_.clear();  // read_after() then waits for the disk, and so for this write
    tail_bytes_ = 0;
    dropped_before_tail_ = status_.last_sequence;
  }
  return write(batch);
}

void Outbox::give_back(Batch batch, const Error& error) {
  const std::string text = error.text();
  {
    const MutexLock lock(mutex_);
    status_.error = text;
    is_working_ = false;
    if (!batch.refused.is_empty()) refused_.add(batch.refused);
    is_complete_ = is_complete_ || batch.how.is_complete;
    batch.events.resize(batch.appended);
    queue_.insert(queue_.begin(), std::make_move_iterator(batch.events.begin()),
                  std::make_move_iterator(batch.events.end()));
  }
  flushed_.notify_all();  // those who wait for room
  if (!std::exchange(is_failing_, true)) callbacks_.on_trouble(text);
}

void Outbox::publish(const Batch& batch, std::vector<OutgoingEvent> inserted) {
  {
    // All at once: who was told that something is committed can read it.
    const MutexLock lock(mutex_);
    for (std::size_t i = 0; i < batch.appended; ++i)
      queued_bytes_ -= size_of(batch.events[i]);
    committed_ += batch.appended;
    if (!batch.refused.is_empty()) has_untold_loss_ = !refused_.is_empty();
    forgotten_ = std::max(forgotten_, batch.how.acknowledged);
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
    is_working_ = true;
    status_.dropped = refused_events_ + store_.dropped();
    status_.events = store_.events();
    status_.bytes = store_.bytes();
    status_.last_sequence = store_.last_sequence();
    status_.oldest = store_.oldest();
  }
  flushed_.notify_all();
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
  return read_from_disk(sequence, max_bytes);
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
  if (!events.empty()) {
    const MutexLock handing_out(mutex_);  // while reader_mutex_ keeps the writer from dropping
    handed_out_ = std::max(handed_out_, events.back().sequence);
  }
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
    if (is_epoch_void_) {
      wake_.notify_one();
      return false;
    }
  }
  acknowledge(acknowledged);
  return true;
}

void Outbox::acknowledge(std::uint64_t sequence) {
  const MutexLock lock(mutex_);
  acknowledged_ = std::max(acknowledged_, std::min(sequence, status_.last_sequence));
  wake_.notify_one();
}

void Outbox::set_complete() {
  const MutexLock lock(mutex_);
  is_complete_ = true;
  wake_.notify_one();
}

void Outbox::set_max_bytes(std::uint64_t max_bytes) {
  const MutexLock lock(mutex_);
  new_max_bytes_ = max_bytes;
  wake_.notify_one();
}

OutboxStatus Outbox::status() const {
  const MutexLock lock(mutex_);
  OutboxStatus status = status_;
  status.queued = queue_.size();
  return status;
}

}  // namespace assay::agent
