// SPDX-License-Identifier: Apache-2.0
// Where the collector's parts meet: adapters use or implement these, app/ joins them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/enrolment.h"
#include "collector/core/principal.h"
#include "collector/core/store.h"
#include "common/catalog/log.h"
#include "common/catalog/verification.h"

namespace assay::collector {

/// A full state that a node should tell.
struct StateWish {
  std::uint64_t request = 0;
  std::string because;
};

/// What became of one batch after its commit.
struct BatchOutcome {
  std::uint64_t acknowledged = 0;           ///< everything up to here is committed
  std::vector<StackDigest> unknown;         ///< stacks that were named but never described
  std::optional<StateWish> state_wish;      ///< not answered yet
  std::vector<FileSetWish> file_sets = {};  ///< those that the node owes, some of them
};

/// Takes what agents send. Thread-safe; returns at once. Callbacks come on the commit thread, after
/// the commit, and must return within microseconds.
class Intake {
 public:
  virtual ~Intake() = default;
  /// An agent connected: gives what is committed of its epoch, and the stacks that its node still
  /// owes a description of.
  virtual Result<void> open_epoch(const NodeKey& node, const AgentInfo& agent,
                                  std::function<void(Result<BatchOutcome>)> done) = 0;
  /// `bytes`: what the batch weighs against the limits. Errors (at once): kLimitExceeded (too much
  /// waits for its commit: try later). Errors (to `done`): kInvalidArgument (a hole in the
  /// sequences), kUnavailable (not committed: send it again).
  virtual Result<void> record(const NodeKey& node, const Epoch& epoch, Batch batch,
                              std::size_t bytes,
                              std::function<void(Result<BatchOutcome>)> done) = 0;
  virtual Result<void> catalog_refused(const NodeKey& node, std::uint64_t sequence,
                                       std::string reason) = 0;
  /// Two agents say at the same time that they are `node`.
  virtual Result<void> identity_conflict(const NodeKey& node, std::string reason) = 0;
  /// How long an agent should stay away that was refused with kLimitExceeded or kUnavailable.
  virtual std::chrono::milliseconds retry_after() const = 0;
  virtual void heartbeat(const NodeKey& node, const Heartbeat& heartbeat) = 0;
  virtual void disconnected(const NodeKey& node) = 0;
  /// The agent keeps the authorities of this digest (TrustedAuthorities::digest) from now on.
  virtual void trust_taken(const NodeKey& node, const std::string& trust) = 0;
};

/// Changes that people and their refusals make. Thread-safe; blocks until committed.
class Ledger {
 public:
  virtual ~Ledger() = default;
  /// Appends to the catalog's log and begins to judge everything again by `next`.
  virtual Result<void> change_catalog(const CatalogEntry& entry,
                                      std::shared_ptr<const catalog::Catalog> next) = 0;
  /// Attaches a report to each of its aims; one outcome for each, in order. A dry run tells what
  /// would be and leaves nothing. Errors: kLimitExceeded (too large), kUnavailable.
  virtual Result<std::vector<ScanOutcome>> import_scan(const ScanImport& scan) = 0;
  /// Runs `work` in the next transaction, on the commit thread: when it fails nothing of it is
  /// left, and its error is the answer. `bytes`: what it holds. `work` may outlive the call when
  /// the collector stops, so it owns what it refers to. Errors also: kUnavailable.
  virtual Result<void> change(std::size_t bytes,
                              std::function<Result<void>(StoreWriter&)> work) = 0;
  /// Queues an entry; does not wait. Dropped (and counted) when too much waits.
  virtual void audit(AuditEntry entry) = 0;
};

/// The catalog as it stands. Thread-safe.
class CatalogKeeper {
 public:
  virtual ~CatalogKeeper() = default;
  virtual std::shared_ptr<const catalog::SignedLog> log() const = 0;
  virtual std::uint64_t sequence() const = 0;
  virtual std::shared_ptr<const catalog::Catalog> catalog() const = 0;
  /// The freshness mark over the log as it is, "" when it is empty (docs/formats/catalog.md).
  virtual std::string mark() const = 0;
  /// Verifies and appends one signed change (or only a new head, or new roots with one); returns
  /// the log's sequence. Errors: kUntrusted, kCorrupt, kLimitExceeded, kUnavailable. `file_sets`:
  /// those that the statement names, encoded; known ones may be left out. kNotFound: one is
  /// missing. kInvalidArgument: one that it does not name.
  virtual Result<std::uint64_t> submit(const Actor& actor, catalog::SignedChange change,
                                       std::vector<std::string> file_sets) = 0;
};

/// Commands to nodes, on their agents' own streams. Thread-safe; never blocks.
class NodeCommands {
 public:
  virtual ~NodeCommands() = default;
  struct Verify {
    std::string target;  ///< agent/core/verify_target.h
    std::chrono::milliseconds timeout = catalog::kDefaultVerifyTimeout;
    std::string actor;  ///< who asks, for the agent's log
  };
  using OnEvent = std::function<void(const catalog::VerifyEvent&)>;
  /// Sends the command and gives its number. `on_event` is called on gRPC's threads, the last time
  /// with VerifyDone: also when the stream ends before. It must return within microseconds.
  /// Errors: kUnavailable (no stream of that node), kUnsupported (its agent does not know the
  /// command), kLimitExceeded (too many run there).
  virtual Result<std::uint64_t> verify(const NodeKey& node, const Verify& command,
                                       OnEvent on_event) = 0;
  /// Ends the node's stream, if it has one; says whether it had.
  virtual bool disconnect(const NodeKey& node, const std::string& reason) = 0;
  /// Nobody waits for it any more: `on_event` is not called again after this.
  virtual void cancel(const NodeKey& node, std::uint64_t command) = 0;
};

/// Whether a node may speak at all. Thread-safe; never blocks.
class NodeAdmission {
 public:
  virtual ~NodeAdmission() = default;
  /// `shown`: its certificate, when that could be read. Errors: kPermissionDenied (the node is
  /// revoked; another key was enrolled since).
  virtual Result<void> admit(const NodeKey& node,
                             const std::optional<ShownCertificate>& shown) const = 0;
  virtual std::optional<NodeIdentity> identity(const NodeKey& node) const = 0;
  /// Those that are kept out.
  virtual std::vector<NodeIdentity> revoked() const = 0;
};

/// Hears which peers have shown an identity that was believed. Thread-safe; never blocks.
class PeerProof {
 public:
  virtual ~PeerProof() = default;
  /// `peer`: the address of its connection, as gRPC writes it.
  virtual void proven(const std::string& peer) = 0;
};

/// What is known of nodes right now. Thread-safe.
class NodeDirectory {
 public:
  virtual ~NodeDirectory() = default;
  virtual std::vector<NodeView> nodes() const = 0;  ///< by cluster, then node
};

}  // namespace assay::collector
