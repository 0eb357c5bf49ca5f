// SPDX-License-Identifier: Apache-2.0
// What lies between the outbox and the uplink, and what the agent says of itself.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/events.h"
#include "agent/core/verify_orders.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::agent {

/// Random, new with every new outbox: (cluster, node, epoch, sequence) names an event for ever.
using Epoch = std::array<std::uint8_t, 16>;

/// Which events go first when the outbox is full: routine ones, findings last.
enum class EventPriority { kRoutine = 0, kRun = 1, kFinding = 2 };

/// One event that is committed to disk and not acknowledged yet.
struct OutgoingEvent {
  std::uint64_t sequence = 0;        ///< from 1, ascending
  std::optional<StackDigest> stack;  ///< the stack that the event names
  std::string payload;               ///< encoded, without its sequence
};

/// What the uplink sends. Thread-safe.
class OutgoingEvents {
 public:
  virtual ~OutgoingEvents() = default;
  virtual Epoch epoch() const = 0;
  /// Highest sequence of this epoch that a collector has acknowledged, ever.
  virtual std::uint64_t acknowledged() const = 0;
  /// Committed events after `sequence`, oldest first: at least one when there is any, and no more
  /// than `max_bytes` of payload together otherwise. Errors: kUnavailable, kCorrupt.
  virtual Result<std::vector<OutgoingEvent>> read_after(std::uint64_t sequence,
                                                        std::uint64_t max_bytes) = 0;
  /// The encoded description of a stack, while it is remembered.
  virtual std::optional<std::string> describe(const StackDigest& digest) = 0;
  /// The collector says what it has committed of this epoch, before anything is sent: that may be
  /// forgotten. False when it has more than was ever handed out here: these events are an older
  /// copy of what it knows, and numbers would be given twice. A new epoch begins soon then, with
  /// all events that are kept; connect again.
  virtual bool resume(std::uint64_t acknowledged) = 0;
  /// Everything up to `sequence` is committed by the receiver and may be forgotten.
  virtual void acknowledge(std::uint64_t sequence) = 0;
};

/// Figures of the outbox, for health and metrics.
struct OutboxStatus {
  std::uint64_t events = 0;         ///< on disk, not acknowledged
  std::uint64_t bytes = 0;          ///< their payloads
  std::uint64_t last_sequence = 0;  ///< highest committed
  std::optional<WallTime> oldest;   ///< time of the oldest of them
  std::uint64_t queued = 0;         ///< appended, not committed yet
  std::uint64_t dropped = 0;        ///< lost to the byte cap or a full queue, since the start
  std::string error;                ///< why the last commit failed, "" when it did not
};

enum class UplinkState { kDisabled, kConnecting, kConnected };
std::string_view to_string(UplinkState state);
std::string_view to_string(ProbeState state);
/// The programs are loaded and attached, whether they saw something or not.
bool is_attached(ProbeState state);

struct UplinkStatus {
  UplinkState state = UplinkState::kDisabled;
  std::string address;  ///< of the collector, as it is in use
  std::string error;    ///< why the last stream ended
  std::uint64_t acknowledged = 0;
  std::uint64_t connects = 0;  ///< streams that were welcomed, since the start
};

struct CatalogStatus {
  std::string id;
  std::uint64_t sequence = 0;
  std::optional<Sha256> head;       ///< SHA-256 of the last statement's payload
  std::optional<WallTime> expires;  ///< of head and mark, whichever is first: then it is stale
  bool is_stale = false;
  std::string stale_reason;        ///< "" unless it is
  std::uint64_t root_version = 0;  ///< 0: the trust file is a list of keys
  std::string state;               ///< what Hello says of it (agent.proto)
  std::string refused;  ///< why the last catalog that was offered is not used, "" when it is
  std::uint64_t refused_sequence = 0;  ///< of its head; 0: not readable, or what was stored
};

/// Something that the agent cannot do here, or does in a weaker way.
struct Degradation {
  std::string mode;    ///< one of the words in docs/metrics.md
  std::string reason;  ///< one line
};

/// Walking known layers again: totals since the start.
struct RewalkCounts {
  std::uint64_t walks = 0;          ///< layers that were walked again
  std::uint64_t entries = 0;        ///< paths that were looked at
  std::uint64_t files_read = 0;     ///< files that were hashed again
  std::uint64_t changed = 0;        ///< paths that are not what they were
  std::uint64_t touched = 0;        ///< paths with another ctime and nothing else
  std::uint64_t failed = 0;         ///< layers that could not be walked or recorded
  std::uint64_t unrecorded = 0;     ///< layers on file systems where no record is kept
  std::uint64_t evicted = 0;        ///< records that went because their table was full
  std::uint64_t waiting = 0;        ///< layers, now
  std::chrono::nanoseconds busy{};  ///< time that walking took
};

/// Proving layers by their tar streams: totals since the start.
struct ExactCounts {
  std::uint64_t exact = 0;      ///< checks that found everything equal
  std::uint64_t differs = 0;    ///< checks that found a difference
  std::uint64_t no_source = 0;  ///< checks without a tar stream to check with
  std::uint64_t failed = 0;     ///< checks that could not be made
  std::uint64_t bytes = 0;      ///< of tar streams
  std::uint64_t waiting = 0;    ///< layers, now
  std::chrono::nanoseconds busy{};
};

/// Looks into the roots of containers: totals since the start.
struct ViewCounts {
  std::uint64_t looks = 0;
  std::uint64_t paths = 0;      ///< of bases that were looked at
  std::uint64_t differing = 0;  ///< looks that found masked paths
  std::uint64_t gone = 0;       ///< no process was left
  std::uint64_t failed = 0;     ///< looks that could not see what they had to
  std::uint64_t waiting = 0;    ///< runs, now
  std::chrono::nanoseconds busy{};
};

/// All that heartbeat, /readyz and /metrics are made of.
struct AgentHealth {
  ProbeHealth probe;
  OutboxStatus outbox;
  UplinkStatus uplink;
  CatalogStatus catalog;
  std::uint64_t queue_dropped = 0;  ///< between the probe and the auditor
  std::uint64_t running = 0;        ///< open runs
  std::uint64_t starts = 0;         ///< since the agent started
  std::uint64_t late_starts = 0;    ///< of them, those that a sweep found
  std::uint64_t refused_runs = 0;   ///< beyond the limit of open runs
  std::uint64_t layers_pending = 0;
  RewalkCounts rewalks;
  VerifyCounts verifies;
  ExactCounts exact;
  ViewCounts views;
  std::uint64_t rss_bytes = 0;
  std::chrono::nanoseconds cpu{};  ///< user and system, since the start
  WallTime started{};              ///< of this process
  std::vector<Degradation> degraded;
  std::string state_error;           ///< why state.db took the last write not, "" when it did
  std::uint64_t denied_calls = 0;    ///< system calls that the agent's own filter refused
  std::string last_denied_call;      ///< the name of one of them
  std::uint64_t config_reloads = 0;  ///< times that SIGHUP asked for a new configuration
  bool is_config_ok = true;          ///< the last new configuration was taken over
};

}  // namespace assay::agent
