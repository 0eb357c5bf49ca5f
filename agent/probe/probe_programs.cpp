// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/probe_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "agent/probe/overlay_offsets.h"
#include "bpf/include/event_abi.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

// The skeleton needs the ABI's types before it.
#include "assay_bpf.skel.h"

namespace assay::agent {
namespace {

// libbpf has one print function per process: the lines of a failed load end up here and in the
// error's text instead of on stderr.
class LibbpfLog {
 public:
  static LibbpfLog& instance() {
    static LibbpfLog log;
    return log;
  }
  void append(std::string_view line) {
    const MutexLock lock(mutex_);
    if (text_.size() < kMaxBytes) text_.append(line.substr(0, kMaxBytes));
  }
  void clear() {
    const MutexLock lock(mutex_);
    text_.clear();
  }
  // The line that says most: the last one of the verifier's log before its summary.
  std::string reason() {
    const MutexLock lock(mutex_);
    std::string_view text(text_);
    if (const auto end = text.find("\nprocessed "); end != std::string_view::npos) {
      text = text.substr(0, end);
      return std::string(text.substr(text.rfind('\n') + 1));
    }
    return std::string(text.substr(0, text.find('\n')));
  }

 private:
  static constexpr std::size_t kMaxBytes = 256 * 1024;
  Mutex mutex_;
  std::string text_ ASSAY_GUARDED_BY(mutex_);
};

int print_to_log(libbpf_print_level level, const char* format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int print_to_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 64 * 1024> line{};
  const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
  LibbpfLog::instance().append(line.data());
  return size;
}

bool has_capabilities() {
  constexpr std::uint64_t kSysAdmin = 1ULL << 21U;
  constexpr std::uint64_t kPerfmon = 1ULL << 38U;
  constexpr std::uint64_t kBpf = 1ULL << 39U;
  std::FILE* status = std::fopen("/proc/self/status", "re");
  if (status == nullptr) return true;  // let the kernel decide
  std::uint64_t effective = ~0ULL;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), status) != nullptr)
    if (std::strncmp(line.data(), "CapEff:", 7) == 0)
      effective = std::strtoull(line.data() + 7, nullptr, 16);
  std::fclose(status);
  return (effective & kSysAdmin) != 0 || (effective & (kPerfmon | kBpf)) == (kPerfmon | kBpf);
}

Error refused(std::string_view what, int negative_errno) {
  const int number = negative_errno < 0 ? -negative_errno : errno;
  const ErrorCode code = number == EPERM ? ErrorCode::kPermissionDenied : ErrorCode::kUnsupported;
  std::string reason = LibbpfLog::instance().reason();
  return Error{code,
               "the kernel refused the probe (" + std::string(what) + ")" +
                   (reason.empty() ? "" : ": " + reason) +
                   "; docs/kernel-support.md lists what it needs",
               number};
}

Result<void> check_needs() {
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return Error{ErrorCode::kUnsupported,
                 "this kernel has no BTF (/sys/kernel/btf/vmlinux): the probe needs one built with "
                 "CONFIG_DEBUG_INFO_BTF=y",
                 errno};
  if (!has_capabilities())
    return Error{ErrorCode::kPermissionDenied,
                 "the probe needs CAP_BPF and CAP_PERFMON: run the agent as root or grant both"};
  // The number of the initial pid namespace is fixed (PROC_PID_INIT_INO, include/linux/proc_ns.h).
  // A sweep shows the tasks of the agent's own namespace only.
  constexpr ino_t kHostPidNamespace = 0xEFFFFFFC;
  struct stat own {};
  if (::stat("/proc/self/ns/pid", &own) == 0 && own.st_ino != kHostPidNamespace)
    return Error{ErrorCode::kUnsupported,
                 "the agent is not in the host's pid namespace: run it there (docker --pid=host, "
                 "hostPID: true)"};
  return ok();
}

std::uint32_t ring_size(std::uint32_t bytes) {
  const auto page = static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE));
  return std::bit_ceil(std::clamp(bytes, page, 1U << 30U));
}

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};
using Ring = std::unique_ptr<ring_buffer, RingDeleter>;

int deliver(void* sink, void* bytes, std::size_t size) {
  (*static_cast<ProbePrograms::RecordSink*>(sink))({static_cast<const char*>(bytes), size});
  return 0;
}

}  // namespace

struct ProbePrograms::Loaded {
  assay_bpf* skeleton = nullptr;
  RecordSink on_start_record;
  RecordSink on_exec_record;
  Ring starts;
  Ring execs;

  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    starts.reset();
    execs.reset();
    assay_bpf__destroy(skeleton);
  }
};

ProbePrograms::ProbePrograms(std::unique_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {}
ProbePrograms::~ProbePrograms() = default;

Result<std::unique_ptr<ProbePrograms>> ProbePrograms::load(const ProbeOptions& options) {
  libbpf_set_print(print_to_log);
  LibbpfLog::instance().clear();
  ASSAY_TRY(check_needs());
  auto loaded = std::make_unique<Loaded>();
  loaded->skeleton = assay_bpf__open();
  if (loaded->skeleton == nullptr) return refused("open", -errno);
  bpf_map__set_max_entries(loaded->skeleton->maps.assay_starts,
                           ring_size(options.start_ring_bytes));
  bpf_map__set_max_entries(loaded->skeleton->maps.assay_execs, ring_size(options.exec_ring_bytes));
  loaded->skeleton->bss->settings.exec_budget = options.exec_budget_per_second;
  if (const int error = assay_bpf__load(loaded->skeleton); error != 0)
    return refused("load", error);

  auto& maps = loaded->skeleton->maps;
  loaded->starts.reset(
      ring_buffer__new(bpf_map__fd(maps.assay_starts), deliver, &loaded->on_start_record, nullptr));
  loaded->execs.reset(
      ring_buffer__new(bpf_map__fd(maps.assay_execs), deliver, &loaded->on_exec_record, nullptr));
  if (!loaded->starts || !loaded->execs) return refused("ring buffer", -errno);
  std::unique_ptr<ProbePrograms> programs(new ProbePrograms(std::move(loaded)));
  programs->look_for_overlay_offsets();
  return programs;
}

Result<void> ProbePrograms::attach() {
  LibbpfLog::instance().clear();
  auto& programs = loaded_->skeleton->progs;
  auto& links = loaded_->skeleton->links;
  links.on_sweep_task = bpf_program__attach_iter(programs.on_sweep_task, nullptr);
  if (links.on_sweep_task == nullptr) return refused("attach the sweep", -errno);
  auto learned = run_iterator(ASSAY_SWEEP_LEARN_HOST);
  if (!learned) return std::move(learned.error());
  if (loaded_->skeleton->bss->host.superblock == 0)
    return Error{ErrorCode::kUnsupported, "the sweep found no child of the host's process 1"};
  const std::array attachments{
      std::pair{programs.on_sched_exit, &links.on_sched_exit},
      std::pair{programs.on_sched_fork, &links.on_sched_fork},
      std::pair{programs.on_sched_exec, &links.on_sched_exec},
  };
  for (const auto& [program, link] : attachments) {
    *link = bpf_program__attach(program);
    if (*link == nullptr) return refused("attach", -errno);
  }
  auto known = run_iterator(ASSAY_SWEEP_KEYS);
  if (!known) return std::move(known.error());
  loaded_->skeleton->bss->settings.is_settled = 1;
  return ok();
}

void ProbePrograms::detach() {
  assay_bpf__detach(loaded_->skeleton);
}

void ProbePrograms::set_sinks(RecordSink on_start_record, RecordSink on_exec_record) {
  loaded_->on_start_record = std::move(on_start_record);
  loaded_->on_exec_record = std::move(on_exec_record);
}

Result<void> ProbePrograms::consume_starts() {
  if (const int count = ring_buffer__consume(loaded_->starts.get()); count < 0)
    return system_error("read the ring buffer of starts", -count);
  return ok();
}

Result<void> ProbePrograms::consume_execs() {
  if (const int count = ring_buffer__consume(loaded_->execs.get()); count < 0)
    return system_error("read the ring buffer of execs", -count);
  return ok();
}

int ProbePrograms::starts_fd() const {
  return ring_buffer__epoll_fd(loaded_->starts.get());
}

int ProbePrograms::execs_fd() const {
  return ring_buffer__epoll_fd(loaded_->execs.get());
}

Result<std::string> ProbePrograms::run_iterator(std::uint32_t mode) {
  loaded_->skeleton->bss->settings.sweep_mode = mode;
  const UniqueFd iterator(bpf_iter_create(bpf_link__fd(loaded_->skeleton->links.on_sweep_task)));
  if (!iterator) return system_error("begin a sweep over all tasks");
  std::string records;
  std::array<char, 64 * 1024> buffer{};
  while (true) {
    const ssize_t count = ::read(iterator.get(), buffer.data(), buffer.size());
    if (count == 0) return records;
    if (count > 0) {
      records.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      return system_error("sweep over all tasks");
    }
  }
}

Result<std::string> ProbePrograms::sweep_keys() {
  return run_iterator(ASSAY_SWEEP_KEYS);
}

Result<void> ProbePrograms::sweep_facts(const std::vector<std::uint32_t>& tgids) {
  ASSAY_ASSERT(tgids.size() <= kMaxWanted);
  const int wanted = bpf_map__fd(loaded_->skeleton->maps.assay_wanted);
  for (const std::uint32_t tgid : tgids) {
    const std::uint32_t one = 1;
    if (bpf_map_update_elem(wanted, &tgid, &one, BPF_ANY) != 0)
      return system_error("ask for a task's facts");
  }
  auto swept = run_iterator(ASSAY_SWEEP_FACTS);
  for (const std::uint32_t tgid : tgids)
    bpf_map_delete_elem(wanted, &tgid);
  if (!swept) return std::move(swept.error());
  return ok();
}

void ProbePrograms::forget_runs(
    const std::function<bool(const assay_run_key&, const assay_run&)>& is_dead) {
  const int runs = bpf_map__fd(loaded_->skeleton->maps.assay_runs);
  std::vector<assay_run_key> dead;
  assay_run_key key{};
  const assay_run_key* previous = nullptr;
  // Bounded: with the programs adding and removing meanwhile, the walk may begin again.
  for (std::uint32_t i = 0; i < bpf_map__max_entries(loaded_->skeleton->maps.assay_runs); ++i) {
    assay_run_key next{};
    if (bpf_map_get_next_key(runs, previous, &next) != 0) break;
    assay_run run{};
    if (bpf_map_lookup_elem(runs, &next, &run) == 0 && is_dead(next, run)) dead.push_back(next);
    key = next;
    previous = &key;
  }
  for (const assay_run_key& gone : dead)
    bpf_map_delete_elem(runs, &gone);
}

void ProbePrograms::set_canary_parent(std::uint32_t tgid) {
  loaded_->skeleton->bss->settings.canary_tgid = tgid;
}

bool ProbePrograms::has_overlay_offsets() const {
  return loaded_->skeleton->bss->settings.overlay.is_known != 0;
}

void ProbePrograms::look_for_overlay_offsets() {
  auto offsets = read_overlay_offsets();
  if (!offsets) {
    overlay_problem_ = "layers of overlay roots cannot be read: " + offsets.error().text();
    return;
  }
  overlay_problem_.clear();
  assay_overlay_offsets unpublished = *offsets;
  unpublished.is_known = 0;
  volatile assay_overlay_offsets& target = loaded_->skeleton->bss->settings.overlay;
  std::memcpy(const_cast<assay_overlay_offsets*>(&target), &unpublished, sizeof(unpublished));
  // The programs look at is_known first; the offsets must be there before it.
  __atomic_store_n(&target.is_known, 1U, __ATOMIC_RELEASE);
}

LossCounters ProbePrograms::counters() const {
  LossCounters total;
  const auto& skeleton = *loaded_->skeleton;
  std::vector<assay_counters> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const std::uint32_t zero = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton.maps.assay_counters), &zero, per_cpu.data()) == 0) {
    for (const assay_counters& cpu : per_cpu) {
      total.sent += cpu.sent;
      total.lost_starts += cpu.lost_starts;
      total.lost_execs += cpu.lost_execs;
      total.map_failures += cpu.map_failures;
    }
  }
  for (const bpf_program* program :
       {skeleton.progs.on_sched_exec, skeleton.progs.on_sched_fork, skeleton.progs.on_sched_exit}) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
      total.recursion_misses += info.recursion_misses;
  }
  return total;
}

}  // namespace assay::agent
