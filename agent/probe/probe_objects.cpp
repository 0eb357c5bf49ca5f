// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/probe_objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "common/base/mutex.h"
#include "common/base/sha256.h"

// The skeleton needs the ABI's types before it.
#include "assay_bpf.skel.h"

namespace assay::agent {
namespace {

using Variables = assay_bpf::assay_bpf__bss;
static_assert(offsetof(Variables, settings) == offsetof(ProbeVariables, settings) &&
                  offsetof(Variables, host) == offsetof(ProbeVariables, host) &&
                  sizeof(Variables) == sizeof(ProbeVariables),
              "the programs' variables lie otherwise than ProbeVariables says");

constexpr std::array<std::string_view, kProbeObjects> kNames{
    "starts",        "execs",     "runs",      "marks",        "cgroups",      "wanted",
    "counters",      "control",   "variables", "exit_program", "fork_program", "exec_program",
    "sweep_program", "exit_link", "fork_link", "exec_link",    "sweep_link"};

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
  static constexpr std::size_t kMaxBytes = 256UL * 1024;
  Mutex mutex_;
  std::string text_ ASSAY_GUARDED_BY(mutex_);
};

int print_to_log(libbpf_print_level level, const char* format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int print_to_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 64UL * 1024> line{};
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

struct SkeletonDeleter {
  void operator()(assay_bpf* skeleton) const { assay_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<assay_bpf, SkeletonDeleter>;

Result<void> keep(ProbeObjects& objects, ProbeObject object, int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return system_error("keep a descriptor of the probe");
  objects.set(object, std::move(copy));
  return ok();
}

void set_sizes(assay_bpf& skeleton, const ProbeOptions& options) {
  auto& maps = skeleton.maps;
  bpf_map__set_max_entries(maps.assay_starts, ring_size(options.start_ring_bytes));
  bpf_map__set_max_entries(maps.assay_execs, ring_size(options.exec_ring_bytes));
  bpf_map__set_max_entries(maps.assay_runs, options.max_runs);
  bpf_map__set_max_entries(maps.assay_joins, options.max_runs);
  bpf_map__set_max_entries(maps.assay_cgroups, options.max_runs);
  bpf_map__set_max_entries(maps.assay_marks, options.max_marks);
}

ProbeObject program_of(ProbeObject link) {
  switch (link) {
    case ProbeObject::kExitLink:
      return ProbeObject::kExitProgram;
    case ProbeObject::kForkLink:
      return ProbeObject::kForkProgram;
    case ProbeObject::kExecLink:
      return ProbeObject::kExecProgram;
    default:
      return ProbeObject::kSweepProgram;
  }
}

}  // namespace

std::string_view name_of(ProbeObject object) {
  return kNames[static_cast<std::size_t>(object)];
}

std::uint32_t ring_size(std::uint32_t bytes) {
  const auto page = static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE));
  return std::bit_ceil(std::clamp(bytes, page, 1U << 30U));
}

Sha256 probe_object_digest() {
  std::size_t size = 0;
  const void* bytes = assay_bpf__elf_bytes(&size);
  return sha256({static_cast<const char*>(bytes), size});
}

Error probe_refused(std::string_view what, int negative_errno) {
  const int number = negative_errno < 0 ? -negative_errno : errno;
  const ErrorCode code = number == EPERM ? ErrorCode::kPermissionDenied : ErrorCode::kUnsupported;
  std::string reason = LibbpfLog::instance().reason();
  return Error{code,
               "the kernel refused the probe (" + std::string(what) + ")" +
                   (reason.empty() ? "" : ": " + reason) +
                   "; docs/kernel-support.md lists what it needs",
               number};
}

Result<ProbeObjects> load_probe(const ProbeOptions& options) {
  libbpf_set_print(print_to_log);
  LibbpfLog::instance().clear();
  ASSAY_TRY(check_needs());
  const Skeleton skeleton(assay_bpf__open());
  if (!skeleton) return probe_refused("open", -errno);
  set_sizes(*skeleton, options);
  if (const int error = assay_bpf__load(skeleton.get()); error != 0)
    return probe_refused("load", error);
  // From here on descriptors are enough: the skeleton holds megabytes.
  const auto& maps = skeleton->maps;
  const auto& programs = skeleton->progs;
  ProbeObjects objects;
  for (const auto& [object, map] : {std::pair{ProbeObject::kStarts, maps.assay_starts},
                                    std::pair{ProbeObject::kExecs, maps.assay_execs},
                                    std::pair{ProbeObject::kRuns, maps.assay_runs},
                                    std::pair{ProbeObject::kMarks, maps.assay_marks},
                                    std::pair{ProbeObject::kCgroups, maps.assay_cgroups},
                                    std::pair{ProbeObject::kWanted, maps.assay_wanted},
                                    std::pair{ProbeObject::kCounters, maps.assay_counters},
                                    std::pair{ProbeObject::kControl, maps.assay_control},
                                    std::pair{ProbeObject::kVariables, maps.bss}})
    ASSAY_TRY(keep(objects, object, bpf_map__fd(map)));
  for (const auto& [object, program] :
       {std::pair{ProbeObject::kExitProgram, programs.on_sched_exit},
        std::pair{ProbeObject::kForkProgram, programs.on_sched_fork},
        std::pair{ProbeObject::kExecProgram, programs.on_sched_exec},
        std::pair{ProbeObject::kSweepProgram, programs.on_sweep_task}})
    ASSAY_TRY(keep(objects, object, bpf_program__fd(program)));
  return objects;
}

Result<void> attach_probe(ProbeObjects& objects, ProbeObject link) {
  LibbpfLog::instance().clear();
  const int program = objects.fd(program_of(link));
  UniqueFd fd(link == ProbeObject::kSweepLink ? bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr)
                                              : bpf_raw_tracepoint_open(nullptr, program));
  if (!fd) return probe_refused("attach " + std::string(name_of(link)), -errno);
  objects.set(link, std::move(fd));
  return ok();
}

}  // namespace assay::agent
