// SPDX-License-Identifier: Apache-2.0
// An outbox in a guest whose power is cut off (power_test.py).
//
//   outbox_power write FOLDER    appends without end; says what was announced as committed, and
//   what
//                                it then acknowledges
//   outbox_power check FOLDER    says what is there
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <thread>

#include "agent/outbox/outbox.h"
#include "common/base/encoding.h"

namespace {

using namespace assay;
using namespace assay::agent;
using std::chrono::milliseconds;

NewEvent make_event(std::uint64_t number) {
  NewEvent event;
  event.priority = EventPriority::kRun;
  event.time = SystemClock().wall_now();
  event.payload = std::to_string(number) + ":" + std::string(number % 1500, 'x');
  return event;
}

std::unique_ptr<Outbox> open(const std::string& folder) {
  auto outbox = Outbox::open(folder + "/outbox.db", {});
  if (!outbox) {
    std::printf("FAILED %s\n", outbox.error().text().c_str());
    return nullptr;
  }
  const Epoch epoch = (*outbox)->epoch();
  std::printf("epoch %s\n",
              to_hex({reinterpret_cast<const char*>(epoch.data()), epoch.size()}).c_str());
  if ((*outbox)->set_aside())
    std::printf("FAILED damaged: %s\n", (*outbox)->set_aside()->reason.c_str());
  return std::move(*outbox);
}

/// Each event holds its own number, so that a number given twice shows.
int write(const std::string& folder) {
  const auto outbox = open(folder);
  if (!outbox) return 1;
  std::atomic<std::uint64_t> committed{0};
  outbox->start({[&] {
                   committed = outbox->status().last_sequence;
                   std::printf("committed %" PRIu64 "\n", committed.load());
                   std::fflush(stdout);
                 },
                 [](const DroppedEvents&) { return make_event(0); }});
  const std::uint64_t begin = outbox->status().last_sequence;
  for (std::uint64_t number = begin + 1;; ++number) {
    outbox->append(make_event(number));
    if (number % 20 == 0) {
      (void)outbox->flush(milliseconds(60'000));
      const std::uint64_t acknowledged = committed > 100 ? committed - 100 : 0;
      outbox->acknowledge(acknowledged);
      std::printf("acknowledged %" PRIu64 "\n", acknowledged);
      std::fflush(stdout);
    }
  }
}

int check(const std::string& folder) {
  const auto outbox = open(folder);
  if (!outbox) return 1;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t holes = 0;
  std::uint64_t wrong = 0;
  for (;;) {
    const auto events = outbox->read_after(last, 1 << 20);
    if (!events) {
      std::printf("FAILED %s\n", events.error().text().c_str());
      return 1;
    }
    if (events->empty()) break;
    for (const OutgoingEvent& event : *events) {
      if (first == 0) first = event.sequence;
      if (last != 0 && event.sequence != last + 1) ++holes;
      if (event.payload != make_event(event.sequence).payload) ++wrong;
      last = event.sequence;
    }
  }
  std::printf("kept %" PRIu64 " %" PRIu64 " holes %" PRIu64 " wrong %" PRIu64 " last %" PRIu64 "\n",
              first, last, holes, wrong, outbox->status().last_sequence);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return std::strcmp(argv[1], "write") == 0 ? write(argv[2]) : check(argv[2]);
}
