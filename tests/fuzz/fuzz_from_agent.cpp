// SPDX-License-Identifier: Apache-2.0
// What an agent sends, as the collector takes it: from the wire through the recorder into a store
// of its own. The input is messages (FromAgent), each after its length in two bytes, big-endian.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "assay/v1/agent.pb.h"
#include "collector/core/judging.h"
#include "collector/core/recorder.h"
#include "collector/ingest/from_wire.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "tests/fuzz/memory_folder.h"

using namespace assay;
using namespace assay::collector;

namespace {

const NodeKey kNode{"fuzz", "node-1"};
const Epoch kEpoch(16, 'e');
constexpr std::size_t kMaxMessages = 16;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<v1::FromAgent> messages_of(std::string_view bytes) {
  std::vector<v1::FromAgent> messages;
  while (bytes.size() > 2 && messages.size() < kMaxMessages) {
    const auto length = static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[0]) << 8U) |
                        static_cast<std::uint8_t>(bytes[1]);
    const std::string_view body = bytes.substr(2, length);
    bytes.remove_prefix(2 + body.size());
    v1::FromAgent message;
    if (message.ParseFromArray(body.data(), static_cast<int>(body.size())))
      messages.push_back(std::move(message));
  }
  return messages;
}

class Collector {
 public:
  Collector() {
    auto opened = SqliteStore::open({folder_.path() + "/store.db", 1});
    require(opened.has_value());
    store_ = std::move(*opened);
    judging_.emplace(std::make_shared<catalog::Catalog>(), *store_->load_round(),
                     catalog::ScanSummaries{}, Judging::Limits{});
    recorder_.emplace(*judging_);
  }

  void take(const v1::FromAgent& message) {
    switch (message.message_case()) {
      case v1::FromAgent::kHello:
        return (void)write([&](StoreWriter& writer) {
          return recorder_->open_epoch(writer, kNode, from_wire(message.hello()), kNow);
        });
      case v1::FromAgent::kBatch:
        return apply(from_wire(message.batch(), kNode));
      case v1::FromAgent::kStacks:
        return apply(from_wire(message.stacks(), kNode));
      case v1::FromAgent::kFileSet:
        if (const auto batch = from_wire(message.file_set())) apply(*batch);
        return;
      case v1::FromAgent::kHeartbeat:
        return (void)from_wire(message.heartbeat());
      default:
        return;
    }
  }

  /// Whatever came, the store still answers.
  void ask() {
    require(store_->list_findings({}, std::nullopt, 1000).has_value());
    require(store_->load_nodes().has_value());
  }

 private:
  static constexpr WallTime kNow{std::chrono::nanoseconds(1'800'000'000'000'000'000)};

  void apply(const Batch& batch) {
    (void)write(
        [&](StoreWriter& writer) { return recorder_->apply(writer, kNode, kEpoch, batch, kNow); });
  }

  // As the commit loop does it: what fails leaves nothing, and nothing but a hole fails.
  template <typename Work>
  bool write(Work work) {
    const auto written = store_->write_repeatable([&](StoreWriter& writer) -> Result<void> {
      const auto attempt = writer.attempt([&]() -> Result<void> {
        const auto outcome = work(writer);
        return outcome ? ok() : Result<void>(outcome.error());
      });
      if (attempt) return ok();
      require(attempt.error().code == ErrorCode::kInvalidArgument);
      judging_->forget();
      return ok();
    });
    require(written.has_value());
    return true;
  }

  fuzz::MemoryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
  std::optional<Judging> judging_;
  std::optional<Recorder> recorder_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto messages = messages_of({reinterpret_cast<const char*>(data), size});
  if (messages.empty()) return 0;
  Collector collector;
  for (const v1::FromAgent& message : messages)
    collector.take(message);
  collector.ask();
  return 0;
}
