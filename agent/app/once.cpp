// SPDX-License-Identifier: Apache-2.0
#include "agent/app/once.h"

#include <atomic>
#include <cstdio>
#include <memory>

#include "agent/app/auditor_loop.h"
#include "agent/app/commit_watch.h"
#include "agent/app/failure.h"
#include "agent/app/machine.h"
#include "agent/app/once_report.h"
#include "agent/app/pipeline.h"
#include "agent/app/probe_source.h"
#include "agent/app/recorded_containers.h"
#include "agent/app/stored_catalog.h"
#include "agent/identify/layer_identifier.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/rootfs/layer_opener.h"
#include "agent/rootfs/processes.h"
#include "agent/rootfs/user_stacks.h"
#include "agent/runtime/claim_desk.h"
#include "agent/runtime/disk_records.h"
#include "agent/runtime/recogniser.h"
#include "common/base/encoding.h"
#include "common/base/mutex.h"
#include "common/catalog/log.h"
#include "common/service/signals.h"

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kLook{50};
// Names and claims come from files; so long after the last news there is no more.
constexpr std::chrono::milliseconds kQuiet{1500};

void say(const std::string& text) {
  std::fprintf(stderr, "assay-agent: %s\n", escape_untrusted(text, 2048).c_str());
}

/// Keeps what was recorded, and when the last of it came. Thread-safe.
class LedgerJournal final : public Journal {
 public:
  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override {
    const MutexLock lock(mutex_);
    ledger_.take(event, stack);
    last_ = std::chrono::steady_clock::now();
  }
  bool is_quiet() const {
    const MutexLock lock(mutex_);
    return std::chrono::steady_clock::now() - last_ > kQuiet;
  }
  RunLedger ledger() const {
    const MutexLock lock(mutex_);
    return ledger_;
  }

 private:
  mutable Mutex mutex_;
  RunLedger ledger_ ASSAY_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point last_ ASSAY_GUARDED_BY(mutex_) =
      std::chrono::steady_clock::now();
};

/// Passes everything on, and knows whether a sweep went by.
class SweepWatch final : public EventSink {
 public:
  explicit SweepWatch(EventSink& next) : next_(next) {}
  void on_start(ContainerStart start) override { next_.on_start(std::move(start)); }
  void on_exec(ContainerExec exec) override { next_.on_exec(std::move(exec)); }
  void on_emptied(RunEmptied emptied) override { next_.on_emptied(emptied); }
  void on_sweep(SweepCompleted sweep) override {
    next_.on_sweep(std::move(sweep));
    has_swept_ = true;
  }
  void on_gap(ObservationGap gap) override { next_.on_gap(std::move(gap)); }
  void on_noise(RunNoise noise) override { next_.on_noise(std::move(noise)); }
  void on_checkpoint(Checkpoint checkpoint) override { next_.on_checkpoint(checkpoint); }
  bool has_room() const override { return next_.has_room(); }
  bool has_swept() const { return has_swept_; }

 private:
  EventSink& next_;
  std::atomic<bool> has_swept_{false};
};

/// All parts of an agent but those that keep and send.
class Audit {
 public:
  static Result<std::unique_ptr<Audit>> create(const AgentConfig& config) {
    ASSAY_ASSIGN(const std::string boot_id, read_boot_id());
    std::unique_ptr<Audit> audit(new Audit);
    AgentConfig beside = config;
    beside.pin_dir.clear();  // those of a running agent are its own
    ASSAY_ASSIGN(audit->source_, make_probe_source(beside, audit->clock_));
    audit->build(config, boot_id);
    return audit;
  }

  Result<void> start(std::shared_ptr<const catalog::Catalog> catalog) {
    loop_.start(*auditor_, starts_, commits_.get(), {});
    if (catalog) loop_.post_catalog(std::move(catalog));
    return source_->start(watch_, std::nullopt);
  }
  bool is_settled() const {
    return watch_.has_swept() && identifier_->pending() == 0 && journal_.is_quiet() &&
           loop_.snapshot().unrecognised == 0;
  }
  RunLedger stop() {
    source_->stop();
    loop_.stop();
    identifier_.reset();
    claims_.reset();
    recogniser_.reset();
    return journal_.ledger();
  }

 private:
  Audit() = default;

  void build(const AgentConfig& config, const std::string& boot_id) {
    opener_ = std::make_unique<VerifyingLayerOpener>(boot_id);
    identifier_ = std::make_unique<LayerIdentifier>(*opener_, cache_, foreground(config));
    records_ = std::make_unique<DiskRecords>(runtime_roots(config));
    recorded_ =
        std::make_unique<NodeRecords>(TaskBundles(config.containerd_states, *records_, clock_));
    claims_ = std::make_unique<ClaimDesk>(claim_sources(config), directories_);
    recogniser_ = std::make_unique<NoteRecogniser>(note_roots(config), processes_);
    auditor_ = std::make_unique<Auditor>(
        Auditor::Ports{
            journal_,
            *identifier_,
            *records_,
            open_runs_,
            *source_,
            clock_,
            [this](LayerResult result) { loop_.post_layer(std::move(result)); },
            {},
            claims_.get(),
            [this](RunClaims claims) { loop_.post_claims(std::move(claims)); },
            nullptr,
            nullptr,
            {},
            recorded_.get(),
            recogniser_.get(),
            [this](RecognitionReport report) { loop_.post_recognition(std::move(report)); }},
        auditor_config(config, boot_id));
    commits_ = std::make_unique<CommitWatch>(
        CommitWatch::Ports{[] { return std::uint64_t{0}; }, [] { return std::uint64_t{0}; },
                           [this](std::uint64_t ticket) { source_->release(ticket); }});
  }

  /// Somebody waits for the answer.
  static IdentifierOptions foreground(const AgentConfig& config) {
    IdentifierOptions options = identifier_options(config);
    options.content_is_idle = false;
    return options;
  }

  const SystemClock clock_{};
  LedgerJournal journal_;
  NoCache cache_;
  NoOpenRuns open_runs_;
  std::unique_ptr<EventSource> source_;
  std::unique_ptr<VerifyingLayerOpener> opener_;
  std::unique_ptr<DiskRecords> records_;
  std::unique_ptr<NodeRecords> recorded_;
  UserStacks stacks_;
  ProcProcesses processes_;
  StartCompleter starts_{processes_, stacks_};
  KernelDirectories directories_;
  AuditorLoop loop_;
  SweepWatch watch_{loop_};
  std::unique_ptr<LayerIdentifier> identifier_;
  std::unique_ptr<ClaimDesk> claims_;
  std::unique_ptr<NoteRecogniser> recogniser_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<CommitWatch> commits_;
};

/// The catalog to judge by. Nothing: there is none, which is said; a file that was named must do.
Result<std::shared_ptr<const catalog::Catalog>> load_catalog(const AgentConfig& config,
                                                             const std::string& file) {
  auto stored = file.empty() ? stored_catalog(config) : exported_catalog(config, file);
  if (!stored && !file.empty()) return std::move(stored.error());
  if (!stored) {
    say("without a catalog every base is unknown: " + stored.error().text() +
        " (see --catalog and trust_file)");
    return std::shared_ptr<const catalog::Catalog>();
  }
  ASSAY_ASSIGN(const catalog::TrustRoot trust, catalog::TrustRoot::parse(stored->trust));
  ASSAY_ASSIGN(auto verified, catalog::verify_log(stored->log, trust));
  if (verified.head.expires_at <= std::chrono::system_clock::now())
    say("the catalog's head expired on " + to_rfc3339(verified.head.expires_at) +
        ": what was revoked since is not known here");
  return std::make_shared<const catalog::Catalog>(std::move(verified.catalog));
}

enum class End { kSettled, kTime, kSignal };

End wait_for_end(const service::Signals& signals, const Audit& audit,
                 std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!audit.is_settled()) {
    if (std::chrono::steady_clock::now() >= end) return End::kTime;
    if (signals.wait(kLook)) return End::kSignal;
  }
  return End::kSettled;
}

}  // namespace

ExitCode audit_once(const AgentConfig& config, const OnceOptions& options) {
  auto signals = service::Signals::create();  // before any thread: they inherit the mask
  if (!signals) return fail(signals.error());
  auto catalog = load_catalog(config, options.catalog);
  if (!catalog) return fail(catalog.error());
  AgentConfig complete = config;
  if (complete.node.empty()) complete.node = host_name();
  OnceContext context{
      complete.cluster, complete.node, *catalog ? (*catalog)->sequence() : 0, true, {}};
  if (*catalog) context.policy = (*catalog)->policy();
  auto audit = Audit::create(complete);
  if (!audit) return fail_to_probe(audit.error());
  if (auto started = (*audit)->start(std::move(*catalog)); !started)
    return fail_to_probe(started.error());
  const End end = wait_for_end(*signals, **audit, options.timeout);
  const RunLedger ledger = (*audit)->stop();
  if (end == End::kSignal) return fail({ErrorCode::kCancelled, "stopped before all was read"});
  context.is_complete = end == End::kSettled;
  std::size_t findings = 0;
  const output::Document report = once_report(ledger, context, findings);
  if (auto printed = print_document(report, options.print); !printed) return fail(printed.error());
  say(std::to_string(findings) + (findings == 1 ? " finding" : " findings"));
  if (!context.is_complete) {
    say("the time was over before all layers were read (--timeout)");
    return ExitCode::kUnavailable;
  }
  return findings == 0 ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace assay::agent
