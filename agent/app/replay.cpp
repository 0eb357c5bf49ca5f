// SPDX-License-Identifier: Apache-2.0
#include "agent/app/replay.h"

#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/app/pipeline.h"
#include "agent/app/recording_ports.h"
#include "agent/core/auditor.h"
#include "agent/probe/replay_source.h"
#include "agent/uplink/event_codec.h"
#include "common/catalog/log.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kTick{1};
constexpr int kMaxTicksAtOnce = 10;  // over a silence of hours: late names need no more
// As the auditor's loop joins results that come at about the same time.
constexpr std::chrono::milliseconds kLayersTogether{20};

/// Answers in the order of the questions; the last one serves for all that follow.
template <typename Key, typename Answer, typename Table>
const Answer* next_answer(Table& table, const Key& key, Answer& place) {
  const auto found = table.find(key);
  if (found == table.end()) return nullptr;
  std::deque<Answer>& answers = found->second;
  place = answers.front();
  if (answers.size() > 1) answers.pop_front();
  return &place;
}

struct Answers {
  std::unordered_map<RunKey, std::deque<RecordedCommand>> commands;
  std::unordered_map<RunKey, std::deque<std::string>> names;
  std::unordered_map<RunKey, std::deque<RecordedStack>> stacks;
  std::map<LayerRef, std::deque<RecordedLayerResult>> recalls;
  std::map<LayerRef, std::deque<RecordedClaimRecall>> claims;
  std::uint64_t unanswered = 0;

  void add(RecordingEntry entry) {
    if (auto* command = std::get_if<RecordedCommand>(&entry.body))
      commands[command->key].push_back(std::move(*command));
    else if (auto* answer = std::get_if<RecordedNames>(&entry.body))
      names[answer->key].push_back(std::move(answer->names));
    else if (auto* stack = std::get_if<RecordedStack>(&entry.body))
      stacks[stack->key].push_back(std::move(*stack));
    else if (auto* claim = std::get_if<RecordedClaimRecall>(&entry.body))
      claims[claim->ref].push_back(*claim);
    else if (auto* layer = std::get_if<RecordedLayerResult>(&entry.body); layer && !layer->is_news)
      recalls[layer->ref].push_back(std::move(*layer));
  }
};

class ReplayRecords final : public RuntimeRecords {
 public:
  explicit ReplayRecords(Answers& answers) : answers_(answers) {}
  ContainerNames look_up(const ContainerStart& start) override {
    std::string bytes;
    if (next_answer(answers_.names, start.key, bytes) == nullptr) {
      ++answers_.unanswered;
      return {};
    }
    auto names = decode_names(bytes);
    return names ? std::move(*names) : ContainerNames{};
  }

 private:
  Answers& answers_;
};

class ReplayStacks final : public StackFinder {
 public:
  explicit ReplayStacks(Answers& answers) : answers_(answers) {}
  void complete(ContainerStart& start) override {
    if (start.is_overlay) return;
    RecordedStack recorded;
    if (next_answer(answers_.stacks, start.key, recorded) == nullptr) {
      ++answers_.unanswered;
      return;
    }
    start.other_stack = recorded.other_stack;
    start.layers = std::move(recorded.layers);
  }

 private:
  Answers& answers_;
};

/// What the stores said of a run comes with the recording; here is kept which run was asked about.
class ReplayClaims final : public ClaimReader {
 public:
  explicit ReplayClaims(Answers& answers) : answers_(answers) {}
  std::optional<LayerClaim> recall(const LayerRef& ref) override {
    RecordedClaimRecall recorded;
    if (next_answer(answers_.claims, ref, recorded) == nullptr) {
      ++answers_.unanswered;
      return std::nullopt;
    }
    return recorded.claim;
  }
  void look_up(ClaimTask task, std::function<void(RunClaims)>) override {
    asked_[task.start.key].push_back(std::move(task.run_id));
  }
  /// The run that the next answer of `key` is about; "" when none was asked about.
  RunId next_asked(const RunKey& key) {
    const auto found = asked_.find(key);
    if (found == asked_.end()) return {};
    RunId id = std::move(found->second.front());
    found->second.pop_front();
    if (found->second.empty()) asked_.erase(found);
    return id;
  }

 private:
  Answers& answers_;
  std::unordered_map<RunKey, std::deque<RunId>> asked_;
};

class ReplayIdentifier final : public Identifier {
 public:
  explicit ReplayIdentifier(Answers& answers) : answers_(answers) {}
  std::optional<LayerResult> recall(const LayerTask& task) override {
    RecordedLayerResult recorded;
    if (next_answer(answers_.recalls, ref_of(task.layer), recorded) == nullptr) {
      ++answers_.unanswered;
      return std::nullopt;
    }
    if (recorded.layer.empty()) return std::nullopt;
    auto result = to_result(recorded);
    return result ? std::optional(std::move(*result)) : std::nullopt;
  }
  void identify(LayerTask, Callback) override {}  // what it found out comes with the recording
  std::uint64_t pending() const override { return 0; }

 private:
  Answers& answers_;
};

/// The auditor may ask for sweeps: they come when they came.
class RecordedSource final : public EventSource {
 public:
  Result<void> start(EventSink&, std::optional<BootTime>) override { return ok(); }
  void request_sweep() override {}
  ProbeHealth health() const override { return {}; }
  void stop() override {}
  void release(std::uint64_t) override {}
};

/// Hands what the source tells to the auditor at once.
class DirectSink final : public EventSink {
 public:
  DirectSink(StackFinder& stacks, Auditor& auditor) : stacks_(stacks), auditor_(auditor) {}
  void on_start(ContainerStart start) override {
    stacks_.complete(start);
    auditor_.on_start(std::move(start));
  }
  void on_exec(ContainerExec exec) override { auditor_.on_exec(exec); }
  void on_emptied(RunEmptied emptied) override { auditor_.on_emptied(emptied); }
  void on_sweep(SweepCompleted sweep) override { auditor_.on_sweep(sweep); }
  void on_gap(ObservationGap gap) override { auditor_.on_gap(gap); }
  void on_noise(RunNoise noise) override { auditor_.on_noise(noise); }
  void on_checkpoint(Checkpoint) override {}

 private:
  StackFinder& stacks_;
  Auditor& auditor_;
};

AuditorConfig config_of(const RecordingHeader& header) {
  AuditorConfig config;
  config.cluster = header.cluster;
  config.node = header.node;
  config.boot_id = header.boot_id;
  config.exec_level = header.records_execs ? ExecLevel::kAll : ExecLevel::kForeign;
  return config;
}

class Player {
 public:
  Player(const RecordingHeader& header, ReplayClock& clock, Journal& journal, Answers answers)
      : clock_(clock),
        answers_(std::move(answers)),
        auditor_({journal, identifier_, records_, open_runs_, idle_, clock, {}, {}, &claims_, {}},
                 config_of(header)),
        sink_(stacks_, auditor_),
        source_(
            sink_, [this](ContainerStart& start) { fill_command(start); },
            header.never_executed_age),
        next_tick_(header.boot) {
    auditor_.resume();
  }

  void play(const RecordingEntry& entry, ReplayReport& report) {
    pass_time(entry.time);
    ++report.entries;
    std::visit([&](const auto& body) { on(body, report); }, entry.body);
  }

  void finish(ReplayReport& report) {
    pass_time(clock_.boot_now() + kMaxTicksAtOnce * kTick);
    flush_layers();
    report.unanswered = answers_.unanswered;
  }

 private:
  void pass_time(BootTime until) {
    if (!layers_.empty() && until >= layers_due_) flush_layers();
    for (int i = 0; i < kMaxTicksAtOnce && next_tick_ <= until; ++i, next_tick_ += kTick) {
      clock_.advance_to(next_tick_);
      auditor_.on_tick();
    }
    clock_.advance_to(until);
    if (next_tick_ <= until) next_tick_ = until + kTick;
  }

  void flush_layers() {
    clock_.advance_to(layers_due_);
    if (!layers_.empty()) auditor_.on_layers(std::exchange(layers_, {}));
  }

  void fill_command(ContainerStart& start) {
    RecordedCommand command;
    if (next_answer(answers_.commands, start.key, command) == nullptr) {
      ++answers_.unanswered;
      return;
    }
    start.executable = command.executable;
    start.arguments = command.arguments;
    start.arguments_truncated = command.arguments_truncated;
  }

  void on(const RecordedBytes& body, ReplayReport& report) {
    if (!source_.on_bytes(body.channel, clock_.boot_now(), body.bytes)) ++report.unreadable;
  }
  void on(SweepStep step, ReplayReport&) {
    switch (step) {
      case SweepStep::kBegan:
        return source_.on_sweep_began(clock_.boot_now());
      case SweepStep::kAsks:
        return source_.on_sweep_asks();
      case SweepStep::kCompleted:
        return source_.on_sweep_completed(clock_.boot_now());
    }
  }
  void on(const RecordedLayerResult& body, ReplayReport& report) {
    if (!body.is_news) return;
    auto result = to_result(body);
    if (!result) {
      ++report.unreadable;
      return;
    }
    if (layers_.empty()) layers_due_ = clock_.boot_now() + kLayersTogether;
    layers_.push_back(std::move(*result));
  }
  void on(const RecordedCatalog& body, ReplayReport& report) {
    auto trust = catalog::TrustRoot::parse(body.trust);
    auto verified = trust ? catalog::verify_log(body.log, *trust) : trust.error();
    report.catalog_problem = verified ? "" : verified.error().text();
    if (verified)
      auditor_.on_catalog(std::make_shared<const catalog::Catalog>(std::move(verified->catalog)));
  }
  void on(const ObservationGap& gap, ReplayReport&) { auditor_.on_gap(gap); }
  void on(const RunNoise& noise, ReplayReport&) { auditor_.on_noise(noise); }
  void on(const RecordingEnd& end, ReplayReport& report) {
    report.end_reason = end.reason;
    report.dropped = end.dropped;
  }
  void on(const RecordedCommand&, ReplayReport&) {}  // answers were read before
  void on(const RecordedNames&, ReplayReport&) {}
  void on(const RecordedStack&, ReplayReport&) {}
  void on(const RecordedClaimRecall&, ReplayReport&) {}
  void on(const RecordedClaims& body, ReplayReport& report) {
    auto names = decode_names(body.names);
    const RunId asked = claims_.next_asked(body.key);
    if (!names || asked.empty()) {
      ++report.unreadable;
      return;
    }
    auditor_.on_claims({asked, body.key, std::move(*names), body.layers, body.conflicts});
  }

  ReplayClock& clock_;
  Answers answers_;
  ReplayIdentifier identifier_{answers_};
  ReplayRecords records_{answers_};
  ReplayStacks stacks_{answers_};
  ReplayClaims claims_{answers_};
  NoOpenRuns open_runs_;
  RecordedSource idle_;
  Auditor auditor_;
  DirectSink sink_;
  ReplaySource source_;
  BootTime next_tick_;
  std::vector<LayerResult> layers_;
  BootTime layers_due_{};
};

Result<Answers> read_answers(RecordingReader& reader) {
  Answers answers;
  for (;;) {
    ASSAY_ASSIGN(auto entry, reader.next());
    if (!entry) return answers;
    answers.add(std::move(*entry));
  }
}

}  // namespace

Result<ReplayReport> replay(RecordingReader& reader, ReplayClock& clock, Journal& journal) {
  const RecordingHeader& header = reader.header();
  if (!ReplaySource::reads_abi(header.abi_version))
    return Error{ErrorCode::kUnsupported,
                 "the recording holds records of ABI " + std::to_string(header.abi_version) +
                     "; this program reads ABI " + std::to_string(ReplaySource::abi_version())};
  ASSAY_ASSIGN(Answers answers, read_answers(reader));
  ASSAY_TRY(reader.rewind());
  Player player(header, clock, journal, std::move(answers));
  ReplayReport report;
  for (;;) {
    ASSAY_ASSIGN(const auto entry, reader.next());
    if (!entry) break;
    player.play(*entry, report);
  }
  player.finish(report);
  report.is_cut = reader.is_cut();
  return report;
}

}  // namespace assay::agent
