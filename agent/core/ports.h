// SPDX-License-Identifier: Apache-2.0
// The interfaces where the agent's parts meet. Adapters implement them; app/ joins them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/event_source.h"
#include "agent/core/events.h"
#include "common/base/result.h"
#include "common/catalog/container_names.h"
#include "common/catalog/evidence.h"
#include "common/catalog/judge.h"
#include "common/catalog/recognition.h"
#include "common/catalog/view.h"

namespace assay::agent {

/// Where one run's layers lie, opened for long enough to fingerprint them.
class Layer {
 public:
  virtual ~Layer() = default;
  /// Identity for the cache; birth and file system are filled in.
  virtual const catalog::LayerInstance& instance() const = 0;
  /// Directory descriptor, O_PATH, verified by device, inode and generation. Owned by the layer.
  virtual int fd() const = 0;
  /// Whether remembering across restarts is safe (ext4, xfs; generation and birth time known).
  virtual bool is_cacheable() const = 0;
};

/// Opens layers by file handle, or by a name that it verified. Thread-safe.
class LayerOpener {
 public:
  virtual ~LayerOpener() = default;
  /// `start` gives the roots through which a name may be looked up (parents of the container).
  /// Errors: kNotFound (gone: the kernel has no such inode, and no name leads to it),
  /// kPermissionDenied, kUnsupported (a file system that is not read), kUnavailable (it could not
  /// be looked for: no mount, descriptors or memory, an error of the disk).
  virtual Result<std::unique_ptr<Layer>> open(const LowerLayer& layer,
                                              const ContainerStart& start) = 0;
  /// Opens the root directory itself, for roots that are no overlay (vfs, native, chroot).
  virtual Result<std::unique_ptr<Layer>> open_root(const ContainerStart& start) = 0;
};

/// Whether an open directory (O_PATH is enough) is one that the kernel named. Asks no server and no
/// FUSE daemon before device and inode agree. Thread-safe.
class DirectoryCheck {
 public:
  virtual ~DirectoryCheck() = default;
  /// By device, inode and generation; a generation that the file system does not tell proves
  /// nothing.
  virtual bool is_layer(int fd, const LowerLayer& layer) = 0;
  /// Whether it is the upper directory of the overlay with this identity: by inode and generation,
  /// as the kernel gives the overlay's own device.
  virtual bool is_upper(int fd, const RootIdentity& root) = 0;
};

/// Roots whose layers the kernel does not hold as overlayfs does: fuse-overlayfs and aufs.
class StackFinder {
 public:
  virtual ~StackFinder() = default;
  /// Fills `layers` and `other_stack` of such a start; leaves any other, and one whose layers it
  /// cannot tell, as it is. Reads small files of /proc and /sys; never a container's.
  virtual void complete(ContainerStart& start) = 0;
};

/// A process by its number, and by when it started where that is known.
struct ProcessNumber {
  std::uint32_t pid = 0;
  std::uint64_t start_ticks = 0;  ///< clock ticks since boot, as /proc and runtimes count; 0: any
};

/// What the kernel says of processes that live now, and of their ancestors. Thread-safe; reads a
/// few small files of /proc, asks no file system behind a root.
class Processes {
 public:
  virtual ~Processes() = default;
  /// Fills `login` and `outer_pid_namespaces` of `start`, of what is left of its processes.
  virtual void complete(ContainerStart& start) = 0;
  /// The device of the root that the process lives on; nothing when it is gone. Errors: as
  /// lives_on().
  virtual Result<std::optional<std::uint64_t>> root_device(const ProcessNumber& process) = 0;
  /// Whether the process lives, and on this root. Errors: kUnavailable (it could not be looked at).
  virtual Result<bool> lives_on(const ProcessNumber& process, const RootIdentity& root) = 0;
};

/// What is remembered of a layer directory.
struct KnownLayer {
  catalog::LayerEvidence evidence;
  std::uint64_t entries = 0;
  std::uint64_t content_bytes = 0;
  bool is_injected = false;
  std::string about;  ///< what it says of itself (catalog::encode_about)
};

/// The key of the layer cache: all that decides what a fingerprint of the directory would be.
struct LayerKey {
  catalog::LayerInstance instance;
  std::string id_map;           ///< canonical text of the id mapping, "" when ids are as they are
  std::string overlay_options;  ///< canonical text of dialect, redirect, metacopy, data-only
  std::uint32_t fingerprint_version = 0;
  auto operator<=>(const LayerKey&) const = default;
};

/// state.db's layer table. Thread-safe.
class LayerCache {
 public:
  virtual ~LayerCache() = default;
  virtual std::optional<KnownLayer> find(const LayerKey& key) = 0;
  virtual Result<void> store(const LayerKey& key, const KnownLayer& layer) = 0;
};

/// What the node keeps of one directory to find out later whether it was changed.
struct KeptRecord {
  std::string record;    ///< image::NodeRecord, encoded; "" when it is not kept any more
                         ///< (agent/identify: or a mark that the layer is too large for one)
  std::string tampered;  ///< as in catalog::LayerEvidence
};

/// state.db's table of the node's own records. Thread-safe.
class LayerRecords {
 public:
  virtual ~LayerRecords() = default;
  /// Nothing: none is kept of exactly this directory. Errors: kUnavailable, kCorrupt.
  virtual Result<std::optional<KeptRecord>> find_record(const catalog::LayerInstance& instance) = 0;
  /// The same without the record itself; "" when nothing is known.
  virtual Result<std::string> find_tampered(const catalog::LayerInstance& instance) = 0;
  /// Writes at once. Errors: kUnavailable.
  virtual Result<void> keep_record(const catalog::LayerInstance& instance,
                                   const KeptRecord& kept) = 0;
  /// The directory was looked at, and is as its record says: of a full table it goes later.
  virtual Result<void> renew_record(const catalog::LayerInstance& instance) = 0;
};

using catalog::ContainerNames;

/// Reads names from OCI bundles and stores on disk, read-only. Thread-safe; reads a few small
/// files.
class RuntimeRecords {
 public:
  virtual ~RuntimeRecords() = default;
  /// What is known now; at least the container id from the cgroup path, else empty.
  virtual ContainerNames look_up(const ContainerStart& start) = 0;
  /// What runs the processes of the container with these names in place of the node's kernel
  /// ("gVisor", "Kata Containers" …), by a record that only root may write; "" when nothing says
  /// so, or when neither `start`'s process nor an ancestor is one that the record names: anybody
  /// may call a cgroup like a container.
  virtual std::string sandbox_of(const ContainerNames& /*names*/, const ContainerStart& /*start*/) {
    return "";
  }
};

/// A container that its runtime says runs, whatever its processes show.
struct RecordedContainer {
  ContainerStart start;  ///< cause kRecord; its key is of the record's folder
  ContainerNames names;
  /// On which the root of its first process lies; 0 when that could not be seen.
  std::uint64_t root_device = 0;
};

/// Containers by their runtimes' records of what runs now. Used by one thread.
class RecordedContainers {
 public:
  virtual ~RecordedContainers() = default;
  /// Nothing is read of containers whose id `is_known`.
  virtual std::vector<RecordedContainer> list(
      const std::function<bool(const std::string& id)>& is_known) = 0;
};

using RunId = std::string;  ///< 32 hex digits

/// Which directory a task or a result is about, as the kernel names it.
struct LayerRef {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const LayerRef&) const = default;
};
inline LayerRef ref_of(const LowerLayer& layer) {
  return {layer.device, layer.inode, layer.generation};
}

/// Where a runtime's store keeps what the tar stream of a layer can be had from. A hint: whoever
/// opens it looks who may write it, and believes the stream only by its digest.
struct StreamPlace {
  enum class Kind {
    kNone,
    kTarSplit,  ///< JSON lines, compressed: the headers; the payloads lie in the layer's directory
    kBlob,      ///< the layer as it was pulled, compressed or not
  };
  Kind kind = Kind::kNone;
  std::string store;    ///< absolute path of the store's folder
  std::string path;     ///< beneath it
  std::string missing;  ///< of kNone: why there is none, "" when nobody looked
  bool operator==(const StreamPlace&) const = default;
};

/// What the runtime's own store says of one layer directory. A claim.
struct LayerClaim {
  LayerRef ref;
  std::optional<DiffId> diff_id;
  std::optional<ChainId> chain_id;  ///< of this layer on all below it
  bool is_for_display = false;      ///< someone but root may write that store
  StreamPlace stream = {};
  bool operator==(const LayerClaim&) const = default;
};

/// A run whose runtime is to be asked.
struct ClaimTask {
  RunId run_id;
  ContainerStart start;
  ContainerNames names;  ///< as they are known
};

/// What a runtime's records say of one run.
struct RunClaims {
  RunId run_id;
  RunKey key;
  ContainerNames names;            ///< of the task, completed
  std::vector<LayerClaim> layers;  ///< tied to the kernel's layers by their directories
  /// What the records and the kernel disagree on, or one record and another; "SUBJECT: REASON",
  /// escaped.
  std::vector<std::string> conflicts;
  /// The record is there, and its container writes elsewhere: this run only goes by its id.
  bool is_anothers_record = false;
};

/// Asks runtimes' stores what they say of a run's image and layers. Thread-safe; never blocks.
class ClaimReader {
 public:
  virtual ~ClaimReader() = default;
  /// What was said of a directory before; from memory, no I/O.
  virtual std::optional<LayerClaim> recall(const LayerRef& ref) = 0;
  /// Calls `on_claims` once, on a thread of the reader's, with what was found, if only nothing. Not
  /// called when the reader goes before.
  virtual void look_up(ClaimTask task, std::function<void(RunClaims)> on_claims) = 0;
};

/// A run that no record is known to be about.
struct RecognitionTask {
  RunId run_id;
  ContainerStart start;  ///< its layers are not needed
  ContainerNames names;
};

/// What the runtimes' own notes say of a run, by its processes.
struct RecognitionReport {
  RunId run_id;
  RunKey key;
  bool is_known = false;
  std::string record;    ///< which one, for people: "runc's record /run/runc/web"
  ContainerNames names;  ///< of that record: id, runtime, who may write it
  std::string failure;   ///< why it could not be looked up, "" when it could
};

/// Looks for a runtime's record of a run by the processes that the records name. Thread-safe;
/// never blocks.
class Recogniser {
 public:
  virtual ~Recogniser() = default;
  using Callback = std::function<void(RecognitionReport)>;
  /// Calls `on_report` once, on a thread of the recogniser's (at once, on the caller's, when too
  /// many wait), unless it goes before.
  virtual void look(RecognitionTask task, Callback on_report) = 0;
};

enum class RunKind { kContainer, kInner, kSandbox, kChroot, kHostRoot, kVmSandbox };
std::string_view to_string(RunKind kind);
std::string_view to_string(StartCause cause);
std::string_view to_string(Budget budget);

struct RunStarted {
  RunId run_id;
  RunKind kind = RunKind::kContainer;
  bool is_late = false;
  WallTime started{};
  ContainerStart start;  ///< the facts; its layers are in `stack`
  std::optional<StackDigest> stack;
  ContainerNames names;
  catalog::Verdict verdict;
};
struct RunEnded {
  RunId run_id;
  WallTime ended{};
  bool is_approximate = false;
};
struct StackAdvanced {
  StackDigest from;
  StackDigest to;
  catalog::Verdict verdict;
  bool is_of_running = false;  ///< a layer was changed: runs that had ended stay on `from`
};
struct RunNamed {
  RunId run_id;
  ContainerNames names;
  std::vector<std::string> claim_conflicts = {};  ///< all that were found so far, "SUBJECT: REASON"
  RunKind kind = RunKind::kContainer;             ///< by these names
  catalog::Recognition recognition = {};
};
struct ExecSeen {
  RunId run_id;
  WallTime time{};
  ContainerExec exec;
};
struct EvidenceGap {
  WallTime from{};
  WallTime until{};
  std::string reason;
  std::uint64_t lost = 0;
};
/// A run sent more records than its budget allows; told again while it goes on, and when it is
/// over.
struct RunNoisy {
  RunId run_id;
  Budget budget = Budget::kExecs;
  WallTime from{};
  WallTime until{};  ///< the last time it did
  std::uint64_t dropped = 0;
  std::uint32_t limit = 0;  ///< execs a second, or starts that may wait at once
  bool is_over = false;
};
/// What a run sees of its base, as it was looked at last; what was masked once stays so.
struct RunViewed {
  RunId run_id;
  catalog::View view;
  /// The run stands on this stack now: the same layers with what the view says of them.
  std::optional<StackDigest> stack = {};
};
/// From here to StateCompleted every open run is told once more.
struct StateBegun {
  std::uint64_t request = 0;  ///< of the collector that it answers; 0: told by ourselves
};
struct RunPresent {
  RunStarted run;                                 ///< with the stack and the names of now
  std::vector<std::string> claim_conflicts = {};  ///< as in RunNamed
  catalog::View view = {};                        ///< as in RunViewed
  catalog::Recognition recognition = {};          ///< as in RunNamed
};
struct StateCompleted {
  std::uint64_t runs = 0;  ///< told since StateBegun
  LossCounters loss;
  std::uint64_t catalog_sequence = 0;
};
using AgentEvent =
    std::variant<RunStarted, RunEnded, StackAdvanced, RunNamed, ExecSeen, EvidenceGap, RunNoisy,
                 RunViewed, StateBegun, RunPresent, StateCompleted>;

/// Where the agent's events go: encoded, put into the outbox, sent. Thread-safe; does not block on
/// disk or network.
class Journal {
 public:
  virtual ~Journal() = default;
  /// `stack`: the description of the stack that `event` names, when it names one.
  virtual void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) = 0;
};

/// A run that was told of and has not ended, to be recognised after a restart.
struct OpenRun {
  RunId run_id;
  RunKey key;
  ProcessKey first_process;
  StackDigest stack;
  WallTime started{};       ///< as it was told
  BootTime started_boot{};  ///< the same moment on the clock that never jumps
};

/// A run that was told of is over.
struct RunClosed {
  RunId run_id;
};

/// All open runs on one stack stand on another now.
struct RunsMoved {
  StackDigest from;
  StackDigest to;
};

/// One open run stands on another stack now.
struct RunMoved {
  RunId run_id;
  StackDigest to;
};

/// What an event means for the open runs; an OpenRun adds it, or replaces the one of the same id.
using RunChange = std::variant<std::monostate, OpenRun, RunClosed, RunsMoved, RunMoved>;
RunChange change_of(const AgentEvent& event);

/// What the journal's events left open. The journal keeps it by itself, together with the events.
class OpenRuns {
 public:
  virtual ~OpenRuns() = default;
  /// Runs of this boot.
  virtual std::vector<OpenRun> load() = 0;
  /// Runs of other boots: the host went down under them, and nobody has told of their end yet.
  virtual std::vector<OpenRun> load_of_other_boots() = 0;
  /// The stack with this digest as it was told, while it is remembered.
  virtual std::optional<catalog::Stack> describe(const StackDigest& digest) = 0;
  /// Whether every run that was ever told of and did not end is in the table. Not so in a table
  /// that is new beside an outbox that is not: then the whole state has to be told once.
  virtual bool is_complete() = 0;
  virtual void set_complete() = 0;
};

/// One layer to identify.
struct LayerTask {
  LowerLayer layer;
  ContainerStart start;  ///< context for opening and for the id mapping
  bool is_root_directory =
      false;  ///< the root itself; then only device, inode and generation of `layer` are set
  bool is_top = false;  ///< of the image's stack: the only place for docker's -init layer
};

/// What identification found out so far about one layer.
struct LayerResult {
  LayerRef ref;
  catalog::StackLayer layer;  ///< with all evidence that is there
  bool is_final = false;      ///< no higher rung will follow by itself
};

/// A layer directory that is not what it was when it was first read.
struct LayerTampering {
  LayerRef ref;
  std::string tampered;  ///< as in catalog::LayerEvidence: all that was found so far
  bool is_news = false;  ///< the walk that tells it found something new
};

/// Walks known layers again by the node's own record, in the background. Thread-safe.
class LayerWatch {
 public:
  virtual ~LayerWatch() = default;
  /// A run started on the layer: it is walked again soon, unless that was done within the interval.
  /// Never blocks.
  virtual void on_start(const LayerTask& task) = 0;
};

/// A mount in a container's root, below the root itself.
struct CoveringMount {
  std::string path;    ///< relative, raw
  std::string source;  ///< for people, raw: type of the file system and what of it is mounted
};

/// The root that a run's processes see, held open for one look. Not thread-safe.
class ContainerRoot {
 public:
  virtual ~ContainerRoot() = default;
  /// O_PATH directory. Owned by the root.
  virtual int fd() const = 0;
  virtual const std::vector<CoveringMount>& mounts() const = 0;
  /// Whether the process through which it was opened still lives in this root: only then was
  /// everything that was seen through it the run's. Errors: kNotFound (gone, or its number is
  /// another's now), kUnavailable.
  virtual Result<void> check() const = 0;
};

/// Opens the roots of running containers. Thread-safe.
class ContainerRoots {
 public:
  virtual ~ContainerRoots() = default;
  /// Errors: kNotFound (no process of the run is left), kPermissionDenied, kUnsupported,
  /// kLimitExceeded, kUnavailable.
  virtual Result<std::unique_ptr<ContainerRoot>> open(const ContainerStart& start) = 0;
};

/// A run whose root is to be looked into.
struct ViewTask {
  RunId run_id;
  RunKey key;
  ContainerStart start;           ///< of the run itself; its layers are in `layers`
  std::vector<LayerTask> layers;  ///< all of its stack, bottom first
  std::vector<bool> is_injected;  ///< one per layer
  catalog::ViewPlan plan;         ///< no layers: only mounts are listed
};

struct ViewReport {
  RunId run_id;
  RunKey key;
  catalog::ViewPlan plan;  ///< of the task
  catalog::View view;
  bool is_gone = false;     ///< no process of the run was left
  bool is_refused = false;  ///< too many runs wait: nobody looked
};

/// Looks into the roots of runs, one after another at idle priority, bounded in paths and time.
/// Holds no descriptor of a container after a look. Thread-safe.
class ViewChecker {
 public:
  virtual ~ViewChecker() = default;
  using Callback = std::function<void(ViewReport)>;
  /// Never blocks. `on_report` is called once, on the checker's thread (at once, on the caller's,
  /// when too many wait), unless the checker goes before. A task of one run waits once.
  virtual void check(ViewTask task, Callback on_report) = 0;
};

/// Fingerprints layers on threads of its own: a quick pool for shapes, a background one for
/// contents. Thread-safe.
class Identifier {
 public:
  virtual ~Identifier() = default;
  using Callback = std::function<void(LayerResult)>;
  /// What is remembered of `layer` in memory, by (device, inode, generation); no I/O.
  virtual std::optional<LayerResult> recall(const LayerTask& task) = 0;
  /// Finds out. `on_result` is called once per rung reached (shape, then content), at least once,
  /// on one of the identifier's threads. Tasks for the same directory are merged.
  virtual void identify(LayerTask task, Callback on_result) = 0;
  virtual std::uint64_t pending() const = 0;
};

}  // namespace assay::agent
