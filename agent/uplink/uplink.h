// SPDX-License-Identifier: Apache-2.0
// The agent's one stream to the collector: keeps it up, sends what the outbox holds, takes
// catalogs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/file_sets.h"
#include "agent/core/outgoing.h"
#include "agent/core/verify_orders.h"
#include "agent/uplink/enroller.h"
#include "agent/uplink/tls_files.h"
#include "common/catalog/log.h"

namespace assay::agent {

struct UplinkOptions {
  std::string address;  ///< HOST:PORT of the collector
  TlsFiles tls;
  std::string cluster;
  std::string node;
  std::string boot_id;
  std::string version;
  std::string kernel;  ///< uname -r
  std::uint32_t fingerprint_version = 0;
  std::chrono::milliseconds backoff_least{500};
  std::chrono::milliseconds backoff_most{60'000};
  std::chrono::milliseconds stable_after{30'000};  ///< a stream that lives so long was a success
  std::uint64_t max_batch_bytes = 256ULL << 10;    ///< payloads in one message
  std::uint64_t max_in_flight_bytes = 4ULL << 20;  ///< sent and not acknowledged
};

/// A command of the collector's, and one of the answers to it: the last is VerifyDone.
struct VerifyCommand {
  std::uint64_t command = 0;  ///< unique on the stream
  VerifyOrder order;
  std::string actor;  ///< who asked, as the collector says; escaped
};
struct CommandAnswer {
  std::uint64_t command = 0;
  catalog::VerifyEvent event;
};

/// What the uplink asks of and tells to the rest of the agent. All on its own or gRPC's threads;
/// they must return within milliseconds and must not call stop().
struct UplinkCallbacks {
  std::function<AgentHealth()> health;
  /// A whole log, or only a freshness mark: then nothing else is in it.
  std::function<void(catalog::SignedLog)> on_catalog;
  /// The collector wants the node's full state, and why.
  std::function<void(std::uint64_t request, const std::string& reason)> on_state_request;
  /// The collector wants the file set of a stack; may be empty.
  std::function<void(const FileSetWish&)> on_file_set_wish;
  /// One that is ready to be sent, if any; notify() says that there is. May be empty.
  std::function<std::optional<FileSetAnswer>()> take_file_set;
  /// The collector commands to verify; may be empty: then the agent does not say that it can.
  std::function<void(VerifyCommand)> on_verify;
  /// Nobody waits for this command any more.
  std::function<void(std::uint64_t command)> on_command_cancelled;
  /// The next answer that is ready to be sent, if any; notify() says that there is.
  std::function<std::optional<CommandAnswer>()> take_answer;
  /// No answer to a command of this stream can be sent any more. On the uplink's thread.
  std::function<void()> on_stream_ended;
  /// What the agent trusts, when it keeps that by itself; may be empty: then nothing is told.
  std::function<HeldTrust()> trust;
  /// The collector names other authorities (DER), and the one that issues now; whether they are
  /// kept. On gRPC's thread.
  std::function<bool(const std::vector<std::string>& authorities, const std::string& issuer)>
      on_trust;
  std::function<void()> on_status;  ///< the state or its reason changed
};

/// One thread keeps the connection; gRPC's threads run the stream. Certificates are read again for
/// every attempt and by reload(), so they may be replaced under a running agent. Thread-safe.
class Uplink {
 public:
  Uplink(UplinkOptions options, OutgoingEvents& events, UplinkCallbacks callbacks);
  ~Uplink();
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  /// Starts to connect. Once.
  void start();
  /// Cancels the stream and joins. Idempotent.
  void stop();
  /// There is something new to send. Any thread; cheap.
  void notify();
  /// Tells the collector that the catalog with this head is not used here, and why.
  void refuse_catalog(std::uint64_t sequence, std::string reason);
  /// Sends a heartbeat now instead of at the next interval.
  void heartbeat();
  /// Connects anew, at once, when the address or what `material` holds is another than the
  /// present connection's; later attempts read the files of `tls`. An empty address: no connection.
  void reload(const std::string& address, const TlsFiles& tls, const TlsMaterial& material);
  UplinkStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::agent
