// SPDX-License-Identifier: Apache-2.0
#include "agent/app/record.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "agent/app/auditor_loop.h"
#include "agent/app/commit_watch.h"
#include "agent/app/failure.h"
#include "agent/app/machine.h"
#include "agent/app/pipeline.h"
#include "agent/app/probe_source.h"
#include "agent/app/recording_ports.h"
#include "agent/app/replay.h"
#include "agent/app/replay_view.h"
#include "agent/app/stored_catalog.h"
#include "agent/identify/layer_identifier.h"
#include "agent/probe/replay_source.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/rootfs/layer_opener.h"
#include "agent/rootfs/user_stacks.h"
#include "agent/runtime/claim_desk.h"
#include "agent/runtime/disk_records.h"
#include "common/base/encoding.h"
#include "common/service/signals.h"

namespace assay::agent {
namespace {

constexpr std::chrono::milliseconds kLook{200};      // for a full file
constexpr std::size_t kMaxCatalogBytes = 16U << 20;  // of a recording

void say(const std::string& text) {
  std::fprintf(stderr, "assay-agent: %s\n", escape_untrusted(text, 2048).c_str());
}

/// Nothing is sent: only the numbers are kept.
class CountingJournal final : public Journal {
 public:
  void record(AgentEvent event, std::shared_ptr<const catalog::Stack>) override {
    if (std::holds_alternative<RunStarted>(event)) starts_.fetch_add(1);
  }
  std::uint64_t starts() const { return starts_; }

 private:
  std::atomic<std::uint64_t> starts_{0};
};

RecordingHeader header_for(const AgentConfig& config, const Clock& clock,
                           const std::string& boot_id) {
  RecordingHeader header;
  header.abi_version = ReplaySource::abi_version();
  header.agent_version = ASSAY_VERSION;
  header.kernel = kernel_release();
  header.cluster = config.cluster;
  header.node = config.node.empty() ? host_name() : config.node;
  header.boot_id = boot_id;
  header.boot = clock.boot_now();
  header.wall = clock.wall_now();
  header.records_execs = config.exec_level == "all";
  header.never_executed_age = never_executed_age();
  return header;
}

Result<RecordedCatalog> catalog_for_recording(const AgentConfig& config) {
  ASSAY_ASSIGN(SignedCatalog stored, stored_catalog(config));
  std::size_t bytes = stored.log.head.size();
  for (const std::string& statement : stored.log.statements)
    bytes += statement.size();
  if (bytes > kMaxCatalogBytes)
    return Error{ErrorCode::kLimitExceeded, "the catalog is too large for a recording"};
  return RecordedCatalog{std::move(stored.log), std::move(stored.trust)};
}

/// All parts of an agent but those that keep and send.
class Recorder {
 public:
  static Result<std::unique_ptr<Recorder>> create(const AgentConfig& config,
                                                  const RecordOptions& options) {
    ASSAY_ASSIGN(const std::string boot_id, read_boot_id());
    std::unique_ptr<Recorder> recorder(new Recorder);
    RecordingHeader header = header_for(config, recorder->clock_, boot_id);
    AgentConfig complete = config;
    complete.node = header.node;
    ASSAY_ASSIGN(recorder->writer_,
                 RecordingWriter::create(options.file, header, options.max_bytes));
    if (auto built = recorder->build(complete, boot_id); !built) {
      std::remove(options.file.c_str());  // nothing is in it
      return std::move(built.error());
    }
    recorder->record_catalog(complete);
    return recorder;
  }

  Result<void> start() {
    loop_.start(*auditor_, *recording_stacks_, commits_.get(), {});
    return source_->start(loop_, std::nullopt);
  }

  Result<void> stop(const std::string& reason) {
    source_->stop();
    loop_.stop();
    identifier_.reset();
    claims_.reset();
    return writer_->close(clock_.boot_now(), reason);
  }

  const RecordingWriter& writer() const { return *writer_; }
  std::uint64_t starts() const { return journal_.starts(); }

 private:
  Recorder() = default;

  Result<void> build(const AgentConfig& config, const std::string& boot_id) {
    const RecordingLimits limits = recording_limits(config);
    tap_ = std::make_unique<RecordingTap>(*writer_, clock_, limits);
    ASSAY_ASSIGN(source_, make_recording_source(config, clock_, *tap_));
    opener_ = std::make_unique<VerifyingLayerOpener>(boot_id);
    identifier_ = std::make_unique<LayerIdentifier>(*opener_, cache_, identifier_options(config));
    recording_identifier_ = std::make_unique<RecordingIdentifier>(*identifier_, *writer_, clock_);
    records_ = std::make_unique<DiskRecords>(runtime_roots(config));
    recording_records_ =
        std::make_unique<RecordingRecords>(*records_, *writer_, clock_, limits.labels);
    recording_stacks_ = std::make_unique<RecordingStacks>(stacks_, *writer_, clock_);
    claims_ = std::make_unique<ClaimDesk>(claim_sources(config), directories_);
    recording_claims_ =
        std::make_unique<RecordingClaims>(*claims_, *writer_, clock_, limits.labels);
    auditor_ = std::make_unique<Auditor>(ports(), auditor_config(config, boot_id));
    commits_ = std::make_unique<CommitWatch>(
        CommitWatch::Ports{[] { return std::uint64_t{0}; }, [] { return std::uint64_t{0}; },
                           [this](std::uint64_t ticket) { source_->release(ticket); }});
    return ok();
  }

  Auditor::Ports ports() {
    return {journal_,
            *recording_identifier_,
            *recording_records_,
            open_runs_,
            *source_,
            clock_,
            [this](LayerResult result) { loop_.post_layer(std::move(result)); },
            {},
            recording_claims_.get(),
            [this](RunClaims claims) { loop_.post_claims(std::move(claims)); }};
  }

  void record_catalog(const AgentConfig& config) {
    auto catalog = catalog_for_recording(config);
    if (catalog)
      writer_->write(clock_.boot_now(), std::move(*catalog));
    else
      say("recording without a catalog: " + catalog.error().text());
  }

  const SystemClock clock_{};
  CountingJournal journal_;
  NoCache cache_;
  NoOpenRuns open_runs_;
  std::unique_ptr<RecordingWriter> writer_;
  std::unique_ptr<RecordingTap> tap_;
  std::unique_ptr<EventSource> source_;
  std::unique_ptr<VerifyingLayerOpener> opener_;
  std::unique_ptr<DiskRecords> records_;
  std::unique_ptr<RecordingRecords> recording_records_;
  UserStacks stacks_;
  std::unique_ptr<RecordingStacks> recording_stacks_;
  KernelDirectories directories_;
  AuditorLoop loop_;
  std::unique_ptr<LayerIdentifier> identifier_;
  std::unique_ptr<RecordingIdentifier> recording_identifier_;
  std::unique_ptr<ClaimDesk> claims_;
  std::unique_ptr<RecordingClaims> recording_claims_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<CommitWatch> commits_;
};

/// Why the recording ended.
std::string wait_for_end(const service::Signals& signals, const RecordOptions& options,
                         const RecordingWriter& writer) {
  const bool is_endless = options.duration.count() == 0;
  const auto end = std::chrono::steady_clock::now() + options.duration;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (!is_endless && left.count() <= 0) return "the time is over";
    if (writer.is_full()) return "the file is full";
    if (const auto signal = signals.wait(is_endless ? kLook : std::min(left, kLook)))
      return "signal " + std::to_string(*signal);
  }
}

}  // namespace

ExitCode record_node(const AgentConfig& config, const RecordOptions& options) {
  auto signals = service::Signals::create();  // before any thread: they inherit the mask
  if (!signals) return fail(signals.error());
  auto recorder = Recorder::create(config, options);
  if (!recorder) return fail_to_probe(recorder.error());
  if (auto started = (*recorder)->start(); !started) return fail_to_probe(started.error());
  say("recording to " + options.file);
  const std::string reason = wait_for_end(*signals, options, (*recorder)->writer());
  if (auto closed = (*recorder)->stop(reason); !closed) return fail(closed.error());
  const RecordingWriter& writer = (*recorder)->writer();
  say("recorded " + std::to_string((*recorder)->starts()) + " starts, " +
      std::to_string(writer.bytes()) + " bytes" +
      (writer.dropped() == 0 ? ""
                             : "; " + std::to_string(writer.dropped()) + " entries are missing") +
      " (" + reason + ")");
  return ExitCode::kOk;
}

ExitCode replay_file(const std::string& file, bool with_events) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(system_error(file));
  auto reader = RecordingReader::open(in);
  if (!reader) return fail(reader.error());
  ReplayClock clock(reader->header());
  ReplayView view(clock, with_events);
  const auto report = replay(*reader, clock, view);
  if (!report) return fail(report.error());
  const std::string json = view.to_json(reader->header(), *report);
  const bool is_written =
      std::fwrite(json.data(), 1, json.size(), stdout) == json.size() && std::fflush(stdout) == 0;
  return is_written ? ExitCode::kOk : fail(system_error("write stdout"));
}

}  // namespace assay::agent
