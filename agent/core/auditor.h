// SPDX-License-Identifier: Apache-2.0
// The agent's heart: turns what the probe saw into runs, runs into stacks, stacks into verdicts,
// and records it all. A state machine without threads, files or sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "agent/core/exact.h"
#include "agent/core/ports.h"
#include "agent/core/run_identity.h"
#include "agent/core/stack_places.h"
#include "agent/core/stack_tracker.h"
#include "agent/core/state_telling.h"
#include "agent/core/verify_target.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace assay::agent {

/// Which execs are told.
enum class ExecLevel {
  kOff,
  kForeign,  ///< of files that come neither from the base nor from another layer; once per file
  kAll,
};

/// Of off, foreign, all; any other word is kOff.
ExecLevel exec_level_of(std::string_view word);

struct AuditorConfig {
  std::string cluster;
  std::string node;
  std::string boot_id;
  ExecLevel exec_level = ExecLevel::kForeign;
  std::size_t max_waiting_stacks = 10'000;
  std::size_t max_open_runs = 100'000;
  std::size_t max_place_bytes = 4U << 20;  ///< where layers lie whose files may be asked for
  std::uint32_t name_attempts = 5;  ///< once a second, for runtimes that write their records late
  BootTime state_interval = std::chrono::seconds(10);  ///< at least, between two full states
  std::size_t runs_per_turn = 1000;                    ///< of a full state, told a second
  std::size_t max_fact_bytes = 16U << 20;              ///< facts of open runs kept for a full state
};

/// What health and metrics show of the auditor.
struct AuditorSnapshot {
  std::uint64_t running = 0;
  std::uint64_t starts = 0;
  std::uint64_t late_starts = 0;
  std::uint64_t ends = 0;
  std::uint64_t refused_runs = 0;  ///< beyond max_open_runs
  std::uint64_t tampered = 0;      ///< times that a layer was found changed under a run
  std::uint64_t unrecognised = 0;  ///< open runs of which it is still to be told who knows them
  std::uint64_t rogue = 0;         ///< open runs that no runtime knows
  std::uint64_t catalog_sequence = 0;
  std::map<catalog::VerdictStatus, std::uint64_t> running_by_verdict;
};

/// How to open a layer when nothing is remembered of the container's start.
LayerTask bare_task(const LayerRef& ref, const catalog::StackLayer& layer);

/// All methods are called on one thread. References outlive the auditor.
class Auditor {
 public:
  struct Ports {
    Journal& journal;
    Identifier& identifier;
    RuntimeRecords& records;
    OpenRuns& open_runs;
    EventSource& source;
    const Clock& clock;
    /// Brings a layer's result from the identifier's threads back to on_layer() on the auditor's.
    std::function<void(LayerResult)> post_layer;
    /// The time that dates in the catalog are compared with; empty: the clock's. It may run ahead
    /// of a clock that was set back.
    std::function<WallTime()> judging_time = {};
    ClaimReader* claims = nullptr;  ///< none: no store is asked
    /// Brings what was claimed from the reader's threads back to on_claims() on the auditor's.
    std::function<void(RunClaims)> post_claims = {};
    LayerWatch* watch = nullptr;   ///< none: no layer is walked again
    ViewChecker* views = nullptr;  ///< none: no root is looked into
    /// Brings a report from the checker's thread back to on_view() on the auditor's.
    std::function<void(ViewReport)> post_view = {};
    RecordedContainers* recorded = nullptr;  ///< none: only what the kernel shows is told
    Recogniser* recogniser = nullptr;        ///< none: nobody is told whether a runtime knows a run
    /// Brings a report from the recogniser's thread back to on_recognised() on the auditor's.
    std::function<void(RecognitionReport)> post_recognition = {};
  };
  Auditor(Ports ports, AuditorConfig config);

  /// Reads the runs that were open when the agent stopped. Call once, before any event.
  void resume();
  void on_start(ContainerStart start);
  void on_exec(const ContainerExec& exec);
  void on_emptied(const RunEmptied& emptied);
  void on_sweep(const SweepCompleted& sweep);
  void on_gap(const ObservationGap& gap);
  void on_noise(const RunNoise& noise);
  /// Results that came at about the same time: the steps between them are not recorded, so that a
  /// stack of 500 new layers does not become 1,000 stacks.
  void on_layers(const std::vector<LayerResult>& results);
  void on_layer(const LayerResult& result) { on_layers({result}); }
  /// What a runtime's records say: names, conflicts and claims of layers, told as soon as they
  /// come.
  void on_claims(const RunClaims& claims);
  /// A layer was found to be changed. Told once a sweep that begins after this has shown which runs
  /// still stand on it: who removes an image after its last container tampers with nothing.
  void on_tampering(const LayerTampering& tampering);
  /// One task for each layer that some run stands on.
  std::vector<LayerTask> running_layers() const;
  /// The layers of open runs that `target` means. Errors: those of find_verify_target().
  Result<VerifyScope> layers_to_verify(std::string_view target) const;
  /// Which of those that may be proven the caller wants: by the directory, and whether it was
  /// proven before.
  using WantsProof = std::function<bool(const LayerRef& ref, bool is_exact)>;
  /// The layers that some run stands on, whose content is known.
  std::vector<LayerTask> layers_to_prove(const WantsProof& wants) const;
  void on_exact(const LayerExact& exact);
  /// Told of every run on the layer, now and later, as a conflict of its own.
  void on_mismatch(const LayerMismatch& mismatch);
  /// Noted only where the policy asks for proofs: elsewhere nobody waits for one.
  void on_unproven(const LayerUnproven& unproven);
  void on_catalog(std::shared_ptr<const catalog::Catalog> catalog);
  /// What a look into a run's root found.
  void on_view(const ViewReport& report);
  /// What the runtimes' notes say of a run that no other record is about.
  void on_recognised(const RecognitionReport& report);
  using ViewAnswer = std::function<void(const RunId&, const catalog::View&)>;
  /// Looks into the roots of running containers again, now: of those that `target` names (run id,
  /// container id of 12 digits or more, or container name; "" = all). `answer` (may be empty) is
  /// called once for each, on the auditor's thread, when its look is over, or at once where there
  /// is nothing to compare with; unchecked when the run ends first. Where the base is not known to
  /// its content only mounts are looked at. How many runs there are.
  std::size_t check_views(const std::string& target, const ViewAnswer& answer);
  /// How to open the layers of a stack that was told, bottom first; empty when it was long ago.
  std::vector<LayerTask> layers_of(const StackDigest& stack) const { return places_.find(stack); }
  void set_exec_level(ExecLevel level) { config_.exec_level = level; }
  /// The collector wants to hear of every open run again; told after the next sweep.
  void on_state_request(std::uint64_t request);
  /// About once a second: late names, full states, refused runs.
  void on_tick();

  AuditorSnapshot snapshot() const;

 private:
  /// What was told of a run by name.
  struct Told {
    ContainerNames names;
    std::vector<std::string> conflicts;
    RunKind kind = RunKind::kContainer;
    catalog::Recognition recognition = {};
  };
  /// Looking for who knows a run: again and again while nobody does.
  struct Acquaintance {
    std::uint32_t looks = 0;        ///< that found nothing
    BootTime next{};                ///< when to look again
    std::optional<BootTime> asked;  ///< the recogniser: when; it has not answered yet
    bool is_owed = false;           ///< told before a restart, nobody knows what: told again
  };
  static constexpr std::uint32_t kLooks = 2;  ///< before it is said that nobody knows a run
  /// Looking into the root of a run.
  struct Look {
    catalog::View view;                      ///< as it was told, or would be
    std::optional<catalog::ViewPlan> asked;  ///< of the last look
    bool is_waiting = false;
    bool is_again = false;  ///< asked for once more meanwhile
    bool can_lift = false;  ///< by the mount's options
    std::vector<ViewAnswer> answers = {};
  };
  using ForeignFile = std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>;
  struct Run {
    RunId id;
    BootTime first_seen{};
    std::uint64_t mount_namespace = 0;
    std::uint64_t pid_namespace = 0;
    bool in_host_pid_namespace = false;
    /// No sweep knows of it: it lives as long as its record, which was seen last then.
    std::optional<BootTime> recorded;
    StackDigest stack;
    WallTime started{};  // as it was told; its end is told on the same clock
    BootTime started_boot{};
    std::optional<BootTime> emptied;
    Told told;
    std::optional<BootTime> claims_asked;  ///< when; they have not come yet
    bool is_anothers_record = false;       ///< as in RunClaims
    ProcessKey first_process;
    /// Told before a restart, and still the last that was told: `stack` lacks its layers.
    std::optional<StackDigest> resumed_from;
    Look look = {};
    std::set<ForeignFile> foreign = {};           ///< told already
    std::unique_ptr<const ContainerStart> facts;  ///< without layers; null over max_fact_bytes
  };
  /// Told before a restart.
  struct Resumed {
    OpenRun run;
    std::optional<BootTime> emptied;
  };
  struct Refused {
    BootTime from{};
    BootTime until{};
    std::uint64_t runs = 0;
  };
  /// A run that went before its runtime's records were read.
  struct EndedRun {
    Told told;
    StackDigest stack;  ///< still held, so that the claims find it
    BootTime until{};   ///< then nothing is expected any more
  };
  struct LateName {
    ContainerStart start;
    std::uint32_t attempts_left = 0;
  };

  void open_run(ContainerStart start);
  /// False: there is no room for it.
  bool open_named_run(ContainerStart start, ContainerNames names);
  /// Tells of containers that run by their runtimes' records and that the kernel does not show.
  void look_at_records(BootTime now);
  /// Whether some run that the kernel shows is this container's.
  bool is_shown(const RecordedContainer& container) const;
  /// Gives a run whose layers were lost the stack that a later sweep could read.
  void complete_run(Run& run, const ContainerStart& start);
  void close_run(const RunKey& key, BootTime time, bool is_approximate);
  StackDigest stand_on_layers(const ContainerStart& start);
  /// Tracks the stack, with what is recalled of its layers, and asks for what is not.
  StackDigest track(catalog::Stack stack, std::vector<LayerTask> tasks);
  void announce(const Run& run, ContainerStart start);
  /// The run of before a restart that `start` shows again; one that it replaces is ended.
  std::optional<OpenRun> take_resumed(const ContainerStart& start);
  void continue_resumed(const OpenRun& before, const ContainerStart& start, Run& run);
  /// The stack of before a restart, with the evidence that it had; nothing when `start` shows
  /// other layers or it is not remembered.
  std::optional<StackDigest> stand_again(const OpenRun& before, const ContainerStart& start);
  RunStarted describe(const Run& run, ContainerStart start) const;
  void keep_facts(Run& run, const ContainerStart& start);
  void begin_state();
  void tell_state();
  bool tell_run(const RunKey& key);
  void end_unseen_resumed(const std::vector<RunKey>& untold);
  template <typename Result>
  std::vector<StackChange> apply(const std::vector<Result>& results);
  void follow(const std::vector<StackChange>& changes, bool is_of_running = false);
  void tell_tampering(BootTime began);
  void tell_mismatches(Run& run);
  const catalog::ViewPlan& view_plan(const StackDigest& stack);
  /// Asks for a look when there is something new to look for.
  void consider_view(const RunKey& key, Run& run);
  void consider_views();
  void ask_for_view(const RunKey& key, Run& run);
  void take_view(Run& run, const ViewReport& report);
  void place_by_view(Run& run, const ViewReport& report);
  void look_for_answers(const RunKey& key, Run& run);
  static void answer_unchecked(Run& run, const char* reason);
  /// How to open the layers of a stack, bottom first.
  std::vector<LayerTask> tasks_of(const StackDigest& stack, const StackTracker::Entry& entry) const;
  void ask_for_claims(Run& run, const ContainerStart& start);
  static bool add_conflict(Told& told, const std::string& conflict);
  void take_claims(const RunId& run_id, Told& told, const RunClaims& claims);
  void tell_names(const RunId& run_id, const Told& told);
  /// Tells of the exec of an open run, when the level wants it.
  void tell_exec(Run& run, const ContainerExec& exec);
  bool wants_exec(Run& run, const ExecutedFile& file) const;
  void seek_acquaintances(const RunKey& key, const Run& run, bool is_resumed);
  void look_for_acquaintances();
  /// Whether some answer about the run is still to come.
  bool is_awaited(const Run& run, Acquaintance& seeking) const;
  /// False: there is nothing more to find out about the run.
  bool look_for_acquaintance(const RunKey& key, Run& run, Acquaintance& seeking);
  bool put_off(Acquaintance& seeking) const;
  void find_conflict(const RunKey& key, Run& run);
  bool has_outer(const RunKey& key, const Run& run) const;
  /// The open run in which `run` started: by its pid namespace, or by its ancestors. Null: none.
  const Run* find_enclosing(const RunKey& key, const Run& run) const;
  std::string borrowed_text(const RunKey& key, const Run& run) const;
  bool tell_recognition(Run& run, catalog::RecognitionState state, std::string reason);
  void forget_overdue();
  void look_up_late_names();
  /// `time`: when it was found to be over, unless its end was told meanwhile.
  void end_resumed(const Resumed& resumed, BootTime time);
  void refuse(const ContainerStart& start);
  void report_refused();
  const Run* noisy_run(const RunNoise& noise) const;
  KindContext kind_context(const ContainerStart& start, const ContainerNames& names) const;
  catalog::Verdict judge(const catalog::Stack& stack) const;
  WallTime wall(BootTime time) const;
  /// `time` on the clock by which the start of the run was told: no clock that was set in between
  /// makes a run end before it started, or last an hour longer.
  static WallTime in_run(WallTime started, BootTime started_boot, BootTime time);

  Ports ports_;
  AuditorConfig config_;
  std::shared_ptr<const catalog::Catalog> catalog_;  // shared with the uplink that verified it
  StackTracker stacks_;
  StackPlaces places_;
  std::unordered_map<RunKey, Run> runs_;
  std::unordered_map<RunKey, Resumed> resumed_;
  std::unordered_map<RunKey, LateName> late_names_;
  std::unordered_map<RunKey, Acquaintance> seeking_;  ///< open runs that nobody knows so far
  /// Of the last sweep: what nobody keeps off this kernel, and since when it is not shown.
  std::map<RunKey, BootTime> doubtful_records_;
  std::optional<BootTime> records_read_;
  std::unordered_map<RunId, EndedRun> ended_;
  /// Found and not told yet, with the time at which it was found.
  std::map<LayerRef, std::pair<LayerTampering, BootTime>> tampering_;
  std::map<LayerRef, std::string> mismatches_;           ///< of layers with their tar streams
  std::map<StackDigest, catalog::ViewPlan> view_plans_;  // by the catalog in use
  bool are_views_due_ = false;                           // the catalog changed
  StateTelling state_;
  std::size_t fact_bytes_ = 0;
  std::optional<Refused> refused_;  ///< beyond max_open_runs, not told yet
  AuditorSnapshot counters_;
};

}  // namespace assay::agent
